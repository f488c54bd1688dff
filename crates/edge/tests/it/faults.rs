//! Upstreams that cannot be reached, answer late, or break the connection.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use edge::Limits;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::parts::{
    Reply, always, nowhere, read_head, read_to_end, start, start_with, until, upstream, within,
};

#[tokio::test]
async fn a_server_that_stops_and_starts_again() {
    let address = nowhere().await;
    let edge = start(address);

    let page = edge.get("/").await;
    assert_eq!(page.status, 503);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(page.header("retry-after"), Some("2"));
    assert!(page.body.contains("not running"), "{}", page.body);

    let error = edge.get("/api/v4/users/me").await;
    assert_eq!(error.status, 503);
    assert_eq!(error.header("content-type"), Some("application/json"));
    assert!(
        error.body.starts_with(r#"{"id":"mainstay.edge.server_away.app_error","message":""#),
        "{}",
        error.body
    );
    assert!(error.body.contains(r#""status_code":503"#), "{}", error.body);
    assert_eq!(edge.counters.read().upstream_errors, 2);

    let listener = TcpListener::bind(address).await.unwrap();
    let answering = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_head(&mut stream).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
    });
    assert_eq!(edge.get("/").await.body, "ok");
    within(answering).await.unwrap();
}

#[tokio::test]
async fn a_server_that_closes_the_connection_or_sends_nonsense() {
    for nonsense in [
        "",
        "\r\n",
        "HTTP/1.1 2",
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\n bad header\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    ] {
        let (address, _) = upstream(move |mut stream, _| async move {
            read_head(&mut stream).await;
            let _ = stream.write_all(nonsense.as_bytes()).await;
        })
        .await;
        let edge = start(address);
        let reply = edge.get("/api/v4/posts").await;
        assert_eq!(reply.status, 502, "{nonsense:?}");
        assert!(reply.body.contains("mainstay.edge.server_broke_off.app_error"), "{nonsense:?}");
        assert_eq!(edge.counters.read().upstream_errors, 1);
    }
}

#[tokio::test]
async fn a_server_that_sends_nothing() {
    let (address, _) = upstream(|mut stream, _| async move {
        read_to_end(&mut stream).await;
    })
    .await;
    let limits = Limits { upstream_response_timeout: Duration::from_millis(100), ..Limits::default() };
    let edge = start_with(address, limits, &[]);
    let reply = edge.get("/api/v4/posts").await;
    assert_eq!(reply.status, 504);
    assert!(reply.body.contains("mainstay.edge.server_late.app_error"));
}

#[tokio::test]
async fn interim_answers_are_skipped() {
    let edge = start(
        always(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n\
             HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        )
        .await,
    );
    let reply = edge.get("/").await;
    assert_eq!((reply.status, reply.body.as_str()), (200, "ok"));
}

#[tokio::test]
async fn the_client_notices_an_incomplete_answer() {
    for (cut, framing) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart", "length"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n", "chunks"),
    ] {
        let (address, _) = upstream(move |mut stream, _| async move {
            read_head(&mut stream).await;
            stream.write_all(cut.as_bytes()).await.unwrap();
        })
        .await;
        let edge = start(address);
        let reply = edge.get("/").await;
        // 0: the connection broke before the head was sent, so the client got nothing.
        assert!(matches!(reply.status, 0 | 200), "{framing}: {reply:?}");
        let complete = match reply.header("content-length") {
            Some(length) => reply.body.len().to_string() == length,
            None => reply.body.ends_with("0\r\n\r\n"),
        };
        assert!(!complete, "{framing}: {reply:?}");
    }
}

#[tokio::test]
async fn an_answer_without_a_length_ends_with_its_connection() {
    let (address, connections) = upstream(|mut stream, _| async move {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nall of it").await.unwrap();
    })
    .await;
    let edge = start(address);
    for n in 1..=3 {
        let reply = edge.ask("GET / HTTP/1.0\r\n\r\n").await;
        assert_eq!(reply.body, "all of it");
        assert_eq!(connections.load(SeqCst), n);
    }
}

#[tokio::test]
async fn an_idle_connection_that_the_server_closed_is_not_used() {
    // Each connection answers one request as if it would stay open, and is closed.
    let (address, connections) = upstream(|mut stream, _| async move {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
        stream.shutdown().await.unwrap();
    })
    .await;
    let limits = Limits { workers: 1, ..Limits::default() };
    let edge = start_with(address, limits, &[]);
    for n in 1..=20 {
        let reply = edge.get("/").await;
        assert_eq!((reply.status, reply.body.as_str()), (200, "ok"), "request {n}");
    }
    assert_eq!(connections.load(SeqCst), 20);
}

#[tokio::test]
async fn when_the_client_disconnects_its_request_to_the_server_ends() {
    let (told, mut gone) = tokio::sync::mpsc::unbounded_channel();
    let (address, _) = upstream(move |mut stream, _| {
        let told = told.clone();
        async move {
            read_head(&mut stream).await;
            told.send("arrived").unwrap();
            read_to_end(&mut stream).await;
            told.send("gone").unwrap();
        }
    })
    .await;
    let edge = start(address);
    let mut stream = edge.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert_eq!(within(gone.recv()).await, Some("arrived"));
    drop(stream);
    assert_eq!(within(gone.recv()).await, Some("gone"));
}

#[tokio::test]
async fn a_client_that_stops_in_the_middle_of_its_body() {
    let (address, _) = upstream(|mut stream, _| async move {
        read_to_end(&mut stream).await;
    })
    .await;
    let limits = Limits { upload_pause: Duration::from_millis(100), ..Limits::default() };
    let edge = start_with(address, limits, &[]);
    let mut stream = edge.connect().await;
    stream.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nfive!").await.unwrap();
    let reply = Reply::parse(&read_to_end(&mut stream).await);
    assert_eq!(reply.status, 408, "{reply:?}");
    assert_eq!(edge.counters.read().upstream_errors, 0);
}

#[tokio::test]
async fn a_request_that_waits_when_the_server_falls_silent_is_answered() {
    // It takes everything and answers nothing.
    let (address, asked) = upstream(|mut stream, _| async move {
        read_to_end(&mut stream).await;
    })
    .await;
    let edge = start(address);
    let mut waiting = edge.connect().await;
    waiting
        .write_all(b"GET /api/v4/users/me HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut uploading = edge.connect().await;
    uploading
        .write_all(b"POST /api/v4/files HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nfive!")
        .await
        .unwrap();
    until(|| asked.load(SeqCst) == 2).await;
    assert!(edge.silence.set(true));
    for stream in [&mut waiting, &mut uploading] {
        let began = std::time::Instant::now();
        let reply = Reply::parse(&read_to_end(stream).await);
        assert_eq!((reply.status, reply.header("retry-after")), (503, Some("10")), "{reply:?}");
        assert!(reply.body.contains("received the request"), "{}", reply.body);
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    }
    assert!(edge.get("/").await.body.contains("does not answer at the moment"));
    edge.silence.set(false);
}

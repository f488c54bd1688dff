//! A server that answers before it has the whole request, and closes the connection.

use edge::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::parts::{MIB, Reply, read_exact, read_head, read_to_end, start, start_with, upstream, within};

const TOO_LARGE: &[u8] = b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig";

/// Answers with 413 after the head and some of the body, and closes with the rest unread: the kernel resets the connection.
async fn too_large(after: usize) -> std::net::SocketAddr {
    upstream(move |mut stream, _| async move {
        if read_head(&mut stream).await.is_some() {
            read_exact(&mut stream, after).await;
            let _ = stream.write_all(TOO_LARGE).await;
        }
    })
    .await
    .0
}

/// Sends everything before it reads, as simple clients do.
async fn send_then_read(stream: &mut TcpStream, head: &str, body: usize) -> Reply {
    stream.write_all(head.as_bytes()).await.unwrap();
    let piece = vec![b'x'; 64 * 1024];
    let mut left = body;
    while left > 0 {
        let len = left.min(piece.len());
        stream.write_all(&piece[..len]).await.expect("the edge receives what it does not need");
        left -= len;
    }
    Reply::parse(&read_to_end(stream).await)
}

#[tokio::test]
async fn the_answer_reaches_a_client_that_sends_everything_first() {
    for after in [0, 1, 100_000] {
        let edge = start(too_large(after).await);
        for turn in 0..40 {
            let body = 4 * MIB;
            let head = format!(
                "POST /files HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {body}\r\n\r\n"
            );
            let reply = within(send_then_read(&mut edge.connect().await, &head, body)).await;
            assert_eq!(
                (reply.status, reply.body.as_str()),
                (413, "big"),
                "turn {turn} after {after}: {reply:?}"
            );
        }
        assert_eq!(edge.counters.read().upstream_errors, 0);
    }
}

#[tokio::test]
async fn chunks_are_received_to_their_end_too() {
    let edge = start(too_large(10).await);
    let mut stream = edge.connect().await;
    stream
        .write_all(b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await
        .unwrap();
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    for _ in 0..64 {
        stream.write_all(chunk.as_bytes()).await.expect("the edge receives what it does not need");
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    assert_eq!(Reply::parse(&read_to_end(&mut stream).await).status, 413);
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_goes_on_sending() {
    let edge = start(too_large(0).await);
    let body = 4 * MIB;
    for head in [
        // Refused by the edge: by its parser, and by its rules.
        format!("POST / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\nContent-Length: {body}\r\n\r\n"),
        format!("POST / HTTP/1.1\r\nHost: a, b\r\nContent-Length: {body}\r\n\r\n"),
    ] {
        let reply = within(send_then_read(&mut edge.connect().await, &head, body)).await;
        assert_eq!(reply.status, 400, "{head:?}");
    }
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "x".repeat(70_000));
    let reply = within(send_then_read(&mut edge.connect().await, &head, body)).await;
    assert_eq!(reply.status, 431);
}

#[tokio::test]
async fn a_client_that_waits_for_100_continue_gets_the_answer_instead() {
    let edge = start(
        upstream(|mut stream, _| async move {
            read_head(&mut stream).await;
            let _ = stream.write_all(TOO_LARGE).await;
            read_to_end(&mut stream).await;
        })
        .await
        .0,
    );
    let mut stream = edge.connect().await;
    let head = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 500000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let reply = Reply::parse(&read_to_end(&mut stream).await);
    // The edge asks for the body when it sends to the server, which may be before the server has answered.
    assert!(matches!(reply.status, 100 | 413), "{reply:?}");
    assert!(reply.status == 413 || reply.body.starts_with("HTTP/1.1 413"), "{reply:?}");
}

#[tokio::test]
async fn receiving_the_rest_has_an_end() {
    let limits = Limits { linger: std::time::Duration::from_millis(300), ..Limits::default() };
    let edge = start_with(too_large(0).await, limits, &[]);
    let mut stream = edge.connect().await;
    stream.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
    // For ever, as far as this client is concerned.
    let sending = async { while stream.write_all(b"1\r\nx\r\n").await.is_ok() {} };
    within(sending).await;
    let mut rest = Vec::new();
    let _ = within(stream.read_to_end(&mut rest)).await;
    crate::parts::until(|| edge.counters.read().connections == 0).await;
}

//! What each side gets of the other side's requests and answers.

use std::sync::atomic::Ordering::SeqCst;

use tokio::io::AsyncWriteExt;

use crate::parts::{
    Reply, always, mirror, read_exact, read_head, read_to_end, start, start_with, upstream, within,
};
use edge::Limits;

const FORGED: &str = "GET /x?y=%20 HTTP/1.1\r\nHost: Chat.Example:8065\r\nX-Forwarded-For: 1.1.1.1\r\n\
    X-Forwarded-Proto: https\r\nX-Real-IP: 3.3.3.3\r\nForwarded: for=4.4.4.4\r\nConnection: close, X-Private\r\n\
    X-Private: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\nUpgrade: h2c\r\nCookie: a=b\r\nX-Kept: 1\r\nX-Kept: 2\r\n\r\n";

fn lines(head: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = head.trim_end().split("\r\n").skip(1).collect();
    lines.sort_unstable();
    lines
}

#[tokio::test]
async fn a_clients_request_as_the_server_sees_it() {
    let edge = start(mirror().await.0);
    let reply = edge.ask(FORGED).await;
    assert!(reply.body.starts_with("GET /x?y=%20 HTTP/1.1\r\n"), "{}", reply.body);
    assert_eq!(
        lines(&reply.body),
        [
            "cookie: a=b",
            "host: Chat.Example:8065",
            "x-forwarded-for: 127.0.0.1",
            "x-forwarded-host: Chat.Example:8065",
            "x-forwarded-proto: http",
            "x-kept: 1",
            "x-kept: 2",
            "x-real-ip: 127.0.0.1",
        ]
    );
}

#[tokio::test]
async fn a_trusted_proxys_request_as_the_server_sees_it() {
    let edge = start_with(mirror().await.0, Limits::default(), &["127.0.0.0/8"]);
    let reply = edge.ask(FORGED).await;
    assert_eq!(
        lines(&reply.body),
        [
            "cookie: a=b",
            "forwarded: for=4.4.4.4",
            "host: Chat.Example:8065",
            "x-forwarded-for: 1.1.1.1, 127.0.0.1",
            "x-forwarded-host: Chat.Example:8065",
            "x-forwarded-proto: https",
            "x-kept: 1",
            "x-kept: 2",
            "x-real-ip: 1.1.1.1",
        ]
    );
}

#[tokio::test]
async fn an_answer_as_the_client_sees_it() {
    let upstream = always(
        "HTTP/1.1 418 Short And Stout\r\nContent-Length: 3\r\nConnection: keep-alive, X-Inner\r\nX-Inner: 1\r\n\
         Keep-Alive: 5\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nDate: then\r\nServer: its own\r\n\r\ntea",
    )
    .await;
    let edge = start(upstream);
    let mut stream = edge.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    let bytes = read_to_end(&mut stream).await;
    assert!(bytes.starts_with(b"HTTP/1.1 418 Short And Stout\r\n"));
    let reply = Reply::parse(&bytes);
    assert_eq!(reply.body, "tea");
    let mut headers: Vec<_> = reply.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    headers.sort_unstable();
    assert_eq!(
        headers,
        [
            "connection: close",
            "content-length: 3",
            "date: then",
            "server: its own",
            "set-cookie: a=1",
            "set-cookie: b=2"
        ]
    );
}

#[tokio::test]
async fn answers_without_a_body_keep_their_framing() {
    for (method, answer, expected_length) in [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n", Some("1234")),
        ("HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", None),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n", None),
        ("GET", "HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n", None),
        ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n", None),
        ("DELETE", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Some("0")),
    ] {
        let edge = start(always(answer).await);
        // Two requests on one connection: if the framing of the first answer is wrong, the second shows it.
        let request = format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n");
        let last = format!("{method} / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let mut stream = edge.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let first = Reply::parse(within(read_head(&mut stream)).await.unwrap().as_bytes());
        stream.write_all(last.as_bytes()).await.unwrap();
        let second = Reply::parse(&read_to_end(&mut stream).await);
        for reply in [&first, &second] {
            assert_eq!(reply.header("content-length"), expected_length, "{method} {answer:?}");
            assert_eq!(reply.header("transfer-encoding"), None, "{method} {answer:?}");
        }
        assert_eq!(first.status, second.status);
        assert_eq!(second.body, "");
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order_over_one_upstream_connection() {
    let (address, connections) = mirror().await;
    let edge = start(address);
    let mut pipeline: String = (0..50).map(|n| format!("GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
    pipeline.push_str("GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let mut stream = edge.connect().await;
    stream.write_all(pipeline.as_bytes()).await.unwrap();
    let text = String::from_utf8(read_to_end(&mut stream).await).unwrap();
    let targets: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("GET /"))
        .filter_map(|line| line.split(' ').next())
        .collect();
    let expected: Vec<String> = (0..50).map(|n| n.to_string()).chain(["last".to_owned()]).collect();
    assert_eq!(targets, expected);
    assert_eq!(connections.load(SeqCst), 1);
    assert_eq!(edge.counters.read().requests, 51);
}

#[tokio::test]
async fn a_client_of_http_1_0_gets_no_chunks() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let edge = start(always(chunked).await);
    let reply = edge.ask("GET / HTTP/1.0\r\n\r\n").await;
    assert_eq!((reply.status, reply.body.as_str()), (200, "hello"));
    assert_eq!(reply.header("transfer-encoding"), None);
}

#[tokio::test]
async fn trailers_are_dropped() {
    let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n";
    let edge = start(always(answer).await);
    let request = "GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: close, te\r\n\r\n";
    let reply = edge.ask(request).await;
    assert_eq!(reply.body, "2\r\nhi\r\n0\r\n\r\n");
    assert_eq!(reply.header("trailer"), None);
}

#[tokio::test]
async fn the_edge_itself_answers_expect_100_continue() {
    let (address, _) = upstream(|mut stream, _| async move {
        let head = read_head(&mut stream).await.unwrap();
        assert!(!head.contains("expect"), "{head}");
        let body = read_exact(&mut stream, 5).await;
        stream.write_all(b"HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\n").await.unwrap();
        stream.write_all(&body).await.unwrap();
    })
    .await;
    let edge = start(address);
    let mut stream = edge.connect().await;
    let head = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let go_on = within(read_head(&mut stream)).await.unwrap();
    assert_eq!(go_on, "HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"12345").await.unwrap();
    let reply = Reply::parse(&read_to_end(&mut stream).await);
    assert_eq!((reply.status, reply.body.as_str()), (201, "12345"));
}

#[tokio::test]
async fn a_chunked_get_keeps_its_body() {
    let (address, _) = upstream(|mut stream, _| async move {
        let head = read_head(&mut stream).await.unwrap();
        assert!(head.contains("transfer-encoding: chunked"), "{head}");
        let body = read_exact(&mut stream, "2\r\n{}\r\n0\r\n\r\n".len()).await;
        assert_eq!(body, b"2\r\n{}\r\n0\r\n\r\n");
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    })
    .await;
    let edge = start(address);
    let request = "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
    assert_eq!(edge.ask(request).await.status, 200);
}

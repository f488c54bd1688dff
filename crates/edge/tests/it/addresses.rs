//! What one address may have.

use std::net::SocketAddr;
use std::time::Duration;

use edge::Limits;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

use crate::parts::{Reply, Running, always, read_head, read_to_end, start_with, until, upstream, within};
use crate::websocket::echo_server;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn two() -> Limits {
    Limits {
        connections_per_address: Some(2),
        requests_per_address: Some(2),
        unlimited: Vec::new(),
        ..Limits::default()
    }
}

/// A connection from another address of this machine.
async fn from(address: [u8; 4], edge: &Running) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((address, 0).into()).unwrap();
    within(socket.connect(edge.address)).await.unwrap()
}

#[tokio::test]
async fn one_address_does_not_get_every_connection() {
    let edge = start_with(always(OK).await, two(), &[]);
    let first = from([127, 0, 0, 7], &edge).await;
    let _second = from([127, 0, 0, 7], &edge).await;
    until(|| edge.counters.read().connections == 2).await;

    let reply = Reply::parse(&read_to_end(&mut from([127, 0, 0, 7], &edge).await).await);
    assert_eq!((reply.status, reply.header("retry-after")), (429, Some("2")), "{reply:?}");
    assert_eq!(reply.header("content-length"), Some(reply.body.len().to_string().as_str()));
    let mut other = from([127, 0, 0, 8], &edge).await;
    other.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    assert_eq!(Reply::parse(&read_to_end(&mut other).await).body, "ok");

    drop(first);
    until(|| edge.counters.read().connections == 1).await;
    let mut again = from([127, 0, 0, 7], &edge).await;
    again.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    assert_eq!(Reply::parse(&read_to_end(&mut again).await).body, "ok");
}

#[tokio::test]
async fn loopback_has_no_limit_unless_told_otherwise() {
    let limits = Limits { connections_per_address: Some(2), ..Limits::default() };
    let edge = start_with(always(OK).await, limits, &[]);
    let mut open = Vec::new();
    for _ in 0..10 {
        open.push(edge.connect().await);
    }
    until(|| edge.counters.read().connections == 10).await;
}

/// Answers `/slow` only when the test ends.
async fn slow_server() -> SocketAddr {
    let handle = |mut stream: TcpStream, _| async move {
        while let Some(head) = read_head(&mut stream).await {
            if head.starts_with("GET /slow") {
                tokio::time::sleep(Duration::from_secs(3600)).await;
            }
            if stream.write_all(OK.as_bytes()).await.is_err() {
                break;
            }
        }
    };
    upstream(handle).await.0
}

fn request(path: &str, client: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {client}\r\n\r\n")
}

#[tokio::test]
async fn clients_behind_a_trusted_proxy_are_counted_one_by_one() {
    let edge = start_with(slow_server().await, two(), &["127.0.0.0/8"]);
    let mut under_way = Vec::new();
    // Two addresses of one IPv6 network are one client.
    for client in ["2001:db8::1", "2001:db8::2"] {
        let mut stream = edge.connect().await;
        stream.write_all(request("/slow", client).as_bytes()).await.unwrap();
        under_way.push(stream);
    }
    until(|| edge.counters.read().requests == 2).await;

    let mut proxy = edge.connect().await;
    proxy.write_all(request("/", "2001:db8::3").as_bytes()).await.unwrap();
    let reply = Reply::parse(within(read_head(&mut proxy)).await.unwrap().as_bytes());
    assert_eq!((reply.status, reply.header("retry-after")), (429, Some("2")), "{reply:?}");
    let length = reply.header("content-length").unwrap().parse().unwrap();
    crate::parts::read_exact(&mut proxy, length).await;
    // The proxy's connection stays open for its other clients.
    for client in ["2001:db8:0:1::1", "192.0.2.1"] {
        proxy.write_all(request("/", client).as_bytes()).await.unwrap();
        let reply = Reply::parse(within(read_head(&mut proxy)).await.unwrap().as_bytes());
        assert_eq!(reply.status, 200, "{client}: {reply:?}");
        crate::parts::read_exact(&mut proxy, 2).await;
    }
    under_way.clear();
    until(|| edge.counters.read().connections == 1).await;
    proxy.write_all(request("/", "2001:db8::1").as_bytes()).await.unwrap();
    assert_eq!(Reply::parse(within(read_head(&mut proxy)).await.unwrap().as_bytes()).status, 200);
}

#[tokio::test]
async fn websockets_behind_a_trusted_proxy_are_counted_for_their_client() {
    let edge = start_with(echo_server().await, two(), &["127.0.0.0/8"]);
    let open = async |client: &'static str| {
        crate::websocket::open(&edge, &[("x-forwarded-for", client)]).await.map(|(socket, _)| socket)
    };
    let first = open("192.0.2.1").await.unwrap();
    let _second = open("192.0.2.1").await.unwrap();
    let refused = open("192.0.2.1").await.unwrap_err();
    assert!(refused.to_string().contains("429"), "{refused}");
    open("192.0.2.2").await.unwrap();
    drop(first);
    until(|| edge.counters.read().websockets == 1).await;
    open("192.0.2.1").await.unwrap();
}

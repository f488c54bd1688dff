//! One edge hands its listening socket over to the next: no request fails meanwhile.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::Duration;

use edge::{Edge, EdgeError, Limits};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::limits::relay;
use crate::parts::{Reply, always, nowhere, read_to_end, serve, within};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

async fn answering(text: &str) -> SocketAddr {
    always(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len()).leak()).await
}

fn bind(upstream: SocketAddr) -> Edge {
    Edge::bind(([127, 0, 0, 1], 0).into(), upstream, Limits::default()).unwrap()
}

#[tokio::test]
async fn connections_wait_in_the_queue_until_the_next_edge_accepts_them() {
    let old = bind(answering("old").await);
    let socket = old.try_clone_listener().unwrap();
    let old = serve(old);
    let address = old.address;
    assert_eq!(old.get("/").await.body, "old");
    old.drain();
    old.ended().await;

    let mut waiting = Vec::new();
    for _ in 0..20 {
        let mut stream = within(TcpStream::connect(address)).await.unwrap();
        stream.write_all(GET).await.unwrap();
        waiting.push(stream);
    }
    let new = Edge::from_listener(socket, answering("new").await, Limits::default()).unwrap();
    assert_eq!(new.local_addr(), address);
    let _new = serve(new);
    for mut stream in waiting {
        assert_eq!(Reply::parse(&read_to_end(&mut stream).await).body, "new");
    }
}

#[tokio::test]
async fn two_edges_may_accept_from_one_socket_at_the_same_time() {
    let old = bind(answering("old").await);
    let socket = old.try_clone_listener().unwrap();
    let old = serve(old);
    let new = serve(Edge::from_listener(socket, answering("new").await, Limits::default()).unwrap());
    for _ in 0..20 {
        assert!(["old", "new"].contains(&old.get("/").await.body.as_str()));
    }
    old.drain();
    old.ended().await;
    for _ in 0..20 {
        assert_eq!(new.get("/").await.body, "new");
    }
}

/// As a program does that replaces itself: its socket becomes the standard input of the new one.
#[tokio::test]
async fn another_process_takes_the_socket_over() {
    let old = bind(nowhere().await);
    let (address, socket) = (old.local_addr(), old.try_clone_listener().unwrap());
    drop(old);
    let mut stream = within(TcpStream::connect(address)).await.unwrap();
    stream.write_all(GET).await.unwrap();

    let upstream = answering("new").await;
    let mut next = Command::new(relay())
        .args(["-", &upstream.to_string()])
        .stdin(Stdio::from(OwnedFd::from(socket)))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let answer = read_to_end(&mut stream).await;
    next.kill().unwrap();
    next.wait().unwrap();
    assert_eq!(Reply::parse(&answer).body, "new");
}

#[tokio::test]
async fn the_address_is_free_when_the_last_descriptor_is_closed() {
    let edge = bind(nowhere().await);
    let (address, socket) = (edge.local_addr(), edge.try_clone_listener().unwrap());
    drop(edge);
    assert!(TcpListener::bind(address).is_err());
    drop(socket);
    TcpListener::bind(address).unwrap();
}

#[tokio::test]
async fn a_socket_that_does_not_listen_is_refused() {
    let upstream = nowhere().await;
    let connected = std::net::TcpStream::connect(answering("").await).unwrap();
    let file = std::fs::File::open("/dev/null").unwrap();
    let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
    for socket in [OwnedFd::from(connected), OwnedFd::from(datagrams), OwnedFd::from(file)] {
        let error = Edge::from_listener(TcpListener::from(socket), upstream, Limits::default()).unwrap_err();
        assert!(matches!(error, EdgeError::NotListening(_)), "{error}");
        assert!(error.to_string().contains("does not listen"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_edges_replace_each_other() {
    let upstream = answering("ok").await;
    let mut edge = bind(upstream);
    let address = edge.local_addr();
    let over = CancellationToken::new();
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let over = over.clone();
            tokio::spawn(async move {
                let (mut good, mut bad) = (0, Vec::new());
                while !over.is_cancelled() {
                    let mut stream = within(TcpStream::connect(address)).await.unwrap();
                    stream.write_all(GET).await.unwrap();
                    let reply = Reply::parse(&read_to_end(&mut stream).await);
                    if reply.body == "ok" { good += 1 } else { bad.push(reply) }
                }
                (good, bad)
            })
        })
        .collect();
    for _ in 0..50 {
        let socket = edge.try_clone_listener().unwrap();
        let old = serve(edge);
        edge = Edge::from_listener(socket, upstream, Limits::default()).unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        old.drain();
        old.ended().await;
    }
    let _last = serve(edge);
    over.cancel();
    let mut served = 0;
    let mut failed = Vec::new();
    for client in clients {
        let (good, bad) = within(client).await.unwrap();
        served += good;
        failed.extend(bad);
    }
    assert!(failed.is_empty(), "{} of {served} failed: {:?}", failed.len(), failed.first());
    assert!(served > 100, "{served}");
}

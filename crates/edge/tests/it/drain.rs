//! Draining: what has begun is finished, and nothing new begins.

use std::time::{Duration, Instant};

use edge::Limits;
use futures_util::StreamExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::tungstenite::protocol::{Message, frame::coding::CloseCode};

use crate::parts::{
    Reply, always, read_exact, read_head, read_to_end, start, start_with, until, upstream, within,
};
use crate::websocket::{echo_server, open};

#[tokio::test]
async fn a_request_in_flight_finishes_and_no_new_one_begins() {
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let (go_on, going) = oneshot::channel::<()>();
    let once = std::sync::Mutex::new(Some(going));
    let (address, _) = upstream(move |mut stream, _| {
        let going = once.lock().unwrap().take().unwrap();
        let arrived = arrived.clone();
        async move {
            read_head(&mut stream).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst").await.unwrap();
            arrived.send(()).unwrap();
            going.await.unwrap();
            stream.write_all(b"later").await.unwrap();
        }
    })
    .await;
    let edge = start(address);
    let mut stream = edge.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    within(arrivals.recv()).await.unwrap();

    edge.drain();
    within(async { while TcpStream::connect(edge.address).await.is_ok() {} }).await;
    go_on.send(()).unwrap();
    let reply = Reply::parse(&read_to_end(&mut stream).await);
    assert_eq!((reply.status, reply.body.as_str()), (200, "firstlater"));
    within(edge.ended()).await;
}

#[tokio::test]
async fn idle_connections_do_not_delay_it() {
    let edge = start(always("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await);
    let mut used = edge.connect().await;
    used.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    within(read_head(&mut used)).await.unwrap();
    let _fresh = edge.connect().await;
    until(|| edge.counters.read().connections == 2).await;
    edge.drain();
    within(edge.ended()).await;
}

#[tokio::test]
async fn websockets_are_told_that_the_edge_goes_away() {
    let edge = start(echo_server().await);
    let mut sockets = Vec::new();
    for _ in 0..10 {
        sockets.push(open(&edge, &[]).await.unwrap().0);
    }
    edge.drain();
    for mut socket in sockets {
        match within(socket.next()).await {
            Some(Ok(Message::Close(Some(close)))) => assert_eq!(close.code, CloseCode::Away),
            other => panic!("{other:?}"),
        }
        // tungstenite answers the Close; then the connection ends cleanly.
        assert!(within(socket.next()).await.is_none());
    }
    within(edge.ended()).await;
}

#[tokio::test]
async fn the_close_frame_is_sent_after_the_end_of_a_frame() {
    let (half_sent, mut half) = mpsc::unbounded_channel();
    let (go_on, going) = oneshot::channel::<()>();
    let once = std::sync::Mutex::new(Some(going));
    let (address, _) = upstream(move |mut stream, _| {
        let going = once.lock().unwrap().take().unwrap();
        let half_sent = half_sent.clone();
        async move {
            read_head(&mut stream).await.unwrap();
            let answer =
                "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.write_all(b"\x81\x06abc").await.unwrap();
            half_sent.send(()).unwrap();
            going.await.unwrap();
            stream.write_all(b"def\x81\x03ghi").await.unwrap();
            read_to_end(&mut stream).await;
        }
    })
    .await;
    let edge = start(address);
    let mut stream = edge.connect().await;
    let handshake = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    stream.write_all(handshake.as_bytes()).await.unwrap();
    within(read_head(&mut stream)).await.unwrap();
    within(half.recv()).await.unwrap();
    assert_eq!(read_exact(&mut stream, 5).await, b"\x81\x06abc");

    edge.drain();
    within(async { while TcpStream::connect(edge.address).await.is_ok() {} }).await;
    go_on.send(()).unwrap();
    assert_eq!(read_to_end(&mut stream).await, b"def\x88\x02\x03\xe9");
    drop(stream);
    within(edge.ended()).await;
}

#[tokio::test]
async fn what_is_still_open_after_the_drain_time_is_cut_off() {
    let (address, _) = upstream(|mut stream, _| async move {
        read_to_end(&mut stream).await;
    })
    .await;
    let limits = Limits { drain: Duration::from_millis(200), ..Limits::default() };
    let edge = start_with(address, limits, &[]);
    let mut stream = edge.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    until(|| edge.counters.read().requests == 1).await;
    let begun = Instant::now();
    edge.drain();
    within(edge.ended()).await;
    assert!(begun.elapsed() >= Duration::from_millis(200));
    assert_eq!(read_to_end(&mut stream).await, b"");
}

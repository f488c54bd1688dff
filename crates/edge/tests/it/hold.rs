//! A hold: requests wait for the next server.

use std::sync::Arc;
use std::time::Duration;

use edge::{Edge, Hold, Limits};
use futures_util::{SinkExt, StreamExt};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::protocol::{Message, frame::coding::CloseCode};

use crate::parts::{Running, mirror, nowhere, read_head, serve, until, within};
use crate::websocket::{echo_server, open};

const PASS: &str = "a word that nobody guesses";

fn start(upstream: std::net::SocketAddr, limits: Limits) -> (Running, Arc<Hold>) {
    let hold = Arc::<Hold>::default();
    let edge = Edge::bind(([127, 0, 0, 1], 0).into(), upstream, limits).unwrap();
    (serve(edge.held_by(Arc::clone(&hold))), hold)
}

#[tokio::test]
async fn requests_wait_and_go_on() {
    let (upstream, connections) = mirror().await;
    let (edge, hold) = start(upstream, Limits::default());
    hold.begin(PASS);
    let (waiting, end) = tokio::join!(edge.get("/a"), async {
        until(|| edge.counters.read().requests == 1).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(connections.load(std::sync::atomic::Ordering::SeqCst), 0);
        hold.end()
    });
    assert!(end);
    assert_eq!(waiting.status, 200);
    assert!(!hold.end(), "it is over");
    assert_eq!(edge.get("/b").await.status, 200);
}

#[tokio::test]
async fn the_pass_goes_through_and_is_not_passed_on() {
    let limits = Limits { hold: Duration::from_millis(300), ..Limits::default() };
    let (edge, hold) = start(mirror().await.0, limits);
    hold.begin(PASS);
    let with = |pass: &str| {
        format!("GET / HTTP/1.1\r\nHost: chat\r\nX-Mainstay-Pass: {pass}\r\nConnection: close\r\n\r\n")
    };
    let passed = edge.ask(&with(PASS)).await;
    assert_eq!(passed.status, 200);
    assert!(!passed.body.to_lowercase().contains("x-mainstay-pass"), "{}", passed.body);
    for wrong in ["a word that nobody guesseS", "", "a word"] {
        assert_eq!(edge.ask(&with(wrong)).await.status, 503, "{wrong}");
    }
}

#[tokio::test]
async fn whoever_has_waited_too_long_is_told_to_come_back() {
    let limits = Limits { hold: Duration::from_millis(50), ..Limits::default() };
    let (edge, hold) = start(nowhere().await, limits);
    hold.begin(PASS);
    let late = edge.get("/api/v4/users/me").await;
    assert_eq!(late.status, 503);
    assert!(late.headers.contains(&("retry-after".into(), "10".into())), "{:?}", late.headers);
    assert!(late.body.contains("mainstay.edge.server_replaced.app_error"), "{}", late.body);
    let page = "GET / HTTP/1.1\r\nHost: chat\r\nAccept: text/html\r\nConnection: close\r\n\r\n";
    let page = edge.ask(page).await;
    assert!(page.status == 503 && page.body.contains("maintenance"), "{}", page.body);
    // Without a hold, a server that is away is told at once, and in other words.
    hold.end();
    assert!(edge.get("/api/v4/users/me").await.body.contains("server_away"));
}

#[tokio::test]
async fn a_body_is_not_read_until_the_server_is_there() {
    let (edge, hold) = start(mirror().await.0, Limits::default());
    hold.begin(PASS);
    let mut stream = edge.connect().await;
    stream
        .write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n")
        .await
        .unwrap();
    until(|| edge.counters.read().requests == 1).await;
    let early = tokio::time::timeout(Duration::from_millis(100), stream.readable()).await;
    assert!(early.is_err(), "nobody asks for the body yet");
    hold.end();
    stream.write_all(b"x").await.unwrap();
    assert!(within(read_head(&mut stream)).await.is_some());
}

#[tokio::test]
async fn websockets_are_told_and_the_next_one_waits() {
    let (edge, hold) = start(echo_server().await, Limits::default());
    let mut socket = open(&edge, &[]).await.unwrap().0;
    hold.begin(PASS);
    match within(socket.next()).await {
        Some(Ok(Message::Close(Some(close)))) => assert_eq!(close.code, CloseCode::Away),
        other => panic!("{other:?}"),
    }
    let mut tested = open(&edge, &[("x-mainstay-pass", PASS)]).await.unwrap().0;
    let (next, ()) = tokio::join!(open(&edge, &[]), async {
        tested.send(Message::text("through the hold")).await.unwrap();
        assert_eq!(within(tested.next()).await.unwrap().unwrap(), Message::text("through the hold"));
        hold.end();
    });
    let mut next = next.unwrap().0;
    next.send(Message::text("after it")).await.unwrap();
    assert_eq!(within(next.next()).await.unwrap().unwrap(), Message::text("after it"));
    tested.send(Message::text("it stays")).await.unwrap();
    assert_eq!(within(tested.next()).await.unwrap().unwrap(), Message::text("it stays"));
}

/// A server that is stopped and started again at its address, under a client that asks all the time.
#[tokio::test]
async fn nobody_sees_a_server_being_replaced() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serve_on = |listener: TcpListener| {
        let app = axum::Router::new().route("/", axum::routing::get(|| async { "ok" }));
        tokio::spawn(async move { axum::serve(listener, app).await })
    };
    let first = serve_on(listener);
    let (edge, hold) = start(address, Limits::default());
    let asking = async {
        for _ in 0..100 {
            assert_eq!(edge.get("/").await.status, 200);
        }
    };
    let replacing = async {
        for round in 0..3 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            hold.begin(PASS);
            if round == 0 {
                first.abort();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            if round == 0 {
                let socket = tokio::net::TcpSocket::new_v4().unwrap();
                socket.set_reuseaddr(true).unwrap();
                socket.bind(address).unwrap();
                serve_on(socket.listen(64).unwrap());
            }
            hold.end();
        }
    };
    tokio::join!(asking, replacing);
}

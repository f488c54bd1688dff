//! Websockets through the edge.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::ws::{Message as ServerMessage, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::any;
use edge::Limits;
use futures_util::{SinkExt, StreamExt};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, frame::coding::CloseCode};
use tokio_tungstenite::tungstenite::{self, handshake::client::Response};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::parts::{
    Reply, Running, always, mirror, read_exact, read_head, read_to_end, start, start_with, until, upstream,
    within,
};

type Socket = WebSocketStream<TcpStream>;

/// Returns every message. Refuses one origin with a 400, as Mattermost does.
pub(crate) async fn echo_server() -> SocketAddr {
    async fn websocket(headers: HeaderMap, upgrade: WebSocketUpgrade) -> axum::response::Response {
        if headers.get("origin").is_some_and(|origin| origin == "http://evil.example") {
            return (StatusCode::BAD_REQUEST, "wrong origin").into_response();
        }
        upgrade.protocols(["chat"]).on_upgrade(|mut socket| async move {
            while let Some(Ok(message)) = socket.next().await {
                if matches!(message, ServerMessage::Text(_) | ServerMessage::Binary(_)) {
                    let _ = socket.send(message).await;
                }
            }
        })
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().route("/api/v4/websocket", any(websocket));
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

pub(crate) async fn open(
    edge: &Running,
    extra: &[(&'static str, &'static str)],
) -> tungstenite::Result<(Socket, Response)> {
    let mut request = format!("ws://{}/api/v4/websocket", edge.address).into_client_request()?;
    for (name, value) in extra {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    within(client_async(request, edge.connect().await)).await
}

#[tokio::test]
async fn messages_and_the_closing_handshake_pass() {
    let edge = start(echo_server().await);
    let (mut socket, response) = open(&edge, &[("sec-websocket-protocol", "chat")]).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
    assert_eq!(edge.counters.read().websockets, 1);

    for len in [0, 1, 125, 126, 65_535, 65_536, 1 << 20] {
        let sent = Message::binary(vec![7; len]);
        socket.send(sent.clone()).await.unwrap();
        let message = within(socket.next()).await.unwrap().unwrap();
        assert!(message == sent, "{len} bytes");
    }

    let goodbye = CloseFrame { code: CloseCode::Library(4001), reason: "mine".into() };
    socket.close(Some(goodbye.clone())).await.unwrap();
    match within(socket.next()).await {
        Some(Ok(Message::Close(Some(answer)))) => assert_eq!(answer, goodbye),
        other => panic!("{other:?}"),
    }
    assert!(within(socket.next()).await.is_none());
    until(|| edge.counters.read().websockets == 0 && edge.counters.read().connections == 0).await;
}

#[tokio::test]
async fn a_refusal_is_passed_on_as_it_is() {
    let edge = start(echo_server().await);
    let refused = open(&edge, &[("origin", "http://evil.example")]).await.unwrap_err();
    let tungstenite::Error::Http(response) = refused else { panic!("{refused}") };
    assert_eq!(response.status(), 400);
    assert_eq!(response.body().as_deref(), Some(&b"wrong origin"[..]));
    assert_eq!(edge.counters.read().upstream_errors, 0);
}

const HANDSHAKE: &str = "GET /api/v4/websocket HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://a\r\n\r\n";

#[tokio::test]
async fn the_handshake_as_each_side_sees_it() {
    let (told, mut heads) = tokio::sync::mpsc::unbounded_channel();
    let (address, _) = upstream(move |mut stream, _| {
        let told = told.clone();
        async move {
            told.send(read_head(&mut stream).await.unwrap()).unwrap();
            // The first frame is sent in the same packet as the answer.
            stream
                .write_all(
                    b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
                      Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nX-Own: 1\r\n\r\n\x81\x02hi",
                )
                .await
                .unwrap();
            let echo = read_exact(&mut stream, 6).await;
            stream.write_all(&echo).await.unwrap();
        }
    })
    .await;
    let edge = start(address);
    let mut stream = edge.connect().await;
    // The client does not wait for the answer, either.
    stream.write_all(format!("{HANDSHAKE}\u{1}\u{2}\u{3}456").as_bytes()).await.unwrap();

    let head = within(heads.recv()).await.unwrap();
    for line in [
        "connection: Upgrade",
        "upgrade: websocket",
        "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
        "origin: http://a",
        "host: a",
        "x-forwarded-for: 127.0.0.1",
    ] {
        assert!(head.lines().any(|found| found == line), "{line} in {head}");
    }
    let reply = Reply::parse(within(read_head(&mut stream)).await.unwrap().as_bytes());
    assert_eq!(reply.status, 101);
    assert_eq!(reply.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(reply.header("connection"), Some("Upgrade"));
    assert_eq!(reply.header("upgrade"), Some("websocket"));
    assert_eq!(reply.header("x-own"), Some("1"));
    assert_eq!(read_exact(&mut stream, 10).await, b"\x81\x02hi\x01\x02\x03456");
}

#[tokio::test]
async fn only_the_websocket_upgrade_is_passed_on() {
    let edge = start(mirror().await.0);
    for (upgrade, connection) in [("h2c", "Upgrade, HTTP2-Settings, close"), ("websocket", "close")] {
        let request = format!(
            "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: {upgrade}\r\nConnection: {connection}\r\nHTTP2-Settings: x\r\n\r\n"
        );
        let reply = edge.ask(&request).await;
        assert_eq!(reply.status, 200, "{upgrade}");
        assert!(!reply.body.contains("upgrade:"), "{}", reply.body);
    }
}

#[tokio::test]
async fn a_switch_to_another_protocol_is_not_passed_on() {
    let edge = start(
        always("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: tea\r\n\r\n").await,
    );
    let mut stream = edge.connect().await;
    stream.write_all(HANDSHAKE.as_bytes()).await.unwrap();
    let reply = Reply::parse(within(read_head(&mut stream)).await.unwrap().as_bytes());
    assert_eq!(reply.status, 502);
}

#[tokio::test]
async fn a_silent_websocket_is_closed() {
    let limits = Limits { websocket_idle: Duration::from_millis(150), ..Limits::default() };
    let edge = start_with(echo_server().await, limits, &[]);
    let (mut socket, _) = open(&edge, &[]).await.unwrap();
    let end = within(socket.next()).await;
    assert!(!matches!(end, Some(Ok(_))), "{end:?}");
    until(|| edge.counters.read().connections == 0).await;
}

#[tokio::test]
async fn when_the_server_dies_its_websockets_end() {
    let (address, _) = upstream(|mut stream, _| async move {
        read_head(&mut stream).await;
        let answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
        stream.write_all(answer.as_bytes()).await.unwrap();
        read_exact(&mut stream, 4).await;
    })
    .await;
    let edge = start(address);
    let mut stream = edge.connect().await;
    stream.write_all(HANDSHAKE.as_bytes()).await.unwrap();
    within(read_head(&mut stream)).await.unwrap();
    stream.write_all(b"dead").await.unwrap();
    assert_eq!(read_to_end(&mut stream).await, b"");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_websockets() {
    let wanted = sockets_that_fit(1000);
    let limits = Limits { max_connections: 2 * wanted, ..Limits::default() };
    let edge = start_with(echo_server().await, limits, &[]);
    let mut sockets = Vec::new();
    for _ in 0..wanted {
        sockets.push(open(&edge, &[]).await.unwrap().0);
    }
    assert_eq!(edge.counters.read().websockets, wanted as u64);
    for (n, socket) in sockets.iter_mut().enumerate() {
        socket.send(Message::text(n.to_string())).await.unwrap();
    }
    for (n, socket) in sockets.iter_mut().enumerate() {
        let message = within(socket.next()).await.unwrap().unwrap();
        assert_eq!(message.to_text().unwrap(), n.to_string());
    }
    drop(sockets);
    until(|| edge.counters.read().connections == 0).await;
}

/// Each needs four descriptors in this process: the client's, two of the edge's, and the server's.
fn sockets_that_fit(wanted: usize) -> usize {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    let most = limit.current.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
    wanted.min(most.saturating_sub(400) / 4)
}

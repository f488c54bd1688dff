//! The edge over TLS, by a transport that this test brings along.
//!
//! The edge knows nothing of certificates. This shows that it needs no change to serve over TLS.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use edge::{ConnectionInfo, Edge, Limits, Tls, Transport};
use futures_util::{SinkExt, StreamExt};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::protocol::{Message, frame::coding::CloseCode};

use crate::parts::{
    MIB, Reply, Running, always, mirror, read_head, read_to_end, serve, until, upstream, within,
};
use crate::websocket::echo_server;

const HOST: &str = "chat.example";

/// All that a transport has to do to end TLS.
#[derive(Clone)]
struct Acceptor {
    tls: TlsAcceptor,
    seen: Arc<Mutex<Vec<ConnectionInfo>>>,
}

impl Transport for Acceptor {
    type Stream = server::TlsStream<TcpStream>;

    async fn accept(
        &self,
        socket: TcpStream,
        mut info: ConnectionInfo,
    ) -> io::Result<(Self::Stream, ConnectionInfo)> {
        let stream = self.tls.accept(socket).await?;
        info.tls = Tls::Here { server_name: stream.get_ref().1.server_name().map(str::to_owned) };
        self.seen.lock().unwrap().push(info.clone());
        Ok((stream, info))
    }
}

/// An edge over TLS, what its clients need to connect, and what its transport learned.
struct Secure {
    edge: Running,
    connector: TlsConnector,
    seen: Arc<Mutex<Vec<ConnectionInfo>>>,
}

impl Secure {
    fn start(upstream: SocketAddr, limits: Limits) -> Secure {
        let made = rcgen::generate_simple_self_signed([HOST.to_owned()]).unwrap();
        let certificate = made.cert.der().clone();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate).unwrap();
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let seen = Arc::default();
        let acceptor = Acceptor { tls: TlsAcceptor::from(Arc::new(server)), seen: Arc::clone(&seen) };
        let edge = Edge::bind(([127, 0, 0, 1], 0).into(), upstream, limits).unwrap().over(acceptor);
        Secure { edge: serve(edge), connector: TlsConnector::from(Arc::new(client)), seen }
    }

    async fn connect(&self) -> client::TlsStream<TcpStream> {
        let name = ServerName::try_from(HOST).unwrap();
        within(self.connector.connect(name, self.edge.connect().await)).await.unwrap()
    }

    async fn ask(&self, request: &str) -> Reply {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        within(stream.read_to_end(&mut bytes)).await.unwrap();
        Reply::parse(&bytes)
    }

    async fn websocket(&self) -> WebSocketStream<client::TlsStream<TcpStream>> {
        let url = format!("wss://{HOST}/api/v4/websocket");
        let stream = self.connect().await;
        within(Box::pin(client_async(url, stream))).await.unwrap().0
    }
}

const GET: &str = "GET / HTTP/1.1\r\nHost: chat.example\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn the_server_learns_that_the_client_used_tls() {
    let secure = Secure::start(mirror().await.0, Limits::default());
    let forged =
        "GET / HTTP/1.1\r\nHost: chat.example\r\nX-Forwarded-Proto: http\r\nConnection: close\r\n\r\n";
    let reply = secure.ask(forged).await;
    assert_eq!(reply.status, 200);
    for line in ["x-forwarded-proto: https", "x-forwarded-for: 127.0.0.1", "host: chat.example"] {
        assert!(reply.body.lines().any(|found| found == line), "{line} in {}", reply.body);
    }
    let seen = secure.seen.lock().unwrap();
    let [info] = &seen[..] else { panic!("{seen:?}") };
    assert_eq!(info.local, secure.edge.address);
    assert!(info.peer.ip().is_loopback() && info.peer.port() != 0, "{info:?}");
    assert_eq!(info.tls, Tls::Here { server_name: Some(HOST.to_owned()) });
}

#[tokio::test]
async fn bodies_stream_over_tls() {
    let (address, _) = upstream(|mut stream, _| async move {
        read_head(&mut stream).await.unwrap();
        let mut body = vec![0; 4 * MIB];
        stream.read_exact(&mut body).await.unwrap();
        stream
            .write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes())
            .await
            .unwrap();
        stream.write_all(&body).await.unwrap();
    })
    .await;
    let secure = Secure::start(address, Limits::default());
    let body: String = ('a'..='z').cycle().take(4 * MIB).collect();
    let head =
        format!("POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    let reply = secure.ask(&format!("{head}{body}")).await;
    assert_eq!(reply.status, 200);
    assert!(reply.body == body, "{} bytes came back", reply.body.len());
}

#[tokio::test]
async fn a_websocket_over_tls_is_relayed_and_gets_a_close_frame() {
    let secure = Secure::start(echo_server().await, Limits::default());
    let mut socket = secure.websocket().await;
    for len in [0, 1, 125, 65_536, MIB] {
        let sent = Message::binary(vec![7; len]);
        socket.send(sent.clone()).await.unwrap();
        assert!(within(socket.next()).await.unwrap().unwrap() == sent, "{len} bytes");
    }
    assert_eq!(secure.edge.counters.read().websockets, 1);
    secure.edge.drain();
    match within(socket.next()).await {
        Some(Ok(Message::Close(Some(close)))) => assert_eq!(close.code, CloseCode::Away),
        other => panic!("{other:?}"),
    }
    assert!(within(socket.next()).await.is_none());
    drop(socket);
    within(secure.edge.ended()).await;
}

#[tokio::test]
async fn a_full_edge_says_so_over_tls() {
    let limits = Limits { max_connections: 1, ..Limits::default() };
    let secure = Secure::start(always("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await, limits);
    let other = secure.connect().await;
    until(|| secure.edge.counters.read().connections == 1).await;
    assert_eq!(secure.ask(GET).await.status, 503);
    assert_eq!(secure.edge.counters.read().turned_away, 1);
    drop(other);
    until(|| secure.edge.counters.read().connections == 0).await;
    assert_eq!(secure.ask(GET).await.body, "ok");
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_cut_off() {
    let limits = Limits { headers_timeout: Duration::from_millis(150), ..Limits::default() };
    let secure = Secure::start(mirror().await.0, limits);
    let mut silent = secure.edge.connect().await;
    assert_eq!(read_to_end(&mut silent).await, b"");
    let mut plain = secure.edge.connect().await;
    plain.write_all(GET.as_bytes()).await.unwrap();
    let answer = read_to_end(&mut plain).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    until(|| secure.edge.counters.read().connections == 0).await;
    assert_eq!(secure.edge.counters.read().requests, 0);
}

#[tokio::test]
async fn an_unfinished_handshake_does_not_delay_the_drain() {
    let secure = Secure::start(mirror().await.0, Limits::default());
    let _silent = secure.edge.connect().await;
    until(|| secure.edge.counters.read().connections == 1).await;
    secure.edge.drain();
    within(secure.edge.ended()).await;
}

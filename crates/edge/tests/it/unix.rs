//! An upstream that listens on a Unix socket.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use edge::{Edge, Limits};
use futures_util::future::join_all;
use rand::random;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixSocket, UnixStream};

use crate::parts::{Reply, read_exact, read_to_end, serve, start, within};

/// A path for a socket, which is removed at the end.
struct Place(PathBuf);

impl Place {
    fn new() -> Arc<Place> {
        Arc::new(Place(std::env::temp_dir().join(format!("edge-{:016x}.sock", random::<u64>()))))
    }

    fn path(&self) -> &Path {
        &self.0
    }

    fn bind(&self) -> UnixListener {
        UnixListener::bind(&self.0).unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

async fn head_of(stream: &mut UnixStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

async fn answer(stream: &mut UnixStream, body: &str) {
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(answer.as_bytes()).await.unwrap();
}

#[tokio::test]
async fn a_request_an_early_answer_and_a_server_that_is_gone() {
    let place = Place::new();
    let edge = start(place.path().to_owned());
    assert_eq!(edge.get("/").await.status, 503, "the socket is not there yet");
    let listener = place.bind();
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let head = head_of(&mut stream).await;
        answer(&mut stream, &head).await;
        drop(stream);
        // Refused before its body, and closed with the body unread.
        let (mut stream, _) = listener.accept().await.unwrap();
        head_of(&mut stream).await;
        let refused = b"HTTP/1.1 413 Payload Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig";
        stream.write_all(refused).await.unwrap();
    });
    let echoed = edge.ask("GET /x HTTP/1.0\r\nX-Real-IP: 3.3.3.3\r\n\r\n").await.body.to_lowercase();
    assert!(echoed.contains("x-real-ip: 127.0.0.1\r\n") && echoed.contains("host: localhost"), "{echoed}");
    let mut stream = edge.connect().await;
    let head = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5000000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![0; 1_000_000]).await.unwrap();
    let reply = Reply::parse(&read_to_end(&mut stream).await);
    assert_eq!((reply.status, &*reply.body), (413, "big"));
    within(serving).await.unwrap();
    // The file is still there, as after a kill.
    assert_eq!(edge.get("/").await.status, 503);
}

#[tokio::test]
async fn a_websocket() {
    let place = Place::new();
    let listener = place.bind();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        head_of(&mut stream).await;
        let agreed = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
        stream.write_all(agreed).await.unwrap();
        let mut echoed = [0; 4];
        stream.read_exact(&mut echoed).await.unwrap();
        stream.write_all(&echoed).await.unwrap();
    });
    let edge = start(place.path().to_owned());
    let mut stream = edge.connect().await;
    let asked = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    stream.write_all(asked).await.unwrap();
    let head = crate::parts::read_head(&mut stream).await.unwrap();
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    stream.write_all(b"ping").await.unwrap();
    assert_eq!(read_exact(&mut stream, 4).await, b"ping");
}

/// The system refuses a connection at once when the queue of a Unix socket is full, where TCP lets it wait.
#[tokio::test]
async fn more_connections_than_the_queue_holds_wait() {
    let place = Place::new();
    let socket = UnixSocket::new_stream().unwrap();
    socket.bind(place.path()).unwrap();
    let listener = socket.listen(1).unwrap();
    let edge =
        serve(Edge::bind(([127, 0, 0, 1], 0).into(), place.path().to_owned(), Limits::default()).unwrap());
    let asking = join_all((0..16).map(|_| edge.get("/")));
    let serving = async {
        // Until then nobody accepts.
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        for _ in 0..16 {
            let (mut stream, _) = listener.accept().await.unwrap();
            head_of(&mut stream).await;
            answer(&mut stream, "ok").await;
        }
    };
    let (replies, ()) = within(async { tokio::join!(asking, serving) }).await;
    assert!(replies.iter().all(|reply| reply.status == 200), "{replies:?}");
}

//! The access log.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use edge::Limits;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tracing_subscriber::fmt::MakeWriter;

use crate::parts::{Running, always, nowhere, read_head, start, start_with, within};
use crate::websocket::echo_server;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What `tracing` got on this thread.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Lines;

    fn make_writer(&'a self) -> Lines {
        self.clone()
    }
}

impl Lines {
    /// Until the guard is dropped.
    fn listen() -> (Lines, tracing::subscriber::DefaultGuard) {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::fmt().json().with_writer(lines.clone()).finish();
        (lines, tracing::subscriber::set_default(subscriber))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// The fields of every line of the access log.
    fn fields(&self) -> Vec<Value> {
        let lines = self.text();
        let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["target"] == "edge::access").map(|line| line["fields"].clone()).collect()
    }
}

async fn ended(edge: Running) {
    edge.drain();
    edge.ended().await;
}

#[tokio::test]
async fn who_asked_for_what_and_what_came_of_it() {
    let (lines, _guard) = Lines::listen();
    let edge = start_with(always(OK).await, Limits::default(), &["127.0.0.0/8"]);
    edge.ask(
        "GET /api/v4/users/me?access_token=SECRET HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1, 192.0.2.9\r\n\
         Authorization: Bearer SECRET\r\nCookie: MMAUTHTOKEN=SECRET\r\nConnection: close\r\n\r\n",
    )
    .await;
    edge.get("/hooks/SECRET").await;
    edge.ask("GET / HTTP/1.1\r\nHost: a b\r\n\r\n").await;
    edge.ask("nonsense\r\n\r\n").await;
    ended(edge).await;
    let fields = lines.fields();
    let seen: Vec<_> = fields
        .iter()
        .map(|line| {
            let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
            (text("client"), text("message"), line["status"].as_u64(), line["bytes"].as_u64())
        })
        .collect();
    for expected in [
        ("192.0.2.9", "GET /api/v4/users/me", 200, 2),
        ("127.0.0.1", "GET /hooks/...", 200, 2),
        ("127.0.0.1", "GET /", 400, 36),
        ("127.0.0.1", "no request was read", 400, 0),
    ] {
        let (client, message, status, bytes) = expected;
        let expected = (client.to_owned(), message.to_owned(), Some(status), Some(bytes));
        assert!(seen.contains(&expected), "{expected:?} in {seen:?}");
    }
    assert_eq!(fields.len(), 4);
    assert!(fields.iter().all(|line| line["ms"].as_u64().is_some_and(|ms| ms < 20_000)));
    assert!(!lines.text().contains("SECRET"), "{}", lines.text());
}

#[tokio::test]
async fn failures_websockets_and_clients_that_leave_are_in_it() {
    let (lines, _guard) = Lines::listen();
    let away = start(nowhere().await);
    away.get("/api/v4/posts").await;
    ended(away).await;

    let edge = start(echo_server().await);
    let (socket, _) = crate::websocket::open(&edge, &[]).await.unwrap();
    drop(socket);
    ended(edge).await;

    let (address, _) = crate::parts::upstream(|mut stream, _| async move {
        read_head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart").await;
        tokio::time::sleep(Duration::from_secs(3600)).await;
    })
    .await;
    let edge = start(address);
    let mut stream = edge.connect().await;
    stream.write_all(b"GET /leaves HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    within(read_head(&mut stream)).await.unwrap();
    drop(stream);
    ended(edge).await;

    let fields = lines.fields();
    let found = |message: &str, status: u64, complete: bool| {
        fields.iter().any(|line| {
            line["message"] == message && line["status"] == status && line["complete"] == complete
        })
    };
    assert!(found("GET /api/v4/posts", 503, true), "{fields:?}");
    assert!(found("GET /api/v4/websocket", 101, true), "{fields:?}");
    assert!(found("GET /leaves", 200, false), "{fields:?}");
}

#[tokio::test]
async fn a_flood_leaves_a_few_lines_and_its_size() {
    let (lines, _guard) = Lines::listen();
    let refused = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n";
    let edge = start(always(refused).await);
    let mut stream = edge.connect().await;
    let flood = "POST /api/v4/users/login HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n".repeat(3000);
    let last = "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let (mut reading, mut writing) = stream.split();
    let mut answers = Vec::new();
    let (wrote, read) = tokio::join!(
        async {
            writing.write_all(flood.as_bytes()).await?;
            writing.write_all(last.as_bytes()).await
        },
        tokio::io::AsyncReadExt::read_to_end(&mut reading, &mut answers)
    );
    wrote.unwrap();
    read.unwrap();
    ended(edge).await;
    let fields = lines.fields();
    assert!(fields.len() < 60, "{} lines", fields.len());
    let counted: u64 = fields.iter().filter_map(|line| line["count"].as_u64()).sum();
    assert_eq!(counted + fields.iter().filter(|line| line.get("count").is_none()).count() as u64, 3001);
}

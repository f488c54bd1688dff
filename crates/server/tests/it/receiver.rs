//! An address of an integration: it keeps what it is sent, and answers always the same.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::site::TIMEOUT;

/// A listener on loopback. It ends with the test.
pub(crate) struct Receiver {
    url: String,
    received: mpsc::UnboundedReceiver<(String, String)>,
}

impl Receiver {
    /// Answers every request with `answer` as JSON.
    pub(crate) async fn new(answer: String) -> Receiver {
        Receiver::answering("application/json", answer).await
    }

    pub(crate) async fn answering(kind: &'static str, answer: String) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let url = format!("http://{}/hook", listener.local_addr().expect("it is bound"));
        let (sender, received) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if let Some(request) = receive(stream, kind, &answer).await
                    && sender.send(request).is_err()
                {
                    break;
                }
            }
        });
        Receiver { url, received }
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// The head and the body of the next request.
    pub(crate) async fn next(&mut self) -> (String, String) {
        let received = timeout(TIMEOUT, self.received.recv()).await.expect("a request arrives in time");
        received.expect("the receiver runs")
    }

    /// Whether nothing has arrived.
    pub(crate) fn is_untouched(&mut self) -> bool {
        self.received.try_recv().is_err()
    }
}

async fn receive(mut stream: TcpStream, kind: &str, answer: &str) -> Option<(String, String)> {
    let mut bytes = Vec::new();
    let (head, body) = loop {
        let mut some = [0; 4096];
        let read = stream.read(&mut some).await.ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&some[..read]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.to_lowercase();
        let length = length.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length.and_then(|length| length.trim().parse().ok()).unwrap_or(0);
        if body.len() >= length {
            break (head.to_owned(), body.to_owned());
        }
    };
    let whole = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}",
        answer.len()
    );
    stream.write_all(whole.as_bytes()).await.ok()?;
    Some((head, body))
}

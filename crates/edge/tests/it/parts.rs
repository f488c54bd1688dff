//! What the tests are built from: a running edge, upstreams, and a client that sends exactly the bytes that it is given.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use edge::{Counters, Edge, EdgeError, Limits, Network, Silence, Transport, UpstreamAddress};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Far longer than anything here takes; reached only if something hangs.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);

pub(crate) const MIB: usize = 1 << 20;

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) counters: Arc<Counters>,
    pub(crate) silence: Arc<Silence>,
    stop: CancellationToken,
    serving: JoinHandle<Result<(), EdgeError>>,
}

impl Running {
    /// Begins to drain. [`ended`](Running::ended) waits for the end.
    pub(crate) fn drain(&self) {
        self.stop.cancel();
    }

    pub(crate) async fn ended(mut self) {
        within(&mut self.serving).await.unwrap().unwrap();
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        within(TcpStream::connect(self.address)).await.unwrap()
    }

    /// Sends one request and reads the connection to its end.
    pub(crate) async fn ask(&self, request: &str) -> Reply {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        Reply::parse(&read_to_end(&mut stream).await)
    }

    /// A GET with `Connection: close`.
    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: chat.example\r\nConnection: close\r\n\r\n")).await
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub(crate) fn start(upstream: impl Into<UpstreamAddress>) -> Running {
    start_with(upstream, Limits::default(), &[])
}

pub(crate) fn start_with(upstream: impl Into<UpstreamAddress>, limits: Limits, trusted: &[&str]) -> Running {
    let proxies: Vec<Network> = trusted.iter().map(|text| text.parse().unwrap()).collect();
    let edge = Edge::bind(([127, 0, 0, 1], 0).into(), upstream, limits).unwrap();
    serve(edge.trusting(&proxies))
}

/// Starts an edge that has been set up.
pub(crate) fn serve<T: Transport>(edge: Edge<T>) -> Running {
    let stop = CancellationToken::new();
    Running {
        address: edge.local_addr(),
        counters: edge.counters(),
        silence: edge.silence(),
        serving: tokio::spawn(edge.serve(stop.clone())),
        stop,
    }
}

/// An upstream that passes each connection and its number, from 0, to `handle`. Returns how many there were, too.
pub(crate) async fn upstream<F, R>(handle: F) -> (SocketAddr, Arc<AtomicUsize>)
where
    F: Fn(TcpStream, usize) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(handle(stream, counted.fetch_add(1, SeqCst)));
        }
    });
    (address, count)
}

/// An upstream that gives the same answer to every request.
pub(crate) async fn always(answer: &'static str) -> SocketAddr {
    let handle = move |mut stream: TcpStream, _| async move {
        while read_head(&mut stream).await.is_some() {
            if stream.write_all(answer.as_bytes()).await.is_err() {
                break;
            }
        }
    };
    upstream(handle).await.0
}

/// An upstream that answers every request with the request's own head.
pub(crate) async fn mirror() -> (SocketAddr, Arc<AtomicUsize>) {
    upstream(|mut stream, _| async move {
        while let Some(head) = read_head(&mut stream).await {
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{head}", head.len());
            if stream.write_all(answer.as_bytes()).await.is_err() {
                break;
            }
        }
    })
    .await
}

/// An address on which nothing listens.
pub(crate) async fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// The head of one message, including the empty line. None if the connection ends first.
pub(crate) async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8(head).unwrap())
}

pub(crate) async fn read_exact(stream: &mut TcpStream, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    within(stream.read_exact(&mut bytes)).await.unwrap();
    bytes
}

/// Everything until the connection ends, cleanly or not.
pub(crate) async fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A reset also ends it; the bytes before it are kept.
    let _ = within(stream.read_to_end(&mut bytes)).await;
    bytes
}

pub(crate) async fn within<T>(work: impl Future<Output = T>) -> T {
    timeout(TIMEOUT, work).await.expect("it ends in time")
}

/// Waits until `holds` returns true.
pub(crate) async fn until(holds: impl Fn() -> bool) {
    within(async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// What came back on a connection.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// In order, with names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// Everything after the head, not decoded.
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn parse(bytes: &[u8]) -> Reply {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
        Reply {
            status: status.unwrap_or(0),
            headers: lines
                .filter_map(|line| line.split_once(": "))
                .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
                .collect(),
            body: body.to_owned(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

//! Too many, too slow, too large, and plain noise.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use edge::{Edge, EdgeError, Limits};
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::parts::{Reply, always, mirror, read_head, read_to_end, start, start_with, until, within};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[tokio::test]
async fn one_too_many_is_told_so_at_once() {
    let limits = Limits { max_connections: 3, ..Limits::default() };
    let edge = start_with(always(OK).await, limits, &[]);
    let mut guests = Vec::new();
    for _ in 0..3 {
        guests.push(edge.connect().await);
    }
    until(|| edge.counters.read().connections == 3).await;

    let reply = edge.get("/").await;
    assert_eq!(reply.status, 503);
    assert_eq!(reply.header("connection"), Some("close"));
    assert_eq!(reply.header("content-length"), Some(reply.body.len().to_string().as_str()));
    assert_eq!(edge.counters.read().turned_away, 1);

    guests.pop();
    until(|| edge.counters.read().connections == 2).await;
    assert_eq!(edge.get("/").await.body, "ok");
}

#[tokio::test]
async fn a_head_that_never_ends() {
    let limits = Limits { headers_timeout: Duration::from_millis(150), ..Limits::default() };
    let edge = start_with(always(OK).await, limits, &[]);
    for begun in ["", "GET / HT", "GET / HTTP/1.1\r\nHost: a\r\nX-Slow:"] {
        let mut stream = edge.connect().await;
        stream.write_all(begun.as_bytes()).await.unwrap();
        read_to_end(&mut stream).await;
    }
    until(|| edge.counters.read().connections == 0).await;
    assert_eq!(edge.counters.read().requests, 0);
}

#[tokio::test]
async fn heads_of_any_size_up_to_the_limit() {
    let edge = start(mirror().await.0);
    let ask = async |bytes: usize| {
        let filler = "x".repeat(bytes);
        edge.ask(&format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Filler: {filler}\r\n\r\n"))
            .await
    };
    assert_eq!(ask(60 * 1024).await.status, 200);
    assert_eq!(ask(65 * 1024).await.status, 431);
    let lines: String = (0..200).map(|n| format!("X-{n}: 1\r\n")).collect();
    let reply = edge.ask(&format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n")).await;
    assert_eq!(reply.status, 431);
}

#[tokio::test]
async fn noise_is_refused_and_harms_nobody() {
    let edge = start(always(OK).await);
    let mut noise = StdRng::seed_from_u64(7);
    for _ in 0..200 {
        let mut bytes = vec![0; noise.random_range(1..2000)];
        noise.fill_bytes(&mut bytes);
        // A complete line, so that there is something to judge.
        bytes.extend_from_slice(b"\r\n\r\n");
        let mut stream = edge.connect().await;
        let _ = stream.write_all(&bytes).await;
        let reply = Reply::parse(&read_to_end(&mut stream).await);
        // 0: closed without a word, as for bytes that begin like HTTP/2.
        assert!(matches!(reply.status, 0 | 400), "{bytes:?}: {reply:?}");
    }
    assert_eq!(edge.counters.read().requests, 0);
    assert_eq!(edge.get("/").await.body, "ok");
}

/// Damaged requests reach further than noise.
#[tokio::test]
async fn damaged_requests_harm_nobody() {
    let edge = start(always(OK).await);
    let mut dice = StdRng::seed_from_u64(8);
    let whole = b"POST /api/v4/posts?a=b HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: close\r\n\
        Transfer-Encoding: chunked\r\nUpgrade: websocket\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    for _ in 0..500 {
        let mut bytes = whole.to_vec();
        for _ in 0..dice.random_range(1..6) {
            let at = dice.random_range(0..bytes.len());
            match dice.random_range(0..3) {
                0 => bytes[at] = dice.random(),
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, dice.random()),
            }
        }
        let mut stream = edge.connect().await;
        let _ = stream.write_all(&bytes).await;
        let _ = stream.shutdown().await;
        read_to_end(&mut stream).await;
    }
    assert_eq!(edge.get("/").await.body, "ok");
    until(|| edge.counters.read().connections == 0).await;
}

#[tokio::test]
async fn an_address_that_cannot_be_had() {
    let first =
        Edge::bind(([127, 0, 0, 1], 0).into(), ([127, 0, 0, 1], 1).into(), Limits::default()).unwrap();
    let taken = first.local_addr();
    let error = Edge::bind(taken, taken, Limits::default()).unwrap_err();
    assert!(matches!(error, EdgeError::InUse { address } if address == taken), "{error}");

    // Kept for documentation (RFC 5737): no machine's.
    let foreign: SocketAddr = ([203, 0, 113, 7], 8065).into();
    let error = Edge::bind(foreign, taken, Limits::default()).unwrap_err();
    assert!(matches!(error, EdgeError::NotOurs { .. }), "{error}");
    assert!(error.to_string().contains("203.0.113.7:8065"), "{error}");
}

/// The example of this name.
pub(crate) fn relay() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let relay = test.ancestors().nth(2).unwrap().join("examples/relay");
    assert!(
        relay.exists(),
        "first: cargo build -p edge --example relay (`cargo test -p edge` does it by itself)"
    );
    relay
}

/// A process of its own, with few descriptors.
struct Cramped {
    process: Child,
    address: SocketAddr,
}

impl Cramped {
    fn start(upstream: SocketAddr, descriptors: usize) -> Cramped {
        use std::io::{BufRead, BufReader};
        let mut process = Command::new("sh")
            .args(["-c", &format!("ulimit -n {descriptors}; exec \"$0\" 127.0.0.1:0 {upstream} 1000")])
            .arg(relay())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Cramped { process, address: line.trim().parse().unwrap() }
    }

    /// Processor time used so far, in clock ticks (1/100 s).
    fn ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }
}

impl Drop for Cramped {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn without_descriptors_it_waits_and_recovers() {
    let cramped = Cramped::start(always(OK).await, 40);
    let mut guests = Vec::new();
    for _ in 0..80 {
        guests.push(within(TcpStream::connect(cramped.address)).await.unwrap());
    }
    // The last one is not served while the others hold every descriptor; waiting costs next to nothing.
    let before = cramped.ticks();
    let begun = Instant::now();
    let mut last = guests.pop().unwrap();
    last.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    let early = tokio::time::timeout(Duration::from_secs(1), read_head(&mut last)).await;
    assert!(early.is_err(), "served without descriptors? {early:?}");
    let busy = Duration::from_millis(10 * (cramped.ticks() - before));
    assert!(busy < begun.elapsed() / 4, "{busy:?} of processor time while waiting {:?}", begun.elapsed());

    drop(guests);
    assert_eq!(Reply::parse(&read_to_end(&mut last).await).body, "ok");
}

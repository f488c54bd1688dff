//! Clients that are too many, too slow or too large, or send nonsense.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use edge::{Edge, EdgeError, Limits};
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::parts::{Reply, always, read_head, read_to_end, start, start_with, until, within};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[tokio::test]
async fn a_full_edge_answers_at_once() {
    let limits = Limits { max_connections: 3, ..Limits::default() };
    let edge = start_with(always(OK).await, limits, &[]);
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(edge.connect().await);
    }
    until(|| edge.counters.read().connections == 3).await;

    let reply = edge.get("/").await;
    assert_eq!(reply.status, 503);
    assert_eq!(reply.header("connection"), Some("close"));
    assert_eq!(reply.header("content-length"), Some(reply.body.len().to_string().as_str()));
    assert_eq!(edge.counters.read().turned_away, 1);

    clients.pop();
    until(|| edge.counters.read().connections == 2).await;
    assert_eq!(edge.get("/").await.body, "ok");
}

#[tokio::test]
async fn a_head_that_never_ends_is_cut_off() {
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
async fn random_bytes_are_refused_and_the_edge_goes_on() {
    let edge = start(always(OK).await);
    let mut random = StdRng::seed_from_u64(7);
    for _ in 0..200 {
        let mut bytes = vec![0; random.random_range(1..2000)];
        random.fill_bytes(&mut bytes);
        // The end of a head, so that the edge has something to answer.
        bytes.extend_from_slice(b"\r\n\r\n");
        let mut stream = edge.connect().await;
        let _ = stream.write_all(&bytes).await;
        let reply = Reply::parse(&read_to_end(&mut stream).await);
        // 0: closed without an answer, as for bytes that begin like HTTP/2.
        assert!(matches!(reply.status, 0 | 400), "{bytes:?}: {reply:?}");
    }
    assert_eq!(edge.counters.read().requests, 0);
    assert_eq!(edge.get("/").await.body, "ok");
}

/// Damaged requests get further into the parser than random bytes.
#[tokio::test]
async fn damaged_requests_do_not_stop_the_edge() {
    let edge = start(always(OK).await);
    let mut random = StdRng::seed_from_u64(8);
    let whole = b"POST /api/v4/posts?a=b HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: close\r\n\
        Transfer-Encoding: chunked\r\nUpgrade: websocket\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    for _ in 0..500 {
        let mut bytes = whole.to_vec();
        for _ in 0..random.random_range(1..6) {
            let at = random.random_range(0..bytes.len());
            match random.random_range(0..3) {
                0 => bytes[at] = random.random(),
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, random.random()),
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
async fn an_address_that_is_in_use_or_not_of_this_machine() {
    let first =
        Edge::bind(([127, 0, 0, 1], 0).into(), SocketAddr::from(([127, 0, 0, 1], 1)), Limits::default())
            .unwrap();
    let taken = first.local_addr();
    let error = Edge::bind(taken, taken, Limits::default()).unwrap_err();
    assert!(matches!(error, EdgeError::InUse { address } if address == taken), "{error}");

    // Reserved for documentation (RFC 5737), so no machine has it.
    let foreign: SocketAddr = ([203, 0, 113, 7], 8065).into();
    let error = Edge::bind(foreign, taken, Limits::default()).unwrap_err();
    assert!(matches!(error, EdgeError::NotOurs { .. }), "{error}");
    assert!(error.to_string().contains("203.0.113.7:8065"), "{error}");
}

/// Path of the example `relay`.
pub(crate) fn relay() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let relay = test.ancestors().nth(2).unwrap().join("examples/relay");
    assert!(
        relay.exists(),
        "first: cargo build -p edge --example relay (`cargo test -p edge` does it by itself)"
    );
    relay
}

/// An edge in a process of its own, which has few descriptors.
struct FewDescriptors {
    process: Child,
    address: SocketAddr,
}

impl FewDescriptors {
    fn start(upstream: SocketAddr, descriptors: usize) -> FewDescriptors {
        use std::io::{BufRead, BufReader};
        let mut process = Command::new("sh")
            .args(["-c", &format!("ulimit -n {descriptors}; exec \"$0\" 127.0.0.1:0 {upstream} 1000")])
            .arg(relay())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        FewDescriptors { process, address: line.trim().parse().unwrap() }
    }

    /// Processor time used so far, in clock ticks (1/100 s).
    fn ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }
}

impl Drop for FewDescriptors {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn without_descriptors_it_waits_and_recovers() {
    let edge = FewDescriptors::start(always(OK).await, 40);
    let mut clients = Vec::new();
    for _ in 0..80 {
        clients.push(within(TcpStream::connect(edge.address)).await.unwrap());
    }
    // The last one is not served while the others hold every descriptor. Waiting takes hardly any processor time.
    let before = edge.ticks();
    let begun = Instant::now();
    let mut last = clients.pop().unwrap();
    last.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    let early = tokio::time::timeout(Duration::from_secs(1), read_head(&mut last)).await;
    assert!(early.is_err(), "served without descriptors? {early:?}");
    let busy = Duration::from_millis(10 * (edge.ticks() - before));
    assert!(busy < begun.elapsed() / 4, "{busy:?} of processor time while waiting {:?}", begun.elapsed());

    drop(clients);
    assert_eq!(Reply::parse(&read_to_end(&mut last).await).body, "ok");
}

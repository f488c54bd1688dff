//! The largest heads that pass, on both sides, and heads that were made up.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use edge::{HEAD_BYTES, HEAD_LINES, Limits};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use tokio::io::AsyncWriteExt;

use crate::parts::{Reply, mirror, read_head, read_to_end, start, start_with, upstream};

/// `start` and a filler, so that the head has exactly so many bytes.
fn head_of(start: &str, bytes: usize) -> String {
    let filler = bytes - start.len() - "X-Filler: \r\n\r\n".len();
    format!("{start}X-Filler: {}\r\n\r\n", "x".repeat(filler))
}

/// `start` and more lines, so that the head has exactly so many header lines.
fn lines_of(start: &str, lines: usize) -> String {
    let more: String = (start.matches("\r\n").count() - 1..lines).map(|n| format!("X-{n}: 1\r\n")).collect();
    format!("{start}{more}\r\n")
}

#[tokio::test]
async fn requests_up_to_the_limit_pass() {
    let edge = start(mirror().await.0);
    let start = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";
    for (head, status) in [
        (head_of(start, 16 * 1024), 200),
        (head_of(start, HEAD_BYTES), 200),
        (head_of(start, HEAD_BYTES + 1), 431),
        (head_of(start, 2 * HEAD_BYTES), 431),
        (lines_of(start, HEAD_LINES), 200),
        (lines_of(start, HEAD_LINES + 1), 431),
        (lines_of(start, 5000), 431),
    ] {
        assert_eq!(edge.ask(&head).await.status, status, "{} bytes", head.len());
    }
}

#[tokio::test]
async fn answers_up_to_the_limit_pass() {
    let start_line = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n";
    for (head, status) in [
        (head_of(start_line, HEAD_BYTES), 200),
        (head_of(start_line, HEAD_BYTES + 1), 502),
        (lines_of(start_line, HEAD_LINES), 200),
        (lines_of(start_line, HEAD_LINES + 1), 502),
    ] {
        let (len, lines) = (head.len(), head.matches("\r\n").count());
        let (address, _) = upstream(move |mut stream, _| {
            let answer = format!("{head}ok");
            async move {
                read_head(&mut stream).await;
                let _ = stream.write_all(answer.as_bytes()).await;
                read_to_end(&mut stream).await;
            }
        })
        .await;
        let reply = start(address).get("/").await;
        assert_eq!(reply.status, status, "{len} bytes, {lines} lines");
        assert!(status != 200 || reply.body == "ok");
    }
}

#[tokio::test]
async fn chunk_extensions_and_trailers_are_bounded() {
    let (address, _) = upstream(|mut stream, _| async move {
        read_to_end(&mut stream).await;
    })
    .await;
    // The last one is valid so far, but brings no byte of the body.
    let limits = Limits { upload_pause: Duration::from_secs(2), ..Limits::default() };
    let edge = start_with(address, limits, &[]);
    let post = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for body in [
        format!("2;{}\r\nhi\r\n", "x".repeat(200_000)),
        "nothing\r\n".to_owned(),
        "2\r\nmore than two\r\n".to_owned(),
        "1;a=b\r\nx\r\n".repeat(100_000),
        format!("1\r\nx\r\n0\r\n{}", "X-T: 1\r\n".repeat(50_000)),
        format!("1\r\nx\r\n0\r\nX: {}", "x".repeat(500_000)),
        format!("{}1\r\n", "0".repeat(100_000)),
    ] {
        let mut stream = edge.connect().await;
        let _ = stream.write_all(format!("{post}{body}").as_bytes()).await;
        let reply = Reply::parse(&read_to_end(&mut stream).await);
        // The last one is only late.
        let expected = if body.ends_with("01\r\n") { 408 } else { 400 };
        assert_eq!(reply.status, expected, "{body:.40}: {reply:?}");
    }
    assert_eq!(edge.counters.read().upstream_errors, 0);
}

#[tokio::test]
async fn a_client_of_http_1_0_may_keep_its_connection() {
    let (address, connections) = mirror().await;
    let edge = start(address);
    let mut stream = edge.connect().await;
    for n in 0..3 {
        let request = format!("GET /{n} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let head = crate::parts::within(read_head(&mut stream)).await.unwrap();
        let reply = Reply::parse(head.as_bytes());
        let length = reply.header("content-length").unwrap().parse().unwrap();
        let mirrored = crate::parts::read_exact(&mut stream, length).await;
        assert!(mirrored.starts_with(format!("GET /{n} HTTP/1.1\r\n").as_bytes()));
    }
    assert_eq!(connections.load(SeqCst), 1);
}

/// Whatever head a client makes up: the server gets at most the one request that was sent, in a form that it cannot misread, and
/// the edge answers or closes the connection.
#[tokio::test]
async fn made_up_heads_have_one_meaning_or_none() {
    let seen = Arc::new(Mutex::new(Vec::<String>::new()));
    let heads = Arc::clone(&seen);
    let (address, _) = upstream(move |mut stream, _| {
        let heads = Arc::clone(&heads);
        async move {
            while let Some(head) = read_head(&mut stream).await {
                heads.lock().unwrap().push(head);
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
            }
        }
    })
    .await;
    let edge = start(address);
    let seed = 20_261_127;
    let mut random = StdRng::seed_from_u64(seed);
    for case in 0..1500 {
        let head = made_up(&mut random);
        seen.lock().unwrap().clear();
        let mut stream = edge.connect().await;
        let _ = stream.write_all(&head).await;
        let _ = stream.shutdown().await;
        let reply = Reply::parse(&read_to_end(&mut stream).await);
        let shown = String::from_utf8_lossy(&head).into_owned();
        let told = format!("seed {seed}, case {case}: {shown:?} got {reply:?}");
        assert!(matches!(reply.status, 0 | 200 | 400 | 405 | 408 | 417 | 431 | 501), "{told}");
        let seen = seen.lock().unwrap();
        assert!(seen.len() <= 1, "{told}, and the server {seen:?}");
        for head in seen.iter() {
            let lower = head.to_ascii_lowercase();
            let count = |name: &str| lower.matches(&format!("\r\n{name}:")).count();
            assert_eq!(
                (count("host"), count("x-real-ip"), count("x-forwarded-for")),
                (1, 1, 1),
                "{told}: {head}"
            );
            assert!(count("content-length") + count("transfer-encoding") <= 1, "{told}: {head}");
            assert!(
                !lower.contains("\r\nconnection:") && !head.replace("\r\n", "").contains(['\r', '\n', '\0'])
            );
        }
    }
    assert_eq!(edge.get("/").await.status, 200);
}

fn made_up(random: &mut StdRng) -> Vec<u8> {
    const METHODS: [&str; 8] = ["GET", "POST", "HEAD", "PUT", "get", "TRACE", "G\tT", ""];
    const TARGETS: [&str; 8] = ["/", "/a?b=c", "*", "http://a/x", "http://b/x", "/%00", "//x/../y", "a:1"];
    const VERSIONS: [&str; 6] = ["HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/1.1 ", "http/1.1", "HTTP/1.12"];
    const ENDS: [&str; 5] = ["\r\n", "\r\n", "\r\n", "\n", "\r"];
    const NAMES: [&str; 14] = [
        "Host",
        "host",
        "Connection",
        "Content-Length",
        "Transfer-Encoding",
        "X-Forwarded-For",
        "X-Real-IP",
        "Upgrade",
        "Expect",
        "TE",
        "Cookie",
        "X Y",
        " X",
        "",
    ];
    const VALUES: [&str; 16] = [
        "a",
        "a",
        "",
        "0",
        "3",
        "+3",
        "3, 3",
        "chunked",
        "chunked, chunked",
        "identity",
        "close",
        "host",
        "content-length",
        "100-continue",
        "1.1.1.1",
        "\u{b}chunked",
    ];
    let pick = |random: &mut StdRng, from: &[&'static str]| from.choose(random).copied().unwrap_or_default();
    let end = |random: &mut StdRng| if random.random_bool(0.95) { "\r\n" } else { pick(random, &ENDS) };
    let usual = random.random_bool(0.7);
    let mut head = if usual {
        "GET / HTTP/1.1\r\nHost: a\r\n".to_owned()
    } else {
        let line =
            [pick(random, &METHODS), " ", pick(random, &TARGETS), " ", pick(random, &VERSIONS)].concat();
        line + end(random)
    };
    for _ in 0..random.random_range(0..6) {
        let colon = if random.random_bool(0.95) { ": " } else { pick(random, &[":", " : ", "", "::"]) };
        head += &[pick(random, &NAMES), colon, pick(random, &VALUES)].concat();
        head += end(random);
    }
    head += end(random);
    head +=
        pick(random, &["", "", "abc", "3\r\nabc\r\n0\r\n\r\n", "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"]);
    let mut bytes = head.into_bytes();
    if random.random_bool(0.2) && !bytes.is_empty() {
        let at = random.random_range(0..bytes.len());
        bytes[at] = random.random();
    }
    bytes
}

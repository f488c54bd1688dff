//! Clients that send or read just enough not to be idle.

use std::time::{Duration, Instant};

use edge::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::parts::{Reply, always, read_head, read_to_end, start_with, until, upstream, within};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Sends a chunked body of `piece` every `pause` until the edge answers or hangs up. Returns its answer and how long it took.
async fn trickle(stream: &mut TcpStream, piece: &str, pause: Duration, most: Duration) -> (Reply, Duration) {
    let begun = Instant::now();
    let head = "POST /files HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("{:x}\r\n{piece}\r\n", piece.len());
    let mut first = [0];
    while begun.elapsed() < most {
        if stream.write_all(chunk.as_bytes()).await.is_err() {
            break;
        }
        if timeout(pause, stream.read(&mut first)).await.is_ok() {
            let rest = read_to_end(stream).await;
            return (Reply::parse(&[&first[..], &rest].concat()), begun.elapsed());
        }
    }
    (Reply::parse(&[]), begun.elapsed())
}

async fn swallow() -> std::net::SocketAddr {
    upstream(|mut stream, _| async move {
        read_to_end(&mut stream).await;
    })
    .await
    .0
}

#[tokio::test]
async fn a_body_of_single_bytes_is_ended_although_it_never_pauses_for_long() {
    let limits = Limits { upload_pause: Duration::from_millis(400), ..Limits::default() };
    let edge = start_with(swallow().await, limits, &[]);
    let most = Duration::from_secs(10);
    let (reply, took) = trickle(&mut edge.connect().await, "x", Duration::from_millis(40), most).await;
    assert_eq!(reply.status, 408, "{reply:?} after {took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(edge.counters.read().upstream_errors, 0);
    until(|| edge.counters.read().connections == 0).await;
}

#[tokio::test]
async fn a_body_at_the_least_rate_goes_on_until_the_total_is_over() {
    let limits = Limits {
        upload_pause: Duration::from_millis(500),
        least_rate: 100,
        upload_total: Duration::from_secs(2),
        ..Limits::default()
    };
    let edge = start_with(swallow().await, limits, &[]);
    let most = Duration::from_secs(15);
    let (reply, took) =
        trickle(&mut edge.connect().await, &"x".repeat(100), Duration::from_millis(50), most).await;
    assert_eq!(reply.status, 408, "{reply:?} after {took:?}");
    assert!(took > Duration::from_millis(1500), "it was fast enough to go on: {took:?}");
}

/// A client that always reads a little is not idle, but holds a connection to the server.
#[tokio::test]
async fn a_client_that_reads_too_slowly_is_disconnected() {
    let (ended, end) = oneshot::channel::<()>();
    let once = std::sync::Mutex::new(Some(ended));
    let (address, _) = upstream(move |mut stream, _| {
        let ended = once.lock().unwrap().take().unwrap();
        async move {
            read_head(&mut stream).await.unwrap();
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            while stream.write_all(&[0; 65536]).await.is_ok() {}
            let _ = ended.send(());
        }
    })
    .await;
    let limits = Limits {
        download_pause: Duration::from_millis(500),
        // More than this client reads.
        least_rate: 200_000_000,
        ..Limits::default()
    };
    let edge = start_with(address, limits, &[]);
    let mut stream = edge.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let reading = async {
        let mut some = vec![0; 256 * 1024];
        while stream.read(&mut some).await.is_ok_and(|read| read > 0) {
            sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        () = reading => {}
        ended = within(end) => ended.unwrap(),
    }
    until(|| edge.counters.read().connections == 0).await;
}

#[tokio::test]
async fn many_that_only_connect_do_not_keep_others_out() {
    let limits = Limits { headers_timeout: Duration::from_millis(600), ..Limits::default() };
    let edge = start_with(always(OK).await, limits, &[]);
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(edge.connect().await);
    }
    assert_eq!(edge.get("/").await.body, "ok");
    until(|| edge.counters.read().connections == 0).await;
    // Also between two requests.
    let mut stream = edge.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let begun = Instant::now();
    assert_eq!(Reply::parse(&read_to_end(&mut stream).await).body, "ok");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

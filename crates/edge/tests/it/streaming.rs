//! Bodies are passed on while they are sent, at the speed of the slower side.

use std::time::Duration;

use edge::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::parts::{MIB, Reply, read_exact, read_head, read_to_end, start, start_with, upstream, within};

const BODY: usize = 64 * MIB;

/// What the kernel's buffers may hold. The sender must keep the rest of [`BODY`].
const ON_THE_WAY: usize = 24 * MIB;

/// Bytes in which a lost, repeated or moved one is noticed.
fn pattern(from: usize, len: usize) -> Vec<u8> {
    (from..from + len).map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8).collect()
}

/// Sends the pattern from `at` until all of it is sent, or no more is accepted for a while. Returns where it stopped.
async fn send_until_stuck(stream: &mut TcpStream, mut at: usize) -> usize {
    while at < BODY {
        let piece = pattern(at, MIB.min(BODY - at));
        match timeout(Duration::from_millis(400), stream.write(&piece)).await {
            Ok(written) => at += written.unwrap(),
            Err(_) => break,
        }
    }
    at
}

async fn receive_all(stream: &mut TcpStream, mut at: usize) {
    let mut piece = vec![0; MIB];
    while at < BODY {
        let len = within(stream.read(&mut piece)).await.unwrap();
        assert!(len > 0, "ended at {at}");
        assert!(piece[..len] == pattern(at, len), "differs after {at}");
        at += len;
    }
}

#[tokio::test]
async fn an_upload_waits_for_a_slow_server() {
    let (read_on, go) = oneshot::channel::<()>();
    let (saw_first, first) = oneshot::channel::<()>();
    let once = std::sync::Mutex::new(Some((saw_first, go)));
    let (address, _) = upstream(move |mut stream, _| {
        let (saw_first, go) = once.lock().unwrap().take().unwrap();
        async move {
            read_head(&mut stream).await.unwrap();
            assert_eq!(read_exact(&mut stream, 1000).await, pattern(0, 1000));
            saw_first.send(()).unwrap();
            go.await.unwrap();
            receive_all(&mut stream, 1000).await;
            stream.write_all(b"HTTP/1.1 201 Created\r\nContent-Length: 4\r\n\r\ndone").await.unwrap();
        }
    })
    .await;
    let edge = start(address);
    let mut stream = edge.connect().await;
    let head =
        format!("POST /files HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {BODY}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&pattern(0, 1000)).await.unwrap();
    // The first bytes arrive before the last are sent.
    within(first).await.unwrap();

    let stuck = send_until_stuck(&mut stream, 1000).await;
    assert!(stuck < ON_THE_WAY, "{stuck} bytes taken from a client whose server reads none");
    read_on.send(()).unwrap();
    assert_eq!(within(send_until_stuck(&mut stream, stuck)).await, BODY);
    assert_eq!(Reply::parse(&read_to_end(&mut stream).await).body, "done");
}

#[tokio::test]
async fn a_download_waits_for_a_slow_client() {
    let (stuck_at, stuck) = oneshot::channel::<usize>();
    let (resume, resumed) = oneshot::channel::<()>();
    let once = std::sync::Mutex::new(Some((stuck_at, resumed)));
    let (address, _) = upstream(move |mut stream, _| {
        let (stuck_at, resumed) = once.lock().unwrap().take().unwrap();
        async move {
            read_head(&mut stream).await.unwrap();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {BODY}\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            let at = send_until_stuck(&mut stream, 0).await;
            stuck_at.send(at).unwrap();
            resumed.await.unwrap();
            assert_eq!(send_until_stuck(&mut stream, at).await, BODY);
        }
    })
    .await;
    let edge = start(address);
    let mut stream = edge.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    within(read_head(&mut stream)).await.unwrap();
    let stuck = within(stuck).await.unwrap();
    assert!(stuck < ON_THE_WAY, "{stuck} bytes taken from a server whose client reads none");
    resume.send(()).unwrap();
    receive_all(&mut stream, 0).await;
}

#[tokio::test]
async fn chunks_are_passed_on_one_by_one_in_both_directions() {
    let (address, _) = upstream(|mut stream, _| async move {
        read_head(&mut stream).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
        // Each chunk is returned before the next is sent.
        for _ in 0..20 {
            let chunk = read_exact(&mut stream, "4\r\nping\r\n".len()).await;
            stream.write_all(&chunk).await.unwrap();
        }
        assert_eq!(read_exact(&mut stream, 5).await, b"0\r\n\r\n");
        stream.write_all(b"0\r\n\r\n").await.unwrap();
    })
    .await;
    let edge = start(address);
    let mut stream = edge.connect().await;
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    for n in 0..20 {
        stream.write_all(b"4\r\nping\r\n").await.unwrap();
        if n == 0 {
            within(read_head(&mut stream)).await.unwrap();
        }
        assert_eq!(read_exact(&mut stream, 9).await, b"4\r\nping\r\n");
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    assert_eq!(read_exact(&mut stream, 5).await, b"0\r\n\r\n");
}

#[tokio::test]
async fn an_answer_before_the_upload_ends_arrives() {
    let (address, _) = upstream(|mut stream, _| async move {
        read_head(&mut stream).await.unwrap();
        stream.write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig").await.unwrap();
        read_to_end(&mut stream).await;
    })
    .await;
    let edge = start(address);
    let mut stream = edge.connect().await;
    let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {BODY}\r\n\r\nfirst bytes");
    stream.write_all(head.as_bytes()).await.unwrap();
    let reply = Reply::parse(&read_to_end(&mut stream).await);
    assert_eq!((reply.status, reply.body.as_str()), (413, "big"));
}

#[tokio::test]
async fn a_client_that_does_not_read_is_disconnected() {
    let (ended, end) = oneshot::channel::<()>();
    let once = std::sync::Mutex::new(Some(ended));
    let (address, _) = upstream(move |mut stream, _| {
        let ended = once.lock().unwrap().take().unwrap();
        async move {
            read_head(&mut stream).await.unwrap();
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            while stream.write_all(&[0; 4096]).await.is_ok() {}
            ended.send(()).unwrap();
        }
    })
    .await;
    let limits = Limits { download_pause: Duration::from_millis(200), ..Limits::default() };
    let edge = start_with(address, limits, &[]);
    let mut stream = edge.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    within(end).await.unwrap();
    assert_eq!(edge.counters.read().upstream_errors, 0);
    drop(stream);
}

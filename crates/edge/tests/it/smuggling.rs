//! Requests that two parsers might read differently. The upstream must see no more than one, and no other than the client
//! meant.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::parts::{read_head, start, upstream};

/// Hidden in a body. A parser that misreads the body takes it for a request.
const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test]
async fn nothing_is_smuggled() {
    let post = "POST /seen HTTP/1.1\r\nHost: a\r\n";
    let chunked_end = "0\r\n\r\n";
    for (request, allowed) in [
        // Two lengths: framed by its chunks, and the connection ends after it (RFC 9112 section 6.3).
        (
            format!("{post}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n{chunked_end}{HIDDEN}"),
            &[200][..],
        ),
        (
            format!("{post}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n{chunked_end}{HIDDEN}"),
            &[200],
        ),
        (
            format!("{post}Content-Length: 60\r\nTransfer-Encoding: chunked\r\n\r\n{chunked_end}{HIDDEN}"),
            &[200],
        ),
        (format!("{post}Content-Length: 0\r\nContent-Length: 40\r\n\r\n{HIDDEN}"), &[400]),
        (format!("{post}Content-Length: 0, 40\r\n\r\n{HIDDEN}"), &[400]),
        (format!("{post}Content-Length: +5\r\n\r\n12345{HIDDEN}"), &[400]),
        (format!("{post}Content-Length: 0x5\r\n\r\n12345{HIDDEN}"), &[400]),
        (format!("{post}Content-Length: -1\r\n\r\n{HIDDEN}"), &[400]),
        (format!("{post}Content-Length: 99999999999999999999\r\n\r\n{HIDDEN}"), &[400]),
        (format!("{post}Content-Length : 5\r\n\r\n12345{HIDDEN}"), &[400]),
        (format!("{post}Transfer-Encoding : chunked\r\n\r\n{chunked_end}{HIDDEN}"), &[400]),
        (format!("{post}Transfer-Encoding: xchunked\r\n\r\n{chunked_end}{HIDDEN}"), &[400, 501]),
        (format!("{post}Transfer-Encoding: chunked, identity\r\n\r\n{chunked_end}{HIDDEN}"), &[400, 501]),
        (format!("{post}Transfer-Encoding: gzip, chunked\r\n\r\n{chunked_end}{HIDDEN}"), &[501]),
        (
            format!(
                "{post}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n{chunked_end}{HIDDEN}"
            ),
            &[501],
        ),
        (format!("{post}Transfer-Encoding:\u{b}chunked\r\n\r\n{chunked_end}{HIDDEN}"), &[400, 501]),
        (format!("{post}Transfer-Encoding: chunked\r\n\r\nzz\r\n{HIDDEN}"), &[400, 408, 502]),
        (format!("{post}Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{HIDDEN}"), &[400, 408, 502]),
        (
            format!(
                "POST /seen HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunked_end}{HIDDEN}"
            ),
            &[400],
        ),
        (format!("{post}X: a\r\n Content-Length: 40\r\n\r\n{HIDDEN}"), &[400]),
        (format!("{post}X: a\0b\r\n\r\n{HIDDEN}"), &[400]),
        (format!("{post}Host: b\r\n\r\n{HIDDEN}"), &[400]),
        (format!("POST /seen HTTP/1.1\r\n\r\n{HIDDEN}"), &[400]),
        (format!("POST /seen HTTP/1.1\r\nHost: a/b\r\n\r\n{HIDDEN}"), &[400]),
        (format!("POST http://b/seen HTTP/1.1\r\nHost: a\r\n\r\n{HIDDEN}"), &[400]),
        (format!("{} /seen HTTP/1.1\r\nHost: a\r\n\r\n{HIDDEN}", "M".repeat(33)), &[501]),
        (format!("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n{HIDDEN}"), &[405]),
        (format!("{post}Expect: 101-tea\r\n\r\n{HIDDEN}"), &[417]),
    ] {
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&heads);
        let (address, _) = upstream(move |mut stream, _| {
            let seen = Arc::clone(&seen);
            async move {
                while let Some(head) = read_head(&mut stream).await {
                    let chunked = head.contains("transfer-encoding: chunked");
                    seen.lock().unwrap().push(head);
                    let mut body = Vec::new();
                    while chunked && !body.ends_with(b"0\r\n\r\n") {
                        let Ok(byte) = stream.read_u8().await else { return };
                        body.push(byte);
                    }
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
                }
            }
        })
        .await;
        let edge = start(address);
        let reply = edge.ask(&request).await;
        assert!(allowed.contains(&reply.status), "{request:?}: {reply:?}");
        // The connection has ended, and neither side took what was hidden for a second request.
        assert!(!reply.body.contains("HTTP/1.1"), "{request:?}: {reply:?}");
        let heads = heads.lock().unwrap();
        assert!(heads.len() <= 1, "{request:?}: {heads:?}");
        for head in heads.iter() {
            assert!(head.starts_with("POST /seen "), "{request:?}: {head}");
            assert!(
                !(head.contains("transfer-encoding") && head.contains("content-length")),
                "{request:?}: {head}"
            );
        }
    }
}

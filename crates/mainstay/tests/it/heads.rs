//! The largest heads that reach the server through the edge.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::place::Place;

#[test]
fn the_server_reads_every_head_that_the_edge_passes_on() {
    const { assert!(server::HEAD_BYTES >= edge::HEAD_BYTES + edge::ADDED_BYTES) };
    const { assert!(server::HEAD_LINES >= edge::HEAD_LINES + edge::ADDED_LINES) };
    let place = Place::new();
    place.up(&[]).expect(0);
    let ask = |head: &str| {
        let mut stream = TcpStream::connect(("127.0.0.1", place.port)).expect("the edge");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
        stream.write_all(head.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok()).expect("a status")
    };
    let start = "GET /api/v4/system/ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
    let of_bytes = |bytes: usize| {
        let filler = bytes - start.len() - "Cookie: a=\r\n\r\n".len();
        format!("{start}Cookie: a={}\r\n\r\n", "x".repeat(filler))
    };
    let of_lines = |lines: usize| {
        let more: String = (2..lines).map(|n| format!("X-{n}:1\r\n")).collect();
        format!("{start}{more}\r\n")
    };
    assert_eq!(ask(&of_bytes(20_000)), 200);
    assert_eq!(ask(&of_bytes(edge::HEAD_BYTES)), 200);
    assert_eq!(ask(&of_bytes(edge::HEAD_BYTES + 1)), 431);
    assert_eq!(ask(&of_lines(edge::HEAD_LINES)), 200);
    assert_eq!(ask(&of_lines(edge::HEAD_LINES + 1)), 431);
}

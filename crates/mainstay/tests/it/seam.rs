//! Between the edge and the built-in server there is a socket that nobody else reaches.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::Path;

use crate::place::Place;

#[test]
fn the_built_in_server_is_reached_through_the_edge_alone_and_knows_the_client() {
    let place = Place::new();
    place.up(&[]).expect(0);
    let spec = place.status()["agent"]["server"]["spec"].clone();
    let socket = Path::new(spec["socket"].as_str().expect("a socket"));
    assert!(std::fs::symlink_metadata(socket).expect("it is there").file_type().is_socket());
    let directory = socket.parent().expect("a directory").metadata().expect("it is there");
    assert_eq!(directory.permissions().mode() & 0o777, 0o700);
    let port = TcpStream::connect(spec["listen"].as_str().expect("an address"));
    assert_eq!(port.expect_err("there is no port").kind(), ErrorKind::ConnectionRefused);

    let forged = "203.0.113.66";
    let body = r#"{"login_id":"forger","password":"wrong"}"#;
    let mut stream = TcpStream::connect(("127.0.0.1", place.port)).expect("the edge");
    let request = format!(
        "POST /api/v4/users/login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Real-IP: {forged}\r\n\
         X-Forwarded-For: {forged}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    let log = std::fs::read_to_string(place.root.join("logs/server.log")).expect("a log");
    let line = log.lines().find(|line| line.contains("\"forger\"")).expect("it is logged");
    assert!(line.contains("\"client\":\"127.0.0.1\"") && !log.contains(forged), "{line}");
}

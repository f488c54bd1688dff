//! Malformed requests. None of them may stop the server, or get an empty success as answer.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::site::{Site, TIMEOUT, refused, text};

#[tokio::test]
async fn bodies_that_are_too_large_are_refused() {
    let site = Site::new().await;
    let ada = site.sign_up("ada").await;
    let large = json!({"channel_id": "x", "message": "x".repeat(10 << 20)});
    let refusal = refused(ada.request("POST", "posts").json(&large)).await;
    assert_eq!(refusal, (413, "api.context.request_body_too_large.app_error".to_owned()));
    let limit = "y".repeat(300_001);
    assert_eq!(refused(site.request("POST", "users/login").body(limit)).await.0, 413);
    let url = format!("users?{}", "x".repeat(3000));
    assert_eq!(refused(ada.request("GET", &url)).await.0, 414);
}

/// A client that declares a large body, and waits before it sends it.
#[tokio::test]
async fn a_declared_length_that_is_too_large_is_refused_before_the_body() {
    let site = Site::with(json!({"FileSettings": {"MaxFileSize": 1000}})).await;
    let ada = site.sign_up("ada").await;
    let (_, square) = ada.team("harbour").await;
    let raw = format!("files?channel_id={square}&filename=a.bin");
    for (path, length, kind, id) in [
        ("users/login", 300_001, "application/json", "api.context.request_body_too_large.app_error"),
        ("users", 10 << 20, "application/json", "api.context.request_body_too_large.app_error"),
        (&*raw, 1_001, "application/octet-stream", "api.file.upload_file.too_large_detailed.app_error"),
        (
            "files",
            1 << 20,
            "multipart/form-data; boundary=b",
            "api.file.upload_file.too_large_detailed.app_error",
        ),
    ] {
        let mut stream = TcpStream::connect(site.address()).await.expect("a connection");
        let head = format!(
            "POST /api/v4/{path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nContent-Type: {kind}\r\n\
             Content-Length: {length}\r\n\r\n",
            ada.token
        );
        stream.write_all(head.as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        while !String::from_utf8_lossy(&answer).contains(id) {
            let mut some = [0; 4096];
            // Far less than the 30 s that the server would wait for the body.
            let read = timeout(std::time::Duration::from_secs(10), stream.read(&mut some)).await;
            let read = read.expect("the answer does not wait for the body").expect("it is read");
            assert_ne!(read, 0, "{path}: {}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&some[..read]);
        }
        assert!(answer.starts_with(b"HTTP/1.1 413"), "{path}");
        // What was declared is still received, so that a client that sends it all first reads the answer, too.
        stream.write_all(&vec![b'x'; length]).await.expect("the rest is received");
    }
}

#[tokio::test]
async fn bodies_that_are_not_json_are_refused() {
    let site = Site::new().await;
    let ada = site.sign_up("ada").await;
    let deep = "[".repeat(100_000);
    for body in [
        &b"{"[..],
        b"",
        b"null",
        b"[]",
        b"{\"channel_id\":1}",
        b"\xff\xfe",
        b"{\"message\":\"\xc3\x28\"}",
        deep.as_bytes(),
    ] {
        let (status, id) = refused(ada.request("POST", "posts").body(body.to_vec())).await;
        assert_eq!((status, id.as_str()), (400, "api.context.invalid_body_param.app_error"), "{body:?}");
    }
    for (method, path) in [
        ("POST", "users"),
        ("POST", "teams"),
        ("POST", "channels"),
        ("PUT", "users/me/preferences"),
        ("POST", "users/ids"),
        ("POST", "roles/names"),
        ("POST", "reactions"),
        ("POST", "drafts"),
    ] {
        assert_eq!(refused(ada.request(method, path).body("}")).await.0, 400, "{method} {path}");
    }
    // Routes that take a flat map read a malformed one as empty, as Mattermost does.
    assert_eq!(
        refused(site.request("POST", "users/login").body("}")).await.1,
        "api.user.login.blank_pwd.app_error"
    );
}

#[tokio::test]
async fn json_is_read_as_leniently_as_in_go() {
    let site = Site::new().await;
    let ada = site.sign_up("ada").await;
    let (_, square) = ada.team("harbour").await;
    let body = format!(
        r#"{{"Channel_ID":"{square}","message":"first","message":"second","root_id":null,"props":null,"unknown":{{}}}}"#
    );
    let answer = ada.request("POST", "posts").body(body).send().await.expect("an answer");
    assert_eq!(answer.json::<Value>().await.expect("JSON")["message"], "second");
    // mattermostdriver sends an empty object with GET and DELETE.
    assert_eq!(
        ada.request("GET", "users/me").json(&json!({})).send().await.expect("an answer").status(),
        200
    );
    let path = format!("users/me/channels/{square}/drafts");
    assert_eq!(ada.request("DELETE", &path).json(&json!({})).send().await.expect("an answer").status(), 200);
}

#[tokio::test]
async fn malformed_paths_and_parameters_do_no_harm() {
    let site = Site::new().await;
    let ada = site.sign_up("ada").await;
    for (path, status) in [
        ("users/%ff", 404),
        ("users/%2e%2e", 404),
        ("teams/name/..%2f..%2fetc", 404),
        ("users?page=99999999999999999999&per_page=-5", 200),
        ("users?page=9223372036854775807&per_page=200", 200),
        ("users?in_team=x", 400),
        ("users/me/preferences/%00", 400),
        ("users/username/%27%20OR%201=1--", 404),
    ] {
        let answer = ada.request("GET", path).send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), status, "{path}");
        assert!(!answer.text().await.expect("a body").is_empty(), "{path}");
    }
    for token in ["", "x", "'; DROP TABLE users", &"x".repeat(5000)] {
        assert_eq!(refused(site.request("GET", "users/me").bearer_auth(token)).await.0, 401);
    }
}

/// What the client does after it has sent its bytes.
#[derive(PartialEq)]
enum Then {
    Nothing,
    End,
}

/// Sends `bytes` on a new connection, and returns what the server sends until it closes.
async fn raw(site: &Site, bytes: &[u8], then: Then) -> String {
    let mut stream = TcpStream::connect(site.address()).await.expect("a connection");
    // The server may close before everything is written.
    let _closed_early = stream.write_all(bytes).await;
    if then == Then::End {
        let _closed_early = stream.shutdown().await;
    }
    let mut answer = Vec::new();
    let _reset =
        timeout(TIMEOUT, stream.read_to_end(&mut answer)).await.expect("the server closes the connection");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn invalid_and_truncated_requests_do_no_harm() {
    let site = Site::new().await;
    let ada = site.sign_up("ada").await;
    for seed in 0..50_u32 {
        let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
        let noise: Vec<u8> = (0..2000)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                state as u8
            })
            .collect();
        let answer = raw(&site, &noise, Then::Nothing).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
    assert!(
        raw(&site, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", Then::Nothing).await.len() < 200,
        "a TLS greeting"
    );
    let head = format!("POST /api/v4/posts HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n", ada.token);
    let cut =
        raw(&site, format!("{head}Content-Length: 1000\r\n\r\n{{\"channel_id\":").as_bytes(), Then::End)
            .await;
    assert!(cut.is_empty() || cut.starts_with("HTTP/1.1 400"), "{cut}");
    let chunked =
        raw(&site, format!("{head}Transfer-Encoding: chunked\r\n\r\nzz\r\n").as_bytes(), Then::Nothing).await;
    assert!(chunked.is_empty() || chunked.starts_with("HTTP/1.1 400"), "{chunked}");
    let headers: String = (0..200).map(|n| format!("X-{n}: y\r\n")).collect();
    let many =
        raw(&site, format!("GET / HTTP/1.1\r\nHost: x\r\n{headers}\r\n").as_bytes(), Then::Nothing).await;
    assert!(many.starts_with("HTTP/1.1 431"), "{many}");
    assert_eq!(text(&ada.get("users/me").await["id"]), ada.id, "the server still works");
}

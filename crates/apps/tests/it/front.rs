//! What an HTTP app answers, and to whom.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use apps::Manifest;
use apps::serve::{Backend, Front, Program, Secret, bind, serve};
use tokio_util::sync::CancellationToken;

const SECRET: &str = "a secret that nobody guesses";

struct Served {
    dir: tempfile::TempDir,
    address: SocketAddr,
    cancel: CancellationToken,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// An app whose program answers every call with the path that it got.
async fn served(secret: Option<&str>) -> Served {
    let cancel = CancellationToken::new();
    let program = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let behind = program.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = program.accept().await.unwrap();
            tokio::spawn(async move {
                use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
                let mut head = vec![0; 64 << 10];
                let n = stream.read(&mut head).await.unwrap();
                let head = String::from_utf8_lossy(&head[..n]).into_owned();
                let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                if path == "/never" {
                    std::future::pending::<()>().await;
                }
                let length = if path == "/2gb" { 2 << 30 } else { path.len() };
                let answer =
                    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{path}");
                let _ = stream.write_all(answer.as_bytes()).await;
                if path == "/2gb" {
                    while stream.write_all(&[b'x'; 64 << 10]).await.is_ok() {}
                }
            });
        }
    });
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("static")).unwrap();
    let photo = dir.path().join("static/photo.png");
    std::fs::write(&photo, b"a photo").unwrap();
    std::fs::write(dir.path().join("secret"), b"not for everybody").unwrap();
    let files =
        BTreeMap::from([("photo.png".to_owned(), photo.clone()), ("img/big photo.png".to_owned(), photo)]);
    let manifest =
        Manifest { app_id: "com.example.app".into(), display_name: "An app".into(), ..Manifest::default() };
    let backend = Backend::Program(Box::new(Program::new(behind, Duration::from_millis(800))));
    let front =
        Front::new(&manifest, "https://apps.example.com/app/", files, backend, secret.and_then(Secret::new));
    let listener = bind("127.0.0.1:0".parse().unwrap(), &[]).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, Arc::new(front), Vec::new(), cancel.clone()));
    Served { dir, address, cancel }
}

impl Served {
    /// Sends a request as it is written; the answer's status and the whole text.
    async fn ask(&self, head: &str, body: &str) -> (u16, String) {
        let address = self.address;
        let host = if head.contains("\r\nHost: ") { "" } else { "\r\nHost: 127.0.0.1" };
        let text =
            format!("{head}{host}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        tokio::task::spawn_blocking(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            stream.write_all(text.as_bytes()).unwrap();
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            let answer = String::from_utf8_lossy(&answer).into_owned();
            let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
            (status, answer)
        })
        .await
        .unwrap()
    }

    async fn call(&self, path: &str, token: &str) -> (u16, String) {
        let token = if token.is_empty() {
            String::new()
        } else {
            format!("\r\nMattermost-App-Authorization: {token}")
        };
        self.ask(&format!("POST {path} HTTP/1.1{token}"), "{}").await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_needs_a_token_and_what_installs_the_app_does_not() {
    let app = served(Some(SECRET)).await;
    let secret = Secret::new(SECRET).unwrap();
    let now = jiff::Timestamp::now().as_second();
    let (status, answer) = app.call("/ping", "").await;
    assert_eq!(status, 401, "{answer}");
    assert!(answer.contains("has no token"), "{answer}");
    let (status, answer) = app.call("/ping", &format!("Bearer {}", secret.sign(now - 3600))).await;
    assert_eq!((status, answer.contains("has expired")), (401, true), "{answer}");
    let (status, answer) = app.call("/ping", &format!("Bearer {}", secret.sign(now + 900))).await;
    assert_eq!((status, answer.ends_with("/ping")), (200, true), "{answer}");
    let (status, manifest) = app.ask("GET /manifest.json HTTP/1.1", "").await;
    assert_eq!(status, 200);
    let manifest: serde_json::Value =
        serde_json::from_str(manifest.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!(
        manifest["http"],
        serde_json::json!({"root_url": "https://apps.example.com/app", "use_jwt": true})
    );
}

/// Any page in a browser of this machine can send calls here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_token_pages_of_other_sites_call_nothing() {
    let app = served(None).await;
    assert_eq!(app.call("/ping", "").await.0, 200);
    for head in
        ["POST /ping HTTP/1.1\r\nHost: evil.example", "POST /ping HTTP/1.1\r\nOrigin: http://evil.example"]
    {
        let (status, answer) = app.ask(head, "{}").await;
        assert_eq!(status, 403, "{answer}");
    }
    let named = served(Some(SECRET)).await;
    let token = Secret::new(SECRET).unwrap().sign(jiff::Timestamp::now().as_second() + 900);
    let head = format!(
        "POST /ping HTTP/1.1\r\nHost: apps.example.com\r\nMattermost-App-Authorization: Bearer {token}"
    );
    assert_eq!(named.ask(&head, "{}").await.0, 200, "a token says enough");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn static_files_are_those_of_the_bundle_alone() {
    let app = served(Some(SECRET)).await;
    let get = |path: &str| {
        let head = format!("GET {path} HTTP/1.1");
        let app = &app;
        async move { app.ask(&head, "").await }
    };
    let (status, photo) = get("/static/photo.png").await;
    assert_eq!((status, photo.ends_with("a photo")), (200, true), "{photo}");
    assert!(photo.contains("image/png") && photo.contains("nosniff"), "{photo}");
    assert_eq!(get("/static/img/big%20photo.png").await.0, 200);
    assert!(std::fs::read(app.dir.path().join("secret")).is_ok());
    for path in [
        "/static/../secret",
        "/static/%2e%2e/secret",
        "/static/..%2fsecret",
        "/static/img/../photo.png",
        "/static//etc/passwd",
        "/static/",
        "/static/photo.png%00",
    ] {
        assert_eq!(get(path).await.0, 404, "{path}");
    }
    let (status, head) = app.ask("HEAD /static/photo.png HTTP/1.1", "").await;
    assert_eq!(
        (status, head.contains("content-length: 7"), head.ends_with("\r\n\r\n")),
        (200, true, true),
        "{head}"
    );
    assert_eq!(app.ask("POST /static/photo.png HTTP/1.1", "").await.0, 405);
    assert_eq!(app.ask("GET /ping HTTP/1.1", "").await.0, 405);
}

/// Pages of this process in memory, in bytes.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap() * 4096
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_does_not_read_a_large_file_holds_no_copy_of_it() {
    const SIZE: u64 = 32 << 20;
    let app = served(Some(SECRET)).await;
    let photo = app.dir.path().join("static/photo.png");
    std::fs::File::create(&photo).unwrap().set_len(SIZE).unwrap();
    let before = resident();
    let readers: Vec<TcpStream> = (0..40)
        .map(|_| {
            let mut reader = TcpStream::connect(app.address).unwrap();
            reader.write_all(b"GET /static/photo.png HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
            reader
        })
        .collect();
    // Each has the beginning of the file before anybody looks.
    for mut reader in &readers {
        assert_eq!(reader.read(&mut [0; 15]).unwrap(), 15);
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 10 * SIZE, "{} MB for {} readers", grown >> 20, readers.len());
    drop(readers);
    let (status, whole) = app.ask("GET /static/photo.png HTTP/1.1", "").await;
    let body = whole.split_once("\r\n\r\n").map_or(0, |(_, body)| body.len() as u64);
    assert_eq!((status, body), (200, SIZE));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_does_not_answer_or_answers_2_gb_is_reported() {
    let app = served(None).await;
    let (status, answer) = app.call("/never", "").await;
    assert_eq!((status, answer.contains("did not answer within 0.8 s")), (504, true), "{answer}");
    let (status, answer) = app.call("/2gb", "").await;
    assert_eq!((status, answer.contains("larger than 6 MiB")), (502, true), "{answer}");
    assert_eq!(app.call("/ping", "").await.0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_who_send_slowly_or_too_much_do_not_keep_others_waiting() {
    let app = served(None).await;
    // More than there may be connections.
    let slow: Vec<TcpStream> = (0..900)
        .map(|_| {
            let mut stream = TcpStream::connect(app.address).unwrap();
            stream.write_all(b"POST /ping HTTP/1.1\r\nHost: ").unwrap();
            stream
        })
        .collect();
    let began = Instant::now();
    assert_eq!(app.call("/ping", "").await.0, 200);
    assert!(began.elapsed() < Duration::from_secs(3));
    let head = "POST /ping HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2000000000\r\n\r\n";
    let mut large = TcpStream::connect(app.address).unwrap();
    large.write_all(head.as_bytes()).unwrap();
    let mut answer = [0; 12];
    large.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    large.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
    drop(slow);
}

#[tokio::test]
async fn an_address_in_use_or_open_to_others_is_refused_with_a_way_out() {
    let app = served(None).await;
    let error = bind(app.address, &[]).await.unwrap_err();
    assert!(error.what.contains("another program listens there"), "{error}");
    let error = bind("0.0.0.0:0".parse().unwrap(), &[]).await.unwrap_err();
    assert_eq!(error.exit, finding::Exit::Refused);
    assert!(error.hint.unwrap().contains("--from"));
}

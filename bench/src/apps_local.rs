//! Calls of a function that runs on this machine: what a call costs beyond the function's own time, and how many there are in a second.
//!
//! The function is this program: it answers AWS's Runtime API where it is started as one, and does nothing else.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use xtask::run::Failure;

use crate::{Spread, row};

/// Names the Runtime API to a function.
pub(crate) const API: &str = "AWS_LAMBDA_RUNTIME_API";
/// Calls, one after another, whose times are taken.
const CALLS: usize = 2000;
/// Connections that call at the same time.
const CALLERS: usize = 4;
const SECONDS: u64 = 5;

/// Answers every call at once.
pub(crate) fn function(api: &str) -> std::io::Result<()> {
    let mut connection = Connection::open(api)?;
    loop {
        let call = connection.ask("GET /2018-06-01/runtime/invocation/next", "")?;
        let answer =
            r#"{"statusCode":200,"headers":{"Content-Type":"application/json"},"body":"{\"type\":\"ok\"}"}"#;
        connection
            .ask(&format!("POST /2018-06-01/runtime/invocation/{}/response", call.request_id), answer)?;
    }
}

/// A connection that is asked one thing after another.
struct Connection(BufReader<TcpStream>);

struct Answer {
    status: u16,
    request_id: String,
}

impl Connection {
    fn open(address: &str) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    fn ask(&mut self, what: &str, body: &str) -> std::io::Result<Answer> {
        let head =
            format!("{what} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        self.0.get_mut().write_all(head.as_bytes())?;
        let (mut status, mut request_id, mut length) = (0, String::new(), 0);
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            let line = line.trim_end();
            if let Some(code) = line.strip_prefix("HTTP/1.1 ") {
                status = code.get(..3).and_then(|code| code.parse().ok()).unwrap_or_default();
            }
            match line.split_once(": ") {
                None if line.is_empty() => break,
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.parse().unwrap_or_default();
                }
                Some((name, value)) if name.eq_ignore_ascii_case("lambda-runtime-aws-request-id") => {
                    request_id = value.to_owned();
                }
                _ => {}
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        Ok(Answer { status, request_id })
    }
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

pub(crate) fn run(mainstay: &Path) -> Result<(), Failure> {
    let dir = tempfile::Builder::new()
        .prefix("bench-apps-")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .tempdir()?;
    let app = dir.path().join("app");
    std::fs::create_dir_all(app.join("main"))?;
    let program = std::env::current_exe()?;
    std::fs::copy(program, app.join("main/bootstrap"))?;
    let manifest = serde_json::json!({
        "app_id": "com.example.bench", "version": "1.0.0", "display_name": "Bench",
        "homepage_url": "https://example.org",
        "aws_lambda": {"functions": [
            {"path": "/", "name": "main", "handler": "bootstrap", "runtime": "provided.al2023"},
        ]},
    });
    std::fs::write(app.join("manifest.json"), manifest.to_string())?;
    let probe = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = probe.local_addr()?.to_string();
    drop(probe);
    let bundle = dir.path().join("app.zip");
    let mut make = Command::new(mainstay);
    make.args(["apps", "bundle"]).arg(&app).arg("--output").arg(&bundle).stdin(Stdio::null());
    crate::up::wall(&mut make)?;
    let mut serve = Command::new(mainstay);
    serve.args(["apps", "run"]).arg(&bundle).args(["--listen", &address, "--dir"]).arg(dir.path().join("d"));
    let serve = serve.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let _running = Running(serve);
    let began = Instant::now();
    let mut connection = loop {
        match Connection::open(&address) {
            Ok(connection) => break connection,
            Err(_) if began.elapsed() < Duration::from_secs(20) => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(error) => return Err(Failure(format!("the app does not answer: {error}"))),
        }
    };
    let first = Instant::now();
    call(&mut connection)?;
    let cold = first.elapsed();
    let mut times = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        let began = Instant::now();
        call(&mut connection)?;
        times.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    let until = Instant::now() + Duration::from_secs(SECONDS);
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let address = address.clone();
            std::thread::spawn(move || -> Result<u64, Failure> {
                let mut connection = Connection::open(&address)?;
                let mut calls = 0;
                while Instant::now() < until {
                    call(&mut connection)?;
                    calls += 1;
                }
                Ok(calls)
            })
        })
        .collect();
    let mut calls = 0;
    for caller in callers {
        calls += caller.join().map_err(|_| Failure("a caller failed".to_owned()))??;
    }
    row(
        "a first call, with the start of a process, ms",
        &format!("{:>10.1}", cold.as_secs_f64() * 1000.0),
        "",
    );
    row("a call of a function that does nothing, ms", &Spread::of(times), "<= 2.0");
    row(&format!("calls a second, {CALLERS} callers"), &format!("{:>10}", calls / SECONDS), ">= 2000");
    Ok(())
}

fn call(connection: &mut Connection) -> Result<(), Failure> {
    let answer = connection.ask("POST /ping", r#"{"path":"/ping"}"#)?;
    if answer.status == 200 { Ok(()) } else { Err(Failure(format!("a call ended with {}", answer.status))) }
}

//! Every template is built with its own tools, bundled, and answers.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use apps::event::{Request, Response, call_body};
use apps::{Bundle, template};
use serde_json::{Value, json};

/// The calls that are made, each with the answer.
fn calls() -> Vec<(Request, Value)> {
    let send = |values: Value| Request::call("/send", call_body("/send", Some(&values)));
    let hello = json!({"type": "ok", "text": "Hello, world"});
    // Whatever stands where a text should, each language says the same.
    let odd =
        [json!(0), json!(5), json!(true), json!([]), json!(["a"]), json!({}), json!({"a": 1}), json!("")];
    let odd = odd.into_iter().map(|message| (send(json!({"message": message})), hello.clone()));
    let bodies =
        ["", "{}", "null", "[]", "5", "\"text\"", r#"{"values": []}"#, r#"{"values": null, "path": 5}"#];
    let odd = odd.chain(bodies.map(|body| (Request::call("/send", body), hello.clone())));
    let no_json = json!({"type": "error", "text": "The call is not JSON"});
    let odd = odd.chain(["{", "no"].map(|body| (Request::call("/ping", body), no_json.clone())));
    let usual = vec![
        (Request::ping(), json!({"type": "ok", "text": "PONG"})),
        (send(json!({"message": "hi \"you\""})), json!({"type": "ok", "text": "You said: hi \"you\""})),
        (send(json!({"message": null})), json!({"type": "ok", "text": "Hello, world"})),
        (Request::call("/none", "{}"), json!({"type": "error", "text": "There is nothing at /none"})),
    ];
    usual.into_iter().chain(odd).collect()
}

/// Writes and builds an app, and checks its bundle.
fn app(name: &str, dir: &Path) {
    let template = template(name).expect("a template");
    template.write(dir, Some("com.example.hello")).expect("an app");
    if !template.build.is_empty() {
        let built =
            Command::new("make").current_dir(dir).env_remove("CARGO_TARGET_DIR").output().expect("make runs");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    }
    let bundle = Bundle::open(dir).expect("a bundle");
    assert_eq!(bundle.warnings, []);
    bundle.verify().expect("every checksum");
}

/// Compares every answer of an app. `answer` gives what the function says to an event.
fn check(mut answer: impl FnMut(&Request) -> Vec<u8>) {
    let mut said = |request: &Request| {
        let payload = answer(request);
        let response = Response::decode(None, &payload);
        response.and_then(Response::into_call_response).unwrap_or_else(|error| panic!("{error:?}"))
    };
    for (request, expected) in calls() {
        assert_eq!(said(&request), expected, "{request:?}");
    }
    let bindings = said(&Request::call("/bindings", call_body("/bindings", None)));
    let places: Vec<&Value> =
        bindings["data"].as_array().expect("a list").iter().map(|one| &one["location"]).collect();
    assert_eq!(places, ["/channel_header", "/command"]);
    assert_eq!(bindings["data"][1]["bindings"][0]["label"], "com.example.hello");
}

/// What an interpreter prints that is given a program and an event.
fn interpreted(program: &str, args: &[&str], dir: &Path, request: &Request) -> Vec<u8> {
    let mut command = Command::new(program);
    command.args(args).current_dir(dir).stdin(Stdio::piped()).stdout(Stdio::piped());
    // Another directory's bytecode would be left in the app.
    let mut child = command.env("PYTHONDONTWRITEBYTECODE", "1").spawn().expect("the interpreter runs");
    child.stdin.take().expect("stdin").write_all(&request.to_json()).expect("written");
    let output = child.wait_with_output().expect("the interpreter ends");
    assert!(output.status.success());
    output.stdout
}

#[test]
fn node() {
    let dir = tempfile::tempdir().expect("a directory");
    app("node", dir.path());
    let program = "import('./index.mjs').then(async (m) => console.log(JSON.stringify(await m.handler(JSON.parse(require('fs').readFileSync(0))))))";
    check(|request| interpreted("node", &["-e", program], &dir.path().join("hello"), request));
}

#[test]
fn python() {
    let dir = tempfile::tempdir().expect("a directory");
    app("python", dir.path());
    let program = "import json, sys, app; print(json.dumps(app.handler(json.load(sys.stdin), None)))";
    check(|request| interpreted("python3", &["-c", program], &dir.path().join("hello"), request));
}

#[test]
fn rust() {
    let dir = tempfile::tempdir().expect("a directory");
    app("rust", dir.path());
    answers_on_lambda(&dir.path().join("hello/bootstrap"));
}

#[test]
fn go() {
    let dir = tempfile::tempdir().expect("a directory");
    app("go", dir.path());
    answers_on_lambda(&dir.path().join("hello/bootstrap"));
}

/// A child that is killed when the test ends.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a program under a small Runtime API.
fn answers_on_lambda(program: &Path) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let (ask, asked) = mpsc::channel::<Vec<u8>>();
    let (answer, answered) = mpsc::channel::<Vec<u8>>();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.expect("a connection"));
            let (mut line, mut length) = (String::new(), 0);
            reader.read_line(&mut line).expect("a request");
            loop {
                let mut header = String::new();
                reader.read_line(&mut header).expect("a header");
                match header.trim().split_once(':') {
                    None => break,
                    Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                        length = value.trim().parse().expect("a length");
                    }
                    Some(_) => {}
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).expect("a body");
            let event = if line.starts_with("GET") {
                // The test is over when nothing more is asked.
                let Ok(event) = asked.recv() else { return };
                event
            } else {
                assert!(line.starts_with("POST /2018-06-01/runtime/invocation/r1/response"), "{line}");
                if answer.send(body).is_err() {
                    return;
                }
                b"{}".to_vec()
            };
            let head = format!(
                "HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: r1\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                event.len()
            );
            let _ = reader.get_mut().write_all(&[head.as_bytes(), &event].concat());
        }
    });
    let child =
        Command::new(program).env("AWS_LAMBDA_RUNTIME_API", &address).spawn().expect("the program runs");
    let _killed = Killed(child);
    check(|request| {
        ask.send(request.to_json()).expect("the runtime listens");
        answered.recv_timeout(Duration::from_secs(30)).expect("an answer")
    });
}

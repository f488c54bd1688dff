//! Functions in several languages run here as on AWS Lambda.

use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::clients::python;
use super::stage::{HOSTILE, Stage};

const JS: &[u8] = include_bytes!("../../functions/hello.js");
const SHELL: &[u8] = include_bytes!("../../functions/bootstrap.sh");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_function_with_the_longest_path_answers_in_its_language() {
    let stage = Stage::new(&[
        ("/", "main", "app.handler", "python3.12", &[("app.py", HOSTILE)]),
        ("/js", "in js", "src/hello.handler", "nodejs22.x", &[("src/hello.js", JS)]),
        ("/js/shell", "shell", "unused", "provided.al2023", &[("bootstrap", SHELL)]),
    ]);
    assert_eq!(stage.call("/ping", "{}").await["text"], "PONG");
    let hello = stage.call("/js/hello", r#"{"values":{"name":"Ada"}}"#).await;
    assert_eq!(hello["text"], "Hello, Ada");
    let left = hello["left"].as_u64().unwrap();
    assert!((1..=10_000).contains(&left), "{left}");
    let failure = stage.failure("/js/error", "{}").await;
    assert!(failure.contains("in js: the function failed: TypeError: not a thing"), "{failure}");
    assert_eq!(stage.call("/js/shell/x", "{}").await["text"], "from a shell");
    assert_eq!(stage.call("/js/shell/x", "{}").await["text"], "from a shell");
    // The keys of the bucket are those on S3.
    let bucket = stage.runtime.settings().dir.bucket();
    assert!(bucket.join("static/com.example.app_1.0.0_app/a-photo.png").is_file());
    assert!(bucket.join("manifests/com.example.app_1.0.0.json").is_file());
    stage.runtime.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_client_of_aws_runs_unchanged_and_is_used_where_the_package_has_it() {
    let client = python();
    let mut files: Vec<(&str, &[u8])> =
        client.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    files.push(("app.py", HOSTILE));
    let stage = Stage::new(&[("/", "main", "app.handler", "python3.12", &files)]);
    assert_eq!(stage.call("/ping", "{}").await["calls"], 1);
    assert_eq!(stage.call("/ping", "{}").await["calls"], 2);
    assert_eq!(stage.call("/base64", "{}").await["type"], "ok");
    let failure = stage.failure("/error", "{}").await;
    assert!(failure.contains("KeyError"), "{failure}");
    // This is how AWS's client reports it.
    assert!(stage.log().iter().any(|entry| entry.text.starts_with("[ERROR] KeyError")), "{:#?}", stage.log());
    let failure = stage.failure("/large", "{}").await;
    assert!(failure.contains("larger than 6 MiB"), "{failure}");
    assert_eq!(stage.call("/ping", "{}").await["text"], "PONG");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_serves_call_after_call_and_several_serve_at_a_time() {
    let stage = Stage::new(&[("/", "main", "app.handler", "python3.12", &[("app.py", HOSTILE)])]);
    let first = stage.call("/ping", "{}").await;
    let second = stage.call("/ping", "{}").await;
    assert_eq!((first["pid"].clone(), second["calls"].clone()), (second["pid"].clone(), json!(2)));
    let body = r#"{"seconds":0.5}"#;
    let (one, two) = tokio::join!(stage.call("/sleep", body), stage.call("/sleep", body));
    assert_ne!(one["pid"], two["pid"]);
    stage.runtime.stop().await;
    let gone = |answer: &Value| !std::path::Path::new(&format!("/proc/{}", answer["pid"])).exists();
    assert!(gone(&one) && gone(&two));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_is_nobody_and_reads_only_what_it_needs() {
    let stage = Stage::new(&[("/", "main", "app.handler", "python3.12", &[("app.py", HOSTILE)])]);
    let secret = stage.path().join("secret");
    std::fs::write(&secret, "a secret that everybody may read").unwrap();
    let manifest = stage.runtime.settings().dir.bucket().join("manifests/com.example.app_1.0.0.json");
    let body = json!({"read": [secret, manifest, "/etc/hostname"]});
    let who = stage.call("/who", &body.to_string()).await;
    for name in [&secret, &manifest] {
        assert_eq!(who["files"][name.to_str().unwrap()], "PermissionError", "{who}");
    }
    assert_ne!(who["files"]["/etc/hostname"], "PermissionError");
    assert_eq!(who["secret"], "for functions");
    assert_eq!(who["name"], "com-example-app_1-0-0_main");
    if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
        assert!(who["uid"].as_u64().unwrap() > 1_000_000, "{who}");
    }
    stage.runtime.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_printed_is_logged_with_its_call() {
    let stage = Stage::new(&[("/", "main", "app.handler", "python3.12", &[("app.py", HOSTILE)])]);
    stage.call("/ping", "{}").await;
    stage.call("/say", "{}").await;
    let log = stage.log();
    let ours: Vec<_> = log.iter().filter(|entry| entry.ours).collect();
    assert_eq!(ours.len(), 2);
    // The test program that made the guest prints, too, and on a busy machine is read as late as the second call.
    let is_harness = |text: &str| text.is_empty() || text.starts_with("running ");
    let said: Vec<_> = log.iter().filter(|entry| !entry.ours && !is_harness(&entry.text)).collect();
    assert_eq!(said.iter().map(|entry| entry.text.as_str()).collect::<Vec<_>>(), ["one line", "another"]);
    assert!(ours[0].text.contains("with the start of the process"), "{}", ours[0].text);
    assert_eq!(
        (said[0].request.clone(), said[1].request.clone()),
        (ours[1].request.clone(), ours[1].request.clone())
    );
    assert_ne!(ours[0].request, ours[1].request);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_who_goes_away_leaves_no_process_that_is_busy() {
    let stage =
        Stage::with(&[("/", "main", "app.handler", "python3.12", &[("app.py", HOSTILE)])], |settings| {
            settings.concurrency = 1;
        });
    stage.call("/ping", "{}").await;
    let call = stage.runtime.call("/sleep", r#"{"seconds":300}"#);
    assert!(tokio::time::timeout(Duration::from_millis(300), call).await.is_err());
    assert_eq!(stage.call("/ping", "{}").await["calls"], 1, "a new process");
    stage.runtime.stop().await;
}

#[test]
fn what_cannot_run_here_is_said_before_anything_is_started() {
    let refused = |function| match Stage::prepare(&[function], |_| {}) {
        Err(error) => error,
        Ok(_) => panic!("it was taken"),
    };
    let error = refused(("/", "f", "h", "ruby3.3", &[("a", b"")]));
    assert!(error.what.contains("the runtime ruby3.3"), "{error}");
    let error = refused(("/", "f", "h", "provided.al2023", &[("src/bootstrap", b"#!")]));
    assert!(error.what.contains("no file `bootstrap` at its root"), "{error}");
    let error = refused(("/", "f", "h", "provided.al2023", &[("bootstrap", b"not executable")]));
    assert!(error.what.contains("is not executable"), "{error}");
}

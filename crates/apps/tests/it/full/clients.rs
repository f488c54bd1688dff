//! AWS's own runtime clients, unchanged, under our Runtime API: Node.js, Python, Rust and Go.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::stage::Stage;

/// The files of a package: name and bytes.
pub(super) type Files = Vec<(String, Vec<u8>)>;

const PY: &[u8] = include_bytes!("../../functions/client.py");
const JS: &[u8] = include_bytes!("../../functions/client.mjs");

/// Where `cargo xtask test` installs AWS's clients, and cargo builds.
fn built(path: &str) -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let built = program.ancestors().nth(2).unwrap().join(path);
    assert!(built.exists(), "{} is missing: run `cargo xtask test` once", built.display());
    built
}

/// Every file below a directory, except what is skipped.
fn below(dir: &Path, skipped: &[&str]) -> Files {
    let (mut files, mut waiting) = (Files::new(), vec![dir.to_owned()]);
    while let Some(next) = waiting.pop() {
        for entry in std::fs::read_dir(next).unwrap().flatten() {
            let path = entry.path();
            let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
            if skipped.iter().any(|skipped| name.starts_with(skipped)) || name.ends_with("__pycache__") {
                continue;
            }
            if path.is_dir() { waiting.push(path) } else { files.push((name, std::fs::read(&path).unwrap())) }
        }
    }
    files
}

/// The files of AWS's client for Python.
pub(super) fn python() -> Files {
    let mut lib = std::fs::read_dir(built("../clients/lambda/lib")).unwrap().flatten();
    let python = lib.find(|entry| entry.file_name().to_string_lossy().starts_with("python3")).unwrap();
    below(&python.path().join("site-packages"), &["pip", "setuptools"])
}

/// The files of AWS's client for Node.js: its program, and the library that speaks to Lambda.
fn node() -> Files {
    let client = built("../clients/lambda-node/node_modules/aws-lambda-ric");
    let files = below(&client, &["deps", "src", "scripts", "build", "node_modules"]).into_iter();
    files.map(|(name, bytes)| (format!("node_modules/aws-lambda-ric/{name}"), bytes)).collect()
}

/// One function, as all languages write it: what it says to calls, and to a call that fails.
async fn answers(runtime: &str, handler: &str, files: &Files, text: &str, failure: &str) {
    let files: Vec<(&str, &[u8])> =
        files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    let stage = Stage::new(&[("/", "main", handler, runtime, &files)]);
    for call in 1..=2 {
        let mut said = stage.call("/ping", r#"{"values":{"name":"Ada \u00e9 \"x\""}}"#).await;
        let left = said.as_object_mut().unwrap().remove("left").and_then(|left| left.as_u64());
        assert!(left.is_some_and(|left| (1..=10_000).contains(&left)), "{text}: {left:?}");
        let expected: Value = json!({
            "type": "ok",
            "text": text,
            "sent": {"values": {"name": "Ada \u{e9} \"x\""}},
            "calls": call,
            "function": "com-example-app_1-0-0_main",
            "request": true,
        });
        assert_eq!(said, expected);
    }
    let said = stage.failure("/error", "{}").await;
    assert!(said.contains(failure), "{text}: {said}");
    // It serves on after a call that failed.
    assert_eq!(stage.call("/ping", "{}").await["text"], text);
    stage.runtime.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_client_for_python() {
    let mut files = python();
    files.push(("app.py".to_owned(), PY.to_vec()));
    answers("python3.12", "app.handler", &files, "from Python", "TypeError: not a thing").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_client_for_node() {
    let mut files = node();
    files.push(("app.mjs".to_owned(), JS.to_vec()));
    answers("nodejs22.x", "app.handler", &files, "from Node.js", "TypeError: not a thing").await;
    // As a runtime of its own, which starts AWS's program as AWS's images do.
    let start = b"#!/bin/sh\nexec node node_modules/aws-lambda-ric/bin/index.mjs app.handler\n";
    files.push(("bootstrap".to_owned(), start.to_vec()));
    answers("provided.al2023", "unused", &files, "from Node.js", "TypeError: not a thing").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_client_for_rust() {
    let program = std::fs::read(built("examples/lambda_runtime")).unwrap();
    answers(
        "provided.al2023",
        "unused",
        &vec![("bootstrap".to_owned(), program)],
        "from Rust",
        "not a thing",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_client_for_go() {
    let program = std::fs::read(built("../clients/lambda-go/bootstrap")).unwrap();
    let files = vec![("bootstrap".to_owned(), program)];
    answers("provided.al2023", "unused", &files, "from Go", "errorString: not a thing").await;
    let files: Vec<(&str, &[u8])> = vec![("bootstrap", &files[0].1)];
    let stage = Stage::new(&[("/", "main", "unused", "provided.al2", &files)]);
    assert!(stage.failure("/panic", "{}").await.contains("lost"));
    assert_eq!(stage.call("/ping", "{}").await["calls"], 1, "a new process");
    stage.runtime.stop().await;
}

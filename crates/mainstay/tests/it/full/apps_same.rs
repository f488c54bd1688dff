//! A bundle that is deployed to the emulator of AWS, and run there as AWS runs it, gives the answers that it gives on this machine.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use apps::event::{Request, Response, call_body};
use serde_json::{Value, json};

use crate::place::{Place, Ran};
use testbed_aws::Emulator;

const BUCKET: &str = "mattermost-apps-bucket";

/// What Lambda would answer to these calls with the function that the emulator holds.
async fn deployed(emulator: &Emulator, lambda: &str, dir: &Path, calls: &[(&str, String)]) -> Vec<String> {
    let function = emulator.lambda(&format!("/2015-03-31/functions/{lambda}")).await["Configuration"].clone();
    assert_eq!(function["Runtime"], "python3.14");
    // Lambda took the code from the one archive that is kept.
    let kept = emulator.holds(BUCKET).await.into_iter();
    let mut kept =
        kept.filter_map(|line| Some(line.split(' ').nth(1)?.to_owned())).filter(|key| key.contains("/kept/"));
    let key = kept.next().expect("the archive");
    let archive = emulator.bytes(&format!("/{BUCKET}/{key}")).await;
    assert_eq!(function["CodeSize"], archive.len());
    let (zip, code) = (dir.join("code.zip"), dir.join("code"));
    fs::write(&zip, archive).expect("written");
    let target = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/clients");
    let unzip = ["-m", "zipfile", "-e", zip.to_str().expect("text"), code.to_str().expect("text")];
    let unzipped = Command::new("python3").args(unzip).status().expect("python runs");
    assert!(unzipped.success());
    let mut run = Command::new(format!("{target}/lambda/bin/python"));
    run.arg(testbed_aws::lambda_program()).arg(&code);
    run.arg(function["Handler"].as_str().expect("a handler"));
    let mut run =
        run.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it runs");
    for (path, body) in calls {
        let mut event = Request::call(path, body.as_str()).to_json();
        event.push(b'\n');
        run.stdin.as_mut().expect("a pipe").write_all(&event).expect("it reads");
    }
    let output = run.wait_with_output().expect("it ends");
    let said = |line: &str| {
        let said: Value = serde_json::from_str(line).expect("JSON");
        let error = (said["failed"] == true).then_some("Unhandled");
        let answer = Response::decode(error, said["payload"].as_str().expect("text").as_bytes());
        answer.and_then(Response::into_call_response).map_or_else(|error| error.what, |said| said.to_string())
    };
    String::from_utf8(output.stdout).expect("text").lines().map(said).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_answers_the_same_on_aws_and_here() {
    let (emulator, place) = (Emulator::start().await, Place::new());
    let path = |name: &str| place.root.with_file_name(name);
    let (app, bundle) = (path("app").display().to_string(), path("app.zip").display().to_string());
    let run = |args: &[&str]| {
        let mut command = place.command(&[&["apps"], args].concat());
        command.env("AWS_ENDPOINT_URL", emulator.url("")).env("AWS_REGION", "eu-central-1");
        command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
        Ran::from(command.output().expect("it runs"))
    };
    run(&["init", "python", &app, "--id", "com.example.same"]).expect(0);
    // A call that no app answers well.
    let code = path("app").join("hello/app.py");
    let text = fs::read_to_string(&code).expect("the code");
    fs::write(
        &code,
        text.replace(
            "    if path == \"/ping\":",
            "    if path == \"/fail\":\n        raise KeyError(path)\n    if path == \"/ping\":",
        ),
    )
    .expect("written");
    run(&["bundle", &app, "--output", &bundle]).expect(0);
    emulator.functions_answer(r#"{"statusCode":200,"body":"{\"type\":\"ok\",\"text\":\"PONG\"}"}"#, 5).await;
    run(&["aws", "init"]).expect(0);
    let done = run(&["deploy", &bundle, "--json"]).expect(0).json();
    let lambda = done["functions"][0].as_str().expect("a function").to_owned();

    let values = json!({"message": "a \"b\" \u{e9} \u{1f600}\n"});
    let calls = [
        ("/ping", call_body("/ping", None)),
        ("/bindings", call_body("/bindings", None)),
        ("/send", call_body("/send", Some(&values))),
        ("/send", call_body("/send", Some(&json!({"message": null})))),
        ("/nothing/there", call_body("/nothing/there", None)),
        ("/fail", call_body("/fail", None)),
    ];
    let there = deployed(&emulator, &lambda, path("there").parent().expect("a directory"), &calls).await;
    assert_eq!(there.len(), calls.len());
    for ((called, body), there) in calls.iter().zip(there) {
        let sent: Value = serde_json::from_str(body).expect("JSON");
        let values = sent["values"].to_string();
        let mut args = vec!["call", bundle.as_str(), called, "--json"];
        if sent["values"].is_object() {
            args.extend(["--values", values.as_str()]);
        }
        let here = run(&args);
        if *called == "/fail" {
            let said = format!("{}{}", here.stdout, here.stderr);
            assert!(here.code != 0 && said.contains("KeyError: '/fail'"), "{said}");
            assert!(there.contains("KeyError: '/fail'"), "{there}");
        } else {
            // An answer of the type `error` is followed by the command's own error.
            let answered = here.stdout.lines().next().unwrap_or_default();
            let answered: Value = serde_json::from_str(answered).expect("JSON");
            assert_eq!(answered.to_string(), there, "{called}: {}", here.stderr);
        }
    }
}

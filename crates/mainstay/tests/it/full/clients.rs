//! Two public clients of other languages, unchanged, against the built-in server.

use std::path::PathBuf;
use std::process::Command;

use crate::place::{MAINSTAY, Place, Ran};

/// Where `cargo xtask test` installs them: beside the profile's directory.
fn clients() -> PathBuf {
    let target = PathBuf::from(MAINSTAY).ancestors().nth(2).expect("the target directory").to_owned();
    let clients = target.join("clients");
    assert!(
        clients.is_dir(),
        "{} is missing: run `cargo xtask test` once, which installs the clients",
        clients.display()
    );
    clients
}

fn script(name: &str) -> String {
    format!("{}/tests/clients/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Runs a client's script against a fresh deployment; it prints `ok` as its last word.
fn passes(command: &mut Command) {
    let place = Place::new();
    place.up(&[]).expect(0);
    command
        .env("MM_HOST", "localhost")
        .env("MM_PORT", place.port.to_string())
        .env("MM_LOGIN", "admin")
        .env("MM_PASSWORD", place.password());
    let ran = Ran::from(command.output().expect("the client runs")).expect(0);
    assert_eq!(ran.stdout.lines().last(), Some("ok"), "{}\n{}", ran.stdout, ran.stderr);
}

#[test]
fn mattermostdriver_logs_in_posts_and_hears_events() {
    passes(Command::new(clients().join("python/bin/python")).arg(script("driver.py")));
}

#[test]
fn the_javascript_client_logs_in_posts_and_hears_events() {
    passes(
        Command::new("node").arg(script("client.mjs")).env("NODE_PATH", clients().join("node/node_modules")),
    );
}

//! restic reads from the storage what is written there.

use std::process::Command;
use std::sync::Arc;

use backup::Repository;

use crate::place::{Place, Rows, rows};
use crate::server::{BUCKET, Server};

#[test]
fn restic_checks_and_restores_what_is_written_in_a_bucket() {
    let (server, place) = (Server::start(), Place::new());
    let repository = Repository::create(Arc::new(server.bucket()), &place.key).unwrap();
    let dump = rows(0, 40_000);
    place.written(&repository, place.set(Rows::of(dump.clone()))).unwrap();
    let (key, target) = (place.root.path().join("restic.key"), place.root.path().join("by-restic"));
    std::fs::write(&key, place.key.reveal()).unwrap();
    let restic = |arguments: &[&str]| {
        let output = Command::new("restic")
            .args(["--no-cache", "-r", &format!("s3:{}/{BUCKET}/chat/one", server.endpoint())])
            .arg("--password-file")
            .arg(&key)
            .args(arguments)
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_DEFAULT_REGION", "eu-central-1")
            .output()
            .expect("restic: the test command installs it");
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "restic {arguments:?}: {said}");
    };
    restic(&["check", "--read-data"]);
    restic(&["restore", "latest", "--target", target.to_str().unwrap()]);
    for name in ["teams/a/000", "teams/a/039", "empty"] {
        let (restored, source) = (target.join("files").join(name), place.data().join(name));
        assert!(std::fs::read(restored).unwrap() == std::fs::read(source).unwrap(), "{name}");
    }
}

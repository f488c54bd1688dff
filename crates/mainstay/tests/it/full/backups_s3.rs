//! Backups in object storage, over the wire.

use crate::place::{Place, Ran};
use testbed_aws::Emulator;

#[tokio::test]
async fn a_backup_in_object_storage_needs_its_key_elsewhere() {
    let storage = Emulator::start().await;
    let endpoint = format!("http://127.0.0.1:{}", storage.port);
    let made =
        reqwest::Client::new().put(format!("{endpoint}/chat-backups")).send().await.expect("an answer");
    assert!(made.status().is_success(), "{}", made.status());
    let place = Place::new();
    place.up(&[]).expect(0);
    place.set_backup(&format!(
        "repository = \"s3://chat-backups/live\"\nendpoint = \"{endpoint}\"\npath_style = true\nregion = \"us-east-1\"\n"
    ));
    let run = |args: &[&str]| -> Ran {
        let mut command = place.command(args);
        command.env("AWS_ACCESS_KEY_ID", "id").env("AWS_SECRET_ACCESS_KEY", "secret");
        command.output().expect("the binary runs").into()
    };
    let refused = run(&["backup", "create"]).expect(8).stderr;
    assert!(refused.contains("backup key export") && refused.contains("--i-have-the-key"), "{refused}");
    assert!(!place.root.join("backup.key").exists(), "a refusal leaves no key");
    run(&["backup", "key", "create"]).expect(0);
    let copy = place.root.with_file_name("copy.key");
    run(&["backup", "key", "export", copy.to_str().expect("text")]).expect(0);
    let created = run(&["backup", "create", "--json"]).expect(0).json();
    assert_eq!(created["location"], "s3://chat-backups/live");
    run(&["backup", "create"]).expect(0);
    let listed = run(&["backup", "list", "--json"]).expect(0).json();
    assert_eq!(listed["snapshots"].as_array().map(Vec::len), Some(2), "{listed}");
    run(&["backup", "check", "--read-data", "100"]).expect(0);
    run(&["backup", "prune", "--keep-last", "1"]).expect(0);
    drop(storage);
    let away = run(&["backup", "create"]).expect(4).stderr;
    assert!(away.contains("s3://chat-backups/live"), "{away}");
    place.run(&["restart"]).expect(0);
}

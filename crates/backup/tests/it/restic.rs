//! restic reads what is written here, and what restic wrote is read here.
use std::fs;
use std::process::{Command, Output};

use backup::{Repository, Silent};

use crate::place::{Place, Rows, rows};

fn restic(place: &Place, arguments: &[&str]) -> Output {
    let key = place.root.path().join("key");
    fs::write(&key, place.key.reveal()).unwrap();
    let output = Command::new("restic")
        .args(["--no-cache", "--password-file"])
        .arg(&key)
        .arg("-r")
        .arg(place.repository_path())
        .args(arguments)
        .current_dir(place.root.path())
        .output()
        .expect("restic: the test command installs it");
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "restic {arguments:?}: {text}");
    output
}

#[test]
fn restic_checks_and_restores_what_is_written_here() {
    let place = Place::new();
    let repository = place.created();
    let dump = rows(0, 40_000);
    place.written(&repository, place.set(Rows::of(dump.clone()))).expect("a snapshot");
    restic(&place, &["check", "--read-data"]);
    restic(&place, &["restore", "latest", "--target", "by-restic"]);
    let restored = place.root.path().join("by-restic");
    for name in ["teams/a/000", "teams/a/039", "empty"] {
        assert!(
            fs::read(restored.join("files").join(name)).unwrap()
                == fs::read(place.data().join(name)).unwrap()
        );
    }
    let mut pieces: Vec<_> =
        fs::read_dir(restored.join("database")).unwrap().flatten().map(|e| e.path()).collect();
    pieces.sort();
    assert!(pieces.iter().flat_map(|path| fs::read(path).unwrap()).collect::<Vec<u8>>() == dump);
}

#[test]
fn what_restic_wrote_is_read_here() {
    let place = Place::new();
    let repository = place.created();
    place.written(&repository, place.set(Rows::of(rows(0, 40_000)))).expect("a snapshot");
    restic(&place, &["restore", "latest", "--target", "layout"]);
    fs::remove_dir_all(place.repository_path()).unwrap();
    restic(&place, &["init"]);
    let key = place.root.path().join("key");
    let status = Command::new("restic")
        .args(["--no-cache", "--quiet", "--password-file"])
        .arg(&key)
        .arg("-r")
        .arg(place.repository_path())
        .args(["backup", "."])
        .current_dir(place.root.path().join("layout"))
        .status()
        .expect("restic");
    assert!(status.success());
    let repository = Repository::open(place.store(), &place.key).expect("restic's repository");
    assert_eq!(repository.manifest("latest").expect("its manifest").release.version, "11.6.0");
    let into = place.root.path().join("restored");
    let restored = repository.restore("latest", "files", &into, &Silent).expect("restored");
    assert_eq!(restored.files, 41);
    assert!(repository.check(100, &Silent).expect("checked").is_sound());
}

//! restic reads what is written here, and what restic wrote is read here.
use std::fs;
use std::process::{Command, Output};

use backup::{Repository, Silent};

use crate::place::{Place, Rows, rows};

pub(crate) fn restic(place: &Place, arguments: &[&str]) -> Output {
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

/// A key that was generated opens a repository at once; one that may be guessed does not.
#[test]
fn what_a_key_costs_depends_on_whether_it_may_be_guessed() {
    let cost = |place: &Place| {
        place.created();
        place.opened();
        restic(place, &["snapshots"]);
        let name = fs::read_dir(place.repository_path().join("keys")).unwrap().flatten().next().unwrap();
        let text = fs::read_to_string(name.path()).unwrap();
        let file: serde_json::Value = serde_json::from_str(&text).unwrap();
        file["N"].as_u64().unwrap()
    };
    assert_eq!(cost(&Place::new()), 1 << 12);
    for guessed in ["secret", &"0".repeat(64), &"0123abcd".repeat(8)] {
        assert!(cost(&Place::with_key(guessed)) >= 1 << 15, "{guessed}");
    }
}

/// What was begun and killed is begun anew; what has lost its `config` is not.
#[test]
fn a_repository_that_was_only_begun_is_begun_anew() {
    let place = Place::new();
    place.created();
    let config = place.repository_path().join("config");
    let lost = fs::read(&config).unwrap();
    fs::remove_file(&config).unwrap();
    let repository = place.created();
    place.written(&repository, place.set(Rows::of(rows(0, 100)))).expect("a snapshot");
    assert_eq!(fs::read_dir(place.repository_path().join("keys")).unwrap().count(), 1);
    place.opened();
    assert!(fs::read(&config).unwrap() != lost);
    fs::remove_file(&config).unwrap();
    let refused =
        Repository::create(place.store(), &place.key).map(drop).expect_err("its snapshots would be lost");
    assert!(refused.to_string().contains("`config` is missing"), "{refused}");
}

//! `status --check` and `settings check` with files that `up` would be refused for, while everything runs: neither is done, and neither
//! waits for ever.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::place::Place;

/// What is done to a file, and what is said of it.
type Damage = (&'static str, fn(&Path), &'static str);

fn replaced(path: &Path, program: &str, args: &[&str]) {
    fs::remove_file(path).expect("removed");
    assert!(Command::new(program).args(args).arg(path).status().expect(program).success());
}

fn changed(path: &Path, change: impl Fn(&mut serde_json::Value)) {
    let mut config = serde_json::from_slice(&fs::read(path).expect("config.json")).expect("JSON");
    change(&mut config);
    fs::write(path, config.to_string()).expect("written");
}

fn prefixed(path: &Path, bytes: &[u8]) {
    let text = [bytes, &fs::read(path).expect("the file")].concat();
    fs::write(path, text).expect("written");
}

const DAMAGES: [Damage; 12] = [
    (
        "config/config.json",
        |path| changed(path, |config| config["TeamSettings"] = serde_json::json!([1])),
        "`TeamSettings` is a list; allowed: a table",
    ),
    (
        "config/config.json",
        |path| {
            let text = fs::read_to_string(path).expect("config.json");
            let digits = "12345".repeat(10);
            fs::write(
                path,
                text.replacen("\"MaxUsersPerTeam\": ", &format!("\"MaxUsersPerTeam\": {digits}"), 1),
            )
            .expect("written");
        },
        "`TeamSettings.MaxUsersPerTeam` is a number; allowed: a whole number",
    ),
    (
        "config/config.json",
        |path| {
            fs::remove_file(path).expect("removed");
            fs::create_dir(path).expect("a directory");
        },
        "config.json is a directory",
    ),
    ("config/config.json", |path| replaced(path, "ln", &["-s", "/no/such/file"]), "it is a symbolic link"),
    ("config/config.json", |path| replaced(path, "mkfifo", &[]), "it is not a regular file"),
    ("config/config.json", |path| prefixed(path, b"\xef\xbb\xbf"), "it begins with a byte order mark"),
    ("mainstay.toml", |path| prefixed(path, b"\n# caf\xe9\n"), "mainstay.toml:2: it is not UTF-8 text"),
    ("mainstay.toml", |path| replaced(path, "mkfifo", &[]), "it is a pipe or a device"),
    ("mainstay.toml", |path| replaced(path, "ln", &["-s", "/no/such/file"]), "mainstay.toml"),
    (
        "mainstay.toml",
        |path| {
            let text = fs::read_to_string(path).expect("mainstay.toml");
            let others = text.lines().filter(|line| !line.starts_with("user")).collect::<Vec<_>>();
            fs::write(path, format!("user = \"nosuch\"\n{}", others.join("\n"))).expect("written");
        },
        "nosuch",
    ),
    ("secrets.toml", |path| replaced(path, "mkfifo", &[]), "it is a pipe or a device"),
    ("state.db", |path| fs::write(path, "this is not a database").expect("written"), "is damaged"),
];

#[test]
fn a_file_that_up_would_be_refused_for_is_told_while_all_runs() {
    let place = Place::new();
    place.up(&[]).expect(0);
    place.run(&["status", "--check"]).expect(0);
    let aside = place.root.with_file_name("aside");
    for (name, damage, says) in DAMAGES {
        let path = place.root.join(name);
        fs::copy(&path, &aside).expect("kept");
        damage(&path);
        let status = place.run(&["status", "--check"]).expect(7);
        assert!(status.stdout.contains("needs you: it runs"), "{name}: {}", status.stdout);
        assert!(status.stdout.contains(says), "it should say {says:?}, and says:\n{}", status.stdout);
        if path.is_dir() { fs::remove_dir(&path) } else { fs::remove_file(&path) }.expect("taken away");
        // With its owner and mode.
        let put_back = Command::new("cp").arg("-p").arg(&aside).arg(&path).status();
        assert!(put_back.expect("cp").success());
        fs::remove_file(&aside).expect("removed");
    }
    let bin = place.root.join("current/bin");
    let bin = bin.canonicalize().expect("the release's programs");
    fs::rename(&bin, bin.with_file_name("aside")).expect("moved");
    let status = place.run(&["status", "--check"]).expect(7);
    assert!(status.stdout.contains("bin/mattermost"), "{}", status.stdout);
    fs::rename(bin.with_file_name("aside"), &bin).expect("moved back");
    place.run(&["status", "--check"]).expect(0);
}

#[test]
fn what_is_in_the_place_of_a_directory_is_told_before_anything_is_made() {
    for name in ["run", "data"] {
        let place = Place::new();
        fs::create_dir(&place.root).expect("the directory");
        fs::write(place.root.join(name), "").expect("a file");
        let path = place.root.join(name).display().to_string();
        for command in [&["up", "--yes"][..], &["up", "--plan"]] {
            let refused = place.run(command).expect(4).stderr;
            assert!(
                refused.contains(&format!("{path} is no directory")) && refused.contains("mv "),
                "{refused}"
            );
        }
        let status = place.run(&["status"]).expect(0).stdout.replace('\n', " ");
        assert!(status.contains(&format!("{path} is no directory")), "{status}");
        assert_eq!(place.names(), [name]);
    }
}

#[test]
fn a_cache_that_is_no_absolute_path_is_refused() {
    let place = Place::new();
    for (value, says) in [("", "is empty"), ("cache", "is `cache`, a relative path")] {
        for command in
            [&["release", "list"][..], &["release", "prune", "--cache", "--yes"], &["up", "--plan"]]
        {
            let ran = place.command(command).env("MAINSTAY_CACHE", value).output().expect("it runs");
            let refused = crate::place::Ran::from(ran).expect(3).stderr;
            assert!(
                refused.contains(&format!("`MAINSTAY_CACHE` {says}; allowed: the absolute path")),
                "{refused}"
            );
        }
    }
}

#[test]
fn nothing_is_exported_for_a_directory_without_a_deployment() {
    let place = Place::new();
    for what in ["systemd", "openrc", "runit", "cron"] {
        let refused = place.run(&["export", what]).expect(4);
        assert!(
            refused.stdout.is_empty() && refused.stderr.contains("there is no deployment in"),
            "{}",
            refused.stderr
        );
        assert!(refused.stderr.contains("install one with `mainstay"), "{}", refused.stderr);
    }
}

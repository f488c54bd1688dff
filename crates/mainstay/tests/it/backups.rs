//! Backups of a deployment on the embedded database: made, listed, shown, checked, thinned out, and refused.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::place::Place;

impl Place {
    /// Writes `[backup]` at the end of mainstay.toml, in place of what it was.
    pub(crate) fn set_backup(&self, lines: &str) {
        let path = self.root.join("mainstay.toml");
        let text = fs::read_to_string(&path).expect("mainstay.toml");
        let kept = text.split("\n[backup]\n").next().unwrap_or_default().to_owned();
        let kept = kept.trim_end().to_owned();
        fs::write(&path, format!("{kept}\n\n[backup]\n{lines}")).expect("written");
    }

    /// `backup list --json`: the ids, oldest first.
    pub(crate) fn snapshots(&self) -> Vec<String> {
        let listed = self.run(&["backup", "list", "--json"]).expect(0).json();
        let all = listed["snapshots"].as_array().expect("a list").clone();
        all.iter().map(|one| one["snapshot"].as_str().expect("an id").to_owned()).collect()
    }

    /// `backup create --json`.
    pub(crate) fn backed_up(&self) -> Value {
        let created = self.run(&["backup", "create", "--json"]).expect(0).json();
        assert!(!self.root.join("run/backup").exists(), "what a backup needs meanwhile is left");
        created
    }
}

/// Uploads a file as the administrator does, and says where it is kept below `data`.
async fn uploaded(place: &Place, name: &str, content: &'static str) -> PathBuf {
    let (client, token) = (reqwest::Client::new(), place.token().await);
    let url = |path: &str| format!("{}/api/v4/{path}", place.url());
    let post = async |path: &str, body: Value| -> Value {
        let answer = client.post(url(path)).bearer_auth(&token).json(&body).send().await.expect("an answer");
        answer.json().await.expect("JSON")
    };
    let team = format!("team{name}");
    let team = post("teams", json!({"name": team, "display_name": team, "type": "O"})).await;
    let team = team["id"].as_str().unwrap_or_else(|| panic!("{team}")).to_owned();
    let channel: Value = client
        .get(url(&format!("teams/{team}/channels/name/town-square")))
        .bearer_auth(&token)
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    let channel = channel["id"].as_str().expect("an id");
    let path = format!("files?channel_id={channel}&filename={name}.txt");
    let answer = client.post(url(&path)).bearer_auth(&token).body(content).send().await.expect("an answer");
    assert_eq!(answer.status(), 201);
    found(&place.root.join("data"), &format!("{name}.txt")).expect("the file is in the directory of files")
}

fn found(below: &Path, name: &str) -> Option<PathBuf> {
    fs::read_dir(below).ok()?.flatten().find_map(|entry| match entry.path() {
        path if path.is_dir() => found(&path, name),
        path => (path.file_name()?.to_str()? == name).then_some(path),
    })
}

#[tokio::test]
async fn a_backup_is_made_while_people_work_and_proven() {
    let place = Place::new();
    place.up(&[]).expect(0);
    let none = place.run(&["backup", "list"]).expect(4);
    assert!(none.stderr.contains("mainstay backup create"), "{}", none.stderr);
    let upload = uploaded(&place, "first", "one").await;
    let before = place.status();
    assert_eq!(before["backups"], Value::Null);
    let plan = place.run(&["backup", "create", "--plan", "--json"]).expect(0).json();
    let steps: Vec<&str> =
        plan["steps"].as_array().expect("steps").iter().filter_map(|s| s["name"].as_str()).collect();
    assert_eq!(steps, ["backup-key", "backup-repository", "snapshot"]);
    assert!(
        !place.root.join("backups").exists() && !place.root.join("backup.key").exists(),
        "a plan makes nothing"
    );

    let ran = place.run(&["backup", "create", "--why", "before the party", "--json"]).expect(0);
    let first = ran.json();
    let key_file = place.root.join("backup.key");
    assert_eq!(first["new_key"], json!(key_file));
    assert_eq!(fs::metadata(&key_file).expect("a key").permissions().mode() & 0o777, 0o600);
    let key = fs::read_to_string(&key_file).expect("a key").trim().to_owned();
    assert!(!ran.stdout.contains(&key) && !ran.stderr.contains(&key), "the key was printed");
    assert_eq!(place.status()["agent"]["agent_pid"], before["agent"]["agent_pid"], "nothing was restarted");

    // All of it, by its parts.
    let shown = place.run(&["backup", "show", "--files", "--json"]).expect(0).json();
    let (manifest, list) = (&shown["manifest"], shown["list"].to_string());
    assert_eq!(
        (&manifest["why"], &manifest["database"]["engine"]),
        (&json!("before the party"), &json!("sqlite"))
    );
    assert_eq!(manifest["database"]["rows"]["fileinfo"], 1, "{manifest}");
    for name in [
        "database/mattermost.db",
        "deployment/secrets.toml",
        "deployment/config/config.json",
        "/first.txt",
        "mainstay.json",
    ] {
        assert!(list.contains(name), "no {name} in {list}");
    }
    for name in ["backup.key", "mattermost.db-wal", "files/mattermost.db", "releases"] {
        assert!(!list.contains(name), "{name} in {list}");
    }
    let text = place.run(&["backup", "show"]).expect(0).stdout;
    assert!(text.contains("deployment/config") && text.contains("sqlite"), "{text}");

    // What has not changed is not read again; with the release.
    let second = place.backed_up();
    assert!(second["unchanged"].as_u64() >= Some(5) && second["added"].as_u64() < Some(400_000), "{second}");
    assert_eq!(second["new_key"], Value::Null);
    let third = place.run(&["backup", "create", "--with-release", "--json"]).expect(0).json();
    let list = place.run(&["backup", "show", "--files", "--json"]).expect(0).stdout;
    assert!(list.contains("/bin/mattermost"), "{list}");
    assert_eq!(place.snapshots().last(), Some(&third["snapshot"].as_str().expect("an id").to_owned()));

    // From repository and key alone.
    let elsewhere = Place::new();
    let (repository, key) = (place.root.join("backups"), key_file.display().to_string());
    let named = ["--repository", repository.to_str().expect("text"), "--key-file", &key];
    for command in [&["backup", "list"][..], &["backup", "show"], &["backup", "check"]] {
        elsewhere.run(&[command, &named].concat()).expect(0);
    }
    assert!(!elsewhere.root.exists(), "a look makes nothing");

    // Proven, and no longer when a file is lost.
    let checked = place.run(&["backup", "check", "--read-data", "100", "--json"]).expect(0).json();
    assert_eq!(
        (&checked["sound"], &checked["files"]["rows"], &checked["files"]["missing"]),
        (&json!(true), &json!(1), &json!(0))
    );
    assert_eq!(checked["packs"], checked["packs_read"]);
    fs::remove_file(&upload).expect("lost");
    let said = place.run(&["backup", "create"]).expect(0).stdout;
    assert!(said.contains("warning: 1 uploaded file that the database knows is not on the disk"), "{said}");
    let failed = place.run(&["backup", "check"]).expect(5);
    assert!(failed.stdout.contains("first.txt: missing"), "{}", failed.stdout);
    let status = place.run(&["status"]).expect(0).stdout;
    assert!(
        status.contains("the check of the backups of ") && status.contains("1 of 1 uploaded files"),
        "{status}"
    );
    place.run(&["status", "--check"]).expect(0);
    place.set_backup("watch = true\n");
    place.run(&["status", "--check"]).expect(5);
    // The whole directory: a failed check, and no mistake of whoever checks.
    let (uploads, away) = (place.root.join("data"), place.root.join("data/away"));
    let top = upload.strip_prefix(&uploads).expect("below").components().next().expect("a name").as_os_str();
    fs::rename(uploads.join(top), &away).expect("away");
    assert_eq!(place.backed_up()["missing"], 1);
    place.run(&["backup", "check"]).expect(5);
    fs::rename(&away, uploads.join(top)).expect("back");
    fs::write(&upload, "one").expect("put back");

    // With the server down, too; and a failure stays until one succeeds.
    place.run(&["down"]).expect(0);
    place.backed_up();
    place.run(&["backup", "check", "--files"]).expect(0);
    assert_eq!(place.status()["backups"]["failing"], json!([]));

    // Thinned out by what the settings say, right after a backup.
    place.set_backup("keep_last = 2\nwatch = true\n");
    let plan = place.run(&["backup", "prune", "--plan"]).expect(0);
    assert!(
        plan.stdout.contains("Remove the snapshots ")
            && plan.stderr.contains(" stays: it is one of the newest"),
        "{}",
        plan.stderr
    );
    let thinned = place.backed_up();
    assert_eq!(thinned["pruned"]["removed"].as_array().map(Vec::len), Some(5), "{thinned}");
    assert_eq!(place.snapshots().len(), 2);
    place.run(&["backup", "prune", "--keep-last", "1", "--at-once"]).expect(0);
    assert_eq!(place.snapshots(), [thinned["snapshot"].as_str().expect("an id")]);
    place.run(&["backup", "check", "--read-data", "100"]).expect(0);
    let history = place.run(&["history"]).expect(0).stdout;
    assert!(history.contains("Back up ") && history.contains("Thin out the backups"), "{history}");

    // The key, elsewhere.
    let copy = place.root.with_file_name("copy.key");
    let copied = copy.to_str().expect("text");
    place.run(&["backup", "key", "export", copied]).expect(0);
    assert_eq!(
        fs::read_to_string(&copy).expect("a key").trim(),
        fs::read_to_string(&key_file).expect("a key").trim()
    );
    assert_eq!(fs::metadata(&copy).expect("a key").permissions().mode() & 0o777, 0o600);
    assert!(place.run(&["backup", "key", "export", copied]).expect(8).stderr.contains("is there already"));
    // A copy that is lost with the first one is none.
    for own in ["copy.key", "backups/copy.key", "data/../copy.key"] {
        let own = place.root.join(own);
        let said = place.run(&["backup", "key", "export", own.to_str().expect("text")]).expect(8).stderr;
        assert!(said.contains("loses this copy, too") && !own.exists(), "{said}");
    }
    // A rule that keeps nothing, a snapshot that is none, and a repository of this call alone are mistakes, and no failed backups.
    let said = place.run(&["backup", "prune", "--keep-last", "0"]).expect(2).stderr;
    assert!(said.contains("every count is 0"), "{said}");
    place.run(&["backup", "drill", "--snapshot", "feed"]).expect(2);
    let typed = |args: &[&str], variable: &str, value: &str| -> crate::place::Ran {
        place.command(args).env(variable, value).output().expect("it runs").into()
    };
    typed(&["backup", "create"], "MAINSTAY_BACKUP_REPOSITORY", "/proc/backups").expect(6);
    typed(&["backup", "create"], "MAINSTAY_BACKUP_LIMIT", "fast").expect(3);
    typed(&["backup", "check"], "MAINSTAY_BACKUP_REPOSITORY", "/nowhere/backups").expect(4);
    place.run(&["backup", "check", "--key-file", "/nowhere/key"]).expect(4);
    assert_eq!(place.status()["backups"]["failing"], json!([]));
    // A moment is one of this machine's time zone, and can be given back as it is printed.
    let listed = typed(&["backup", "list"], "TZ", "Asia/Tokyo").expect(0).stdout;
    let moment = listed.split_whitespace().nth(1).expect("a moment").to_owned();
    assert!(moment.ends_with("+09:00"), "{listed}");
    assert!(typed(&["status"], "TZ", "Asia/Tokyo").expect(0).stdout.contains("+09:00"));
    place.run(&["restore", &moment, "--plan"]).expect(0);
    // The key is gone: another would open nothing.
    let away = place.root.with_file_name("away.key");
    fs::rename(&key_file, &away).expect("gone");
    let said = place.run(&["backup", "key", "create"]).expect(8).stderr;
    assert!(said.contains("a new key does not open the repository") && !key_file.exists(), "{said}");
    fs::rename(&away, &key_file).expect("put back");

    let plan = place.run(&["uninstall", "--plan"]).expect(0).stdout;
    assert!(plan.contains("with all backups in it, and their key"), "{plan}");
    let plan = place.run(&["uninstall", "--plan", "--keep-data"]).expect(0).stdout;
    assert!(!plan.contains("backups"), "{plan}");
    place.run(&["uninstall", "--yes", "--keep-data"]).expect(0);
    let names = place.names();
    for name in ["backups", "backup.key", "backups.json"] {
        assert!(names.contains(&name.to_owned()), "{name} went: {names:?}");
    }
}

/// A lock of a process that lives: this one.
fn busy() -> String {
    let text = |path: &str| fs::read_to_string(path).expect("a file").trim().to_owned();
    let now = jiff::Timestamp::now();
    json!({
        "host": text("/proc/sys/kernel/hostname"), "boot": text("/proc/sys/kernel/random/boot_id"), "pid": std::process::id(),
        "what": "backup create", "since": now, "renewed": now, "nonce": 7,
    })
    .to_string()
}

#[test]
fn what_cannot_be_backed_up_is_refused_and_leaves_nothing() {
    let place = Place::new();
    assert!(place.run(&["backup", "create"]).expect(4).stderr.contains("mainstay up"));
    place.up(&[]).expect(0);
    let create = |code: i32, says: &[&str]| {
        let said = place.run(&["backup", "create"]).expect(code).stderr;
        for word in says {
            assert!(said.contains(word), "no {word:?} in {said}");
        }
    };
    let root = place.root.display().to_string();
    let names = place.names();
    symlink(place.root.join("data"), place.root.with_file_name("link")).expect("a link");
    let link = place.root.with_file_name("link").display().to_string();
    for (lines, says) in [
        ("repository = \"data/backups\"\n".to_owned(), "belongs to the deployment"),
        (format!("repository = \"{link}/x\"\n"), "belongs to the deployment"),
        (format!("repository = \"{root}\"\n"), "the deployment's directory"),
        ("repository = \"../x\"\n".to_owned(), "holds `..`"),
        ("repository = \"https://s3.example.com/x\"\n".to_owned(), "allowed: a directory"),
        ("repositry = \"x\"\n".to_owned(), "did you mean `backup.repository`?"),
        ("limit = \"20\"\n".to_owned(), "20MB/s"),
        ("keep_last = -1\n".to_owned(), "0 to 10000"),
    ] {
        place.set_backup(&lines);
        create(3, &[says]);
    }
    place.set_backup("");
    let wrong = place.command(&["backup", "create"]).env("MAINSTAY_BACKUP_LIMIT", "fast").output();
    let wrong = String::from_utf8(wrong.expect("it runs").stderr).expect("text");
    assert!(wrong.contains("`MAINSTAY_BACKUP_LIMIT` is `fast`"), "{wrong}");
    assert!(place.run(&["backup", "prune"]).expect(2).stderr.contains("keep_daily = 7"));

    // A directory of somebody else's.
    let other = place.root.with_file_name("other");
    fs::create_dir(&other).expect("made");
    fs::write(other.join("thesis.txt"), "mine").expect("written");
    place.set_backup(&format!("repository = \"{}\"\n", other.display()));
    create(8, &["thesis.txt is in it"]);
    let mut left = place.names();
    left.retain(|name| name != "backups.json");
    assert_eq!(left, names, "a refusal leaves nothing but what status says of it");
    assert!(place.run(&["status"]).expect(0).stdout.contains("failed: "), "it is told until one succeeds");

    // Somebody else's repository, and one that is gone.
    let elsewhere = place.root.with_file_name("elsewhere");
    place.set_backup(&format!("repository = \"{}\"\n", elsewhere.display()));
    place.backed_up();
    let key = place.root.join("backup.key");
    let own = fs::read_to_string(&key).expect("a key");
    fs::write(&key, "another\n").expect("written");
    create(8, &["does not open the repository in"]);
    fs::remove_file(&key).expect("removed");
    create(4, &["backup.key, the key of the backups, does not exist", "exported"]);
    fs::write(&key, own).expect("put back");
    let moved = place.root.with_file_name("moved");
    fs::rename(&elsewhere, &moved).expect("gone");
    fs::create_dir(&elsewhere).expect("a mount point");
    create(8, &["is gone", "--new-repository"]);
    fs::remove_dir(&elsewhere).expect("removed");
    create(8, &["is gone"]);
    fs::rename(&moved, &elsewhere).expect("mounted again");

    // Another writer.
    let lock = elsewhere.join("mainstay.lock");
    fs::write(&lock, busy()).expect("written");
    create(9, &["`backup create` of process"]);
    place.run(&["backup", "prune", "--keep-last", "1"]).expect(9);
    place.run(&["backup", "repair"]).expect(9);
    place.run(&["backup", "list"]).expect(0);
    fs::remove_file(&lock).expect("removed");

    // No snapshot of that name; a flag that makes no sense.
    let said = place.run(&["backup", "show", "feed"]).expect(2).stderr;
    assert!(said.contains("there is no snapshot") && said.contains("backup list"), "{said}");
    place.run(&["backup", "check", "--read-data", "101"]).expect(2);
    place.run(&["backup", "create", "--new-repository"]).expect(0);
    assert_eq!(place.snapshots().len(), 2, "one that is there is not begun anew");
}

#[test]
fn a_repository_that_lost_a_pack_is_repaired_and_takes_the_next_backup() {
    let place = Place::new();
    place.up(&[]).expect(0);
    place.backed_up();
    let said = place.run(&["backup", "repair"]).expect(0).stdout;
    assert!(said.contains("nothing was repaired"), "{said}");
    let data = place.root.join("backups/data");
    let mut packs: Vec<PathBuf> = walkdir(&data);
    packs.sort_by_key(|path| std::cmp::Reverse(fs::metadata(path).map_or(0, |meta| meta.len())));
    fs::remove_file(&packs[0]).expect("lost");
    let refused = place.run(&["backup", "create"]);
    assert!(refused.code != 0 && refused.stderr.contains("mainstay backup repair"), "{}", refused.stderr);
    let plan = place.run(&["backup", "repair", "--plan"]).expect(0);
    assert!(
        plan.stderr.contains("is missing") && plan.stdout.contains("Make the indexes in"),
        "{}",
        plan.stderr
    );
    // Killed in it: the next one goes on.
    for at in ["mending:before", "mending:after"] {
        place.run(&["backup", "repair", "--inject-kill", at]).expect(-9);
    }
    place.run(&["restart"]).expect(0);
    let repaired = place.run(&["backup", "repair", "--json"]).expect(0).json();
    assert_eq!(repaired["changed"], false, "the killed one had done it: {repaired}");
    let listed = place.run(&["backup", "list"]).expect(0).stdout;
    assert!(listed.contains("has lost data"), "{listed}");
    let id = listed.split_whitespace().next().expect("an id").to_owned();
    let refused = place.run(&["restore", &id, "--plan"]).expect(8).stderr;
    assert!(refused.contains("has lost data"), "{refused}");
    place.run(&["restore", "--plan"]).expect(2);
    place.backed_up();
    place.run(&["backup", "check", "--read-data", "100"]).expect(0);
    place.run(&["restore", "--plan"]).expect(0);
    // A changed byte is found by reading; then what has lost data goes.
    let pack = walkdir(&data).into_iter().max_by_key(|path| fs::metadata(path).map_or(0, |meta| meta.len()));
    let pack = pack.expect("a pack");
    let mut content = fs::read(&pack).expect("a pack");
    content[100] ^= 1;
    fs::write(&pack, content).expect("changed");
    let repaired = place.run(&["backup", "repair", "--read-all", "--forget", "--json"]).expect(0).json();
    assert_eq!(repaired["set_aside"].as_array().map(Vec::len), Some(1), "{repaired}");
    assert_eq!(repaired["removed"].as_array().map(Vec::len), Some(2), "{repaired}");
    assert!(place.snapshots().is_empty());
    place.backed_up();
    place.run(&["backup", "check", "--read-data", "100"]).expect(0);
}

fn walkdir(below: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(below).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { walkdir(&path) } else { vec![path] }).collect()
}

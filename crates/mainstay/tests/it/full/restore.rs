//! A snapshot becomes a deployment again: here, on another machine, or in a drill; and whatever goes wrong, what was there comes back.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use super::managed;
use crate::place::{Place, Ran, eventually, processes_of};

/// People's work in a deployment.
pub(super) struct Work {
    pub(super) place: Place,
    /// Arguments of every `up`.
    pub(super) up: Vec<&'static str>,
}

impl Work {
    /// A deployment that runs, without any.
    pub(super) fn on(place: Place, up: &[&'static str]) -> Self {
        place.up(up).expect(0);
        Self { place, up: up.to_vec() }
    }

    pub(super) async fn call(&self, method: reqwest::Method, path: &str, body: Value) -> Value {
        let url = format!("{}/api/v4/{path}", self.place.url());
        let call = reqwest::Client::new().request(method, url).bearer_auth(self.place.token().await);
        let call = if body.is_null() { call } else { call.json(&body) };
        let answer = call.send().await.expect("an answer");
        let status = answer.status();
        let text = answer.text().await.expect("a text");
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// A channel, which is made where it is missing.
    async fn channel(&self) -> String {
        let teams = self.call(reqwest::Method::GET, "teams", Value::Null).await;
        let found = teams.as_array().expect("teams").iter().find(|team| team["name"] == "ours").cloned();
        let team = match found {
            Some(team) => team,
            None => {
                let team = json!({"name": "ours", "display_name": "Ours", "type": "O"});
                self.call(reqwest::Method::POST, "teams", team).await
            }
        };
        let path = format!("teams/{}/channels/name/town-square", team["id"].as_str().expect("an id"));
        let channel = self.call(reqwest::Method::GET, &path, Value::Null).await;
        channel["id"].as_str().expect("an id").to_owned()
    }

    /// Somebody posts a message with a file.
    pub(super) async fn post(&self, text: &str) {
        let channel = self.channel().await;
        let url = format!("{}/api/v4/files?channel_id={channel}&filename={text}.txt", self.place.url());
        let call = reqwest::Client::new().post(url).bearer_auth(self.place.token().await);
        let answer = call.body(text.repeat(1000)).send().await.expect("an answer");
        let uploaded: Value = answer.json().await.expect("JSON");
        let file =
            uploaded["file_infos"][0]["id"].as_str().unwrap_or_else(|| panic!("{uploaded}")).to_owned();
        let post = json!({"channel_id": channel, "message": text, "file_ids": [file]});
        self.call(reqwest::Method::POST, "posts", post).await;
    }

    /// The messages that are there, sorted, each with its file as people download it.
    pub(super) async fn posts(&self) -> Vec<String> {
        let path = format!("channels/{}/posts", self.channel().await);
        let posts = self.call(reqwest::Method::GET, &path, Value::Null).await;
        let mut texts = Vec::new();
        for post in posts["posts"].as_object().expect("posts").values() {
            let text = post["message"].as_str().expect("a text").to_owned();
            let Some(file) = post["file_ids"][0].as_str() else { continue };
            let url = format!("{}/api/v4/files/{file}", self.place.url());
            let call = reqwest::Client::new().get(url).bearer_auth(self.place.token().await);
            let content = call.send().await.expect("an answer").text().await.expect("a text");
            assert!(content == text.repeat(1000), "the file of {text}");
            texts.push(text);
        }
        texts.sort();
        texts
    }

    pub(super) fn backed_up(&self) -> String {
        let made = self.place.run(&["backup", "create", "--json"]).expect(0).json();
        made["snapshot"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned()
    }

    pub(super) fn restore(&self, more: &[&str]) -> Ran {
        self.place.run(&[&["restore", "--yes", "--json"], more].concat())
    }
}

pub(super) fn block<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().expect("a runtime").block_on(work)
}

/// The names in a directory.
fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Restored, taken back at every step, killed at every step, and restored again.
fn restored_in_place(work: &Work, last: &str) {
    block(work.post("before"));
    let snapshot = work.backed_up();
    block(work.post("after"));
    let both = vec!["after".to_owned(), "before".to_owned()];
    assert_eq!(block(work.posts()), both);

    let plan = work.place.run(&["restore", "--plan", "--json"]).expect(0).json();
    let steps: Vec<String> = plan["steps"]
        .as_array()
        .expect("steps")
        .iter()
        .map(|step| step["name"].as_str().expect("a name").to_owned())
        .collect();
    assert_eq!(steps[0], "fetch-snapshot", "{steps:?}");
    assert_eq!(steps.last().map(String::as_str), Some("fetched-copy"), "{steps:?}");

    // A failure anywhere brings back what was there. These are the steps that a restore has of its own, and the last one.
    let own = ["fetch-snapshot", "exchange", "database-aside", "load", "acceptance", "fetched-copy"];
    let own: Vec<&String> = steps.iter().filter(|step| own.contains(&step.as_str())).collect();
    for step in own.iter().skip(1).step_by(2) {
        let at = format!("{step}:after");
        let failed = work.restore(&["--inject-failure", &at]);
        assert_eq!(failed.code, 6, "{at}: {}", failed.stderr);
        assert!(failed.stderr.contains("everything is as before"), "{at}: {}", failed.stderr);
        assert_eq!(block(work.posts()), both, "{at}");
        assert!(!work.place.root.join("set-aside").exists(), "{at}");
    }
    // What was fetched is not fetched again.
    assert!(work.place.root.join("restoring").exists());

    // A kill anywhere: the next restore goes on.
    for (n, step) in steps.iter().enumerate().filter(|(n, step)| n % 3 == 0 || own.contains(step)) {
        let at = format!("{step}:{}", if n % 2 == 0 { "before" } else { "after" });
        work.restore(&["--inject-kill", &at]).expect(-9);
        let restored = work.restore(&[]);
        assert_eq!(restored.code, 0, "{at}: {}", restored.stderr);
        let report = restored.json();
        assert_eq!(
            (&report["snapshot"], &report["resumed"]),
            (&json!(snapshot), &json!(true)),
            "{at}: {report}"
        );
        assert_eq!(block(work.posts()), ["before"], "{at}");
        assert!(!work.place.root.join("restoring").exists(), "{at}");
        let aside = PathBuf::from(report["set_aside"].as_str().unwrap_or_else(|| panic!("{at}: {report}")));
        assert!(
            aside.join("data").is_dir() && aside.join("secrets.toml").is_file(),
            "{at}: {:?}",
            names(&aside)
        );
        std::fs::remove_dir_all(aside).expect("what was there is removed as the message says");
    }
    // It is a deployment like any other.
    assert_eq!(work.place.up(&[&work.up[..], &["--json"]].concat()).expect(0).json()["changed"], false);
    block(work.post(last));
    assert_eq!(block(work.posts()), ["before", last]);
    // Another kind of undo: killed in it.
    for step in ["exchange", "snapshot-settings"] {
        work.restore(&["--inject-failure", "acceptance:before", "--inject-kill", &format!("{step}:undo")])
            .expect(-9);
        work.place.up(&work.up).expect(0);
        assert_eq!(block(work.posts()), ["before", last], "{step}");
    }
}

#[test]
fn a_deployment_on_sqlite_is_restored_in_place() {
    let work = Work::on(Place::new(), &[]);
    restored_in_place(&work, "later");

    // A server that does not start any more is what one restores for.
    work.place.run(&["down"]).expect(0);
    std::fs::write(work.place.root.join("data/mattermost.db"), "garbage").expect("written");
    std::fs::remove_file(work.place.root.join("secrets.toml")).expect("removed");
    work.restore(&[]).expect(0);
    assert_eq!(block(work.posts()), ["before"]);
}

#[test]
fn a_deployment_on_managed_postgres_is_restored_in_place() {
    let work = Work::on(managed::place("restored"), &["--database", "managed"]);
    restored_in_place(&work, "later");
    let schemas = managed::sql(
        &work.place,
        "select count(*) from pg_namespace where nspname like 'mainstay_undone_before%'",
    );
    assert_ne!(schemas, "0", "the tables that were there are kept");
    // The next backup has nothing of them.
    let rows = |snapshot: &str| {
        let shown = work.place.run(&["backup", "show", snapshot, "--json"]).expect(0).json();
        shown["manifest"]["database"]["rows"].as_object().expect("rows").len()
    };
    let (first, next) = ("latest", work.backed_up());
    assert_eq!(rows(first), rows(&next));
}

#[test]
fn a_new_machine_needs_the_repository_and_the_key() {
    for managed in [false, true] {
        let up: &[&str] = if managed { &["--database", "managed"] } else { &[] };
        let old = match managed {
            true => Work::on(managed::place("oldmachine"), up),
            false => Work::on(Place::new(), up),
        };
        block(old.post("kept"));
        old.backed_up();
        block(old.post("lost"));
        old.place.run(&["down"]).expect(0);

        let new = if managed { managed::place("newmachine") } else { Place::new() };
        let new = Work { place: new, up: Vec::new() };
        let (repository, key) = (old.place.root.join("backups"), old.place.root.join("backup.key"));
        let (repository, key) = (repository.display().to_string(), key.display().to_string());
        let listen = format!("127.0.0.1:{}", new.place.port);
        let site_url = new.place.url();
        let mut args = vec!["restore", "--yes", "--json", "--repository", &repository, "--key-file", &key];
        args.extend(["--listen", &listen, "--site-url", &site_url]);
        let run = |more: &[&str]| new.place.run(&[&args[..], more].concat());
        run(&["--plan"]).expect(0);
        assert!(!new.place.root.exists(), "a plan makes nothing");
        // Where it fails, nothing of a deployment stays.
        {
            let step = "acceptance:before";
            let failed = run(&["--inject-failure", step]).expect(6);
            assert!(failed.stderr.contains("everything is as before"), "{step}: {}", failed.stderr);
            let left: Vec<String> = new
                .place
                .names()
                .into_iter()
                .filter(|name| !["run", "logs"].contains(&&**name) && !name.starts_with("state.db"))
                .collect();
            assert_eq!(left, ["restoring"], "{step}");
            eventually("no process is left", || processes_of(&new.place.root).is_empty());
        }
        for step in ["fetch-snapshot", "exchange"] {
            run(&["--inject-kill", &format!("{step}:after")]).expect(-9);
            if step == "fetch-snapshot" {
                continue;
            }
            let report = run(&[]).expect(0).json();
            assert_eq!(report["resumed"], true, "{step}: {report}");
            assert_eq!(block(new.posts()), ["kept"], "{step}");
            assert!(report.get("set_aside").is_none(), "{report}");
            assert!(!new.place.root.join("set-aside").exists());
            new.place.run(&["uninstall", "--yes"]).expect(0);
        }
    }
}

/// Nothing of a drill is left.
pub(super) fn assert_removed(work: &Work, at: &str) {
    let scratch = work.place.root.join("drill");
    assert!(scratch.symlink_metadata().is_err(), "{at}: {:?}", names(&scratch));
    eventually("no process of a drill is left", || processes_of(&scratch).is_empty());
}

fn drilled(work: &Work) {
    block(work.post("proven"));
    let snapshot = work.backed_up();
    let drill = work.place.command(&["backup", "drill", "--json"]).stdout(Stdio::piped()).spawn();
    let mut drill = drill.expect("it runs");
    // People work meanwhile, and whoever watches their deployment is not alarmed.
    let mut seen = false;
    while drill.try_wait().expect("its state").is_none() {
        let status = work.place.run(&["status", "--check", "--json"]).expect(0).json();
        seen |= status["beside"]["operation"] == "drill";
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(seen, "the drill was over before anybody looked");
    let drilled = Ran::from(drill.wait_with_output().expect("it ended")).expect(0).json();
    assert_eq!(drilled["snapshot"], json!(snapshot), "{drilled}");
    assert!(drilled["rows"].as_u64() > Some(20) && drilled["files"].as_u64() > Some(0), "{drilled}");
    assert!(
        drilled["recovered_ms"].as_u64() > Some(0) && drilled["lost_seconds"].as_u64() < Some(600),
        "{drilled}"
    );
    // What would be lost is told by the newest message in it, and what came since.
    assert!(drilled["newest_message"].as_i64() > Some(1_700_000_000_000), "{drilled}");
    assert_eq!(drilled["messages_since"], 0, "{drilled}");
    assert_removed(work, "after a drill");
    for at in ["scratch:after", "scratch-removal:before"] {
        work.place.run(&["backup", "drill", "--inject-kill", at]).expect(-9);
        let status = work.place.run(&["status", "--check"]).expect(0).stdout;
        assert!(status.contains("the next command takes it back"), "{status}");
        // Whatever comes next takes it back; `up` tests the deployment anew after that.
        work.place.up(&work.up).expect(0);
        assert_removed(work, at);
    }
    let failed = work.place.run(&["backup", "drill", "--inject-failure", "comparison:before"]).expect(6);
    assert!(failed.stderr.contains("everything is as before"), "{}", failed.stderr);
    assert_removed(work, "after a failure");
    // People noticed nothing.
    assert_eq!(block(work.posts()), ["proven"]);
    work.place.run(&["verify"]).expect(0);
}

#[test]
fn a_drill_proves_a_snapshot_and_leaves_nothing() {
    let work = Work::on(Place::new(), &[]);
    drilled(&work);

    // Killed with a scratch deployment half-way, on another disk: whole process groups die with it.
    let (wanted, elsewhere) =
        (work.place.root.join("mainstay.toml"), work.place.root.with_file_name("elsewhere"));
    std::fs::create_dir(&elsewhere).expect("made");
    let text = std::fs::read_to_string(&wanted).expect("mainstay.toml");
    let scratch = format!("{text}\n[backup]\nscratch = \"{}\"\n", elsewhere.display());
    std::fs::write(&wanted, scratch).expect("written");
    let mut drill = work.place.command(&["backup", "drill"]).stderr(Stdio::null()).spawn().expect("it runs");
    let scratch = work.place.root.join("drill");
    eventually("its agent runs", || scratch.join("run/agent.sock").exists());
    assert_eq!(names(&elsewhere).len(), 1);
    drill.kill().expect("killed");
    drill.wait().expect("ended");
    work.place.run(&["backup", "drill"]).expect(0);
    assert_removed(&work, "after a kill in the middle");
    assert_eq!(names(&elsewhere), [""; 0]);
    std::fs::remove_dir(&elsewhere).expect("removed");
    let refused = work.place.run(&["backup", "drill"]).expect(4);
    assert!(refused.stderr.contains("`[backup] scratch` cannot be used"), "{}", refused.stderr);
    std::fs::write(&wanted, text).expect("written");

    // A damaged pack is found, and told by status until a drill succeeds.
    let packs = work.place.root.join("backups/data");
    let away = work.place.root.with_file_name("packs");
    std::fs::rename(&packs, &away).expect("moved");
    std::fs::create_dir(&packs).expect("made");
    let failed = work.place.run(&["backup", "drill"]);
    assert!([5, 6].contains(&failed.code), "{}: {}", failed.code, failed.stderr);
    assert!(failed.stderr.contains("missing") || failed.stderr.contains("damaged"), "{}", failed.stderr);
    assert_removed(&work, "after damage");
    assert_eq!(work.place.status()["backups"]["failing"][0]["work"], "drill");
    std::fs::remove_dir_all(&packs).expect("removed");
    std::fs::rename(&away, &packs).expect("moved back");
    work.place.run(&["backup", "drill"]).expect(0);
    assert!(work.place.status()["backups"]["failing"].as_array().is_none_or(Vec::is_empty));
}

#[test]
fn a_drill_of_managed_postgres_has_a_postgres_of_its_own() {
    let work = Work::on(managed::place("drilled"), &["--database", "managed"]);
    block(work.post("proven"));
    work.backed_up();
    let drilled = work.place.run(&["backup", "drill", "--json"]).expect(0).json();
    assert!(drilled["rows"].as_u64() > Some(20), "{drilled}");
    assert_removed(&work, "after a drill");
    assert_eq!(block(work.posts()), ["proven"]);
}

#[test]
fn a_part_of_a_snapshot_is_written_and_nothing_else_is_touched() {
    use std::os::unix::fs::PermissionsExt as _;
    let work = Work::on(Place::new(), &[]);
    block(work.post("picture"));
    work.backed_up();
    let (repository, key) = (work.place.root.join("backups"), work.place.root.join("backup.key"));
    // From the repository and the key alone, with no deployment here.
    let elsewhere = Place::new();
    let into = elsewhere.root.with_file_name("found");
    let only = |words: &[&str], code: i32| {
        let (repository, key, into) =
            (repository.display().to_string(), key.display().to_string(), into.display().to_string());
        let mut args = vec![
            "restore",
            "--json",
            "--repository",
            &repository,
            "--key-file",
            &key,
            "--into",
            &into,
            "--only",
        ];
        args.extend(words);
        elsewhere.run(&args).expect(code)
    };
    let report = only(&["picture.txt"], 0).json();
    assert_eq!(report["files"], json!([into.join("picture.txt")]), "{report}");
    assert_eq!(std::fs::read_to_string(into.join("picture.txt")).expect("text"), "picture".repeat(1000));
    assert_eq!(
        std::fs::metadata(into.join("picture.txt")).expect("a file").permissions().mode() & 0o777,
        0o600
    );
    let refused = only(&["picture.txt"], 8);
    assert!(refused.stderr.contains("is there already"), "{}", refused.stderr);
    let mistyped = only(&["pictur.txt"], 2);
    assert!(mistyped.stderr.contains("did you mean picture.txt?"), "{}", mistyped.stderr);
    assert_eq!(only(&["channel", "town-square"], 0).json()["files"].as_array().map(Vec::len), Some(1));
    let near = only(&["channel", "town-squar"], 2);
    assert!(near.stderr.contains("did you mean town-square?"), "{}", near.stderr);
    only(&["database"], 0);
    assert!(into.join("mattermost.db").is_file());
    assert!(!elsewhere.root.exists(), "no deployment is made");

    // A wrong key, and a snapshot that is not there.
    let wrong = elsewhere.root.with_file_name("wrong.key");
    std::fs::write(&wrong, "0".repeat(64)).expect("written");
    let (place, wrong) = (repository.display().to_string(), wrong.display().to_string());
    let refused = elsewhere.run(&["restore", "--yes", "--repository", &place, "--key-file", &wrong]);
    assert!(
        refused.code == 8 && refused.stderr.contains("does not open"),
        "{}: {}",
        refused.code,
        refused.stderr
    );
    let unknown = work.restore(&["ffffffff"]);
    assert!(
        unknown.code == 2 && unknown.stderr.contains("no snapshot"),
        "{}: {}",
        unknown.code,
        unknown.stderr
    );
    let early = work.restore(&["2001-01-01"]);
    assert_eq!(early.code, 2, "{}", early.stderr);
}

//! Upgrades: the packed built-in release in other versions, whose migrations change the database, some of them made to fail.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::external::Chat;
use super::managed::{self, sql};
use super::managed_recovery;
pub(super) use super::upgrade_releases::Next;
use super::upgrade_releases::ran;
use crate::place::{Place, Ran};

/// What people had before the upgrade.
pub(super) struct Before {
    channel: String,
    token: String,
    pub(super) pid: Value,
}

/// A running deployment in which people have written.
pub(super) async fn deployment(place: &Place) -> Before {
    let token = place.token().await;
    let channel = managed_recovery::channel(&place.url(), &token).await;
    let before = Before { channel, token, pid: place.status()["agent"]["server"]["pid"].clone() };
    for message in ["only the old release has this", "everybody has this"] {
        before.post(place, message).await;
    }
    before
}

impl Before {
    pub(super) async fn post(&self, place: &Place, message: &str) {
        let body = json!({"channel_id": self.channel, "message": message});
        let url = format!("{}/api/v4/posts", place.url());
        let posted = reqwest::Client::new().post(url).bearer_auth(&self.token).json(&body).send().await;
        assert_eq!(posted.expect("an answer").status(), 201);
    }

    /// The messages in the channel, as the server shows them.
    pub(super) async fn messages(&self, place: &Place) -> String {
        let url = format!("{}/api/v4/channels/{}/posts", place.url(), self.channel);
        let asked = reqwest::Client::new().get(url).bearer_auth(&self.token).send().await;
        asked.expect("an answer").text().await.expect("text")
    }
}

/// The release that runs, and whether it is the old one with all that people had, or the new one.
pub(super) async fn is_old(place: &Place, before: &Before) -> bool {
    let (release, messages) = (place.status()["release"].clone(), before.messages(place).await);
    let has_old = messages.contains("only the old release has this");
    assert!(messages.contains("everybody has this"), "{messages}");
    let release = release.as_str().expect("a release");
    assert_eq!(
        release.contains("+0.2.0-"),
        !has_old,
        "the release and its database are of one version: {release}"
    );
    has_old
}

pub(super) fn upgrade(place: &Place, next: Next, more: &[&str]) -> Ran {
    place.run(&to(next, more))
}

pub(super) fn to<'a>(next: Next, more: &[&'a str]) -> Vec<&'a str> {
    ["upgrade", "--yes", "--release", next.tarball()].iter().chain(more).copied().collect()
}

/// Asks all the time, and says which requests failed, and the longest time from the end of one answer to the next.
pub(super) async fn asks_all_the_time(url: String, stop: Arc<AtomicBool>) -> (usize, Vec<String>, Duration) {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(30)).build().expect("a client");
    let (mut asked, mut failed, mut longest, mut last) = (0, Vec::new(), Duration::ZERO, Instant::now());
    while !stop.load(Ordering::Relaxed) {
        asked += 1;
        match client.get(format!("{url}/api/v4/system/ping")).send().await {
            Ok(answer) if answer.status() == 200 => {}
            Ok(answer) => failed.push(answer.status().to_string()),
            Err(error) => failed.push(error.to_string()),
        }
        (longest, last) = (longest.max(last.elapsed()), Instant::now());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    (asked, failed, longest)
}

#[tokio::test(flavor = "multi_thread")]
async fn people_see_a_pause_and_no_error_and_a_failed_upgrade_leaves_no_trace() {
    let place = Place::new();
    place.up(&[]).expect(0);
    let before = deployment(&place).await;
    let wanted = std::fs::read_to_string(place.root.join("mainstay.toml")).expect("a file");
    let stop = Arc::new(AtomicBool::new(false));
    let asking = tokio::spawn(asks_all_the_time(place.url(), Arc::clone(&stop)));

    let planned = upgrade(&place, Next::Good, &["--edition", "builtin", "--plan"]);
    assert!(planned.code == 2 && planned.stderr.contains("does not say which release"), "{}", planned.stderr);
    assert!(
        planned.stderr.contains("`--to`") && planned.stderr.contains("`upgrade` asks"),
        "{}",
        planned.stderr
    );
    for (next, why) in [
        (Next::FailsToMigrate, "the migration 999 failed"),
        (Next::DoesNotStart, "the cache cannot be opened"),
        (Next::TakesNoFiles, "is not verified"),
        (Next::EndsWebsockets, "websocket"),
        (Next::LosesAPost, "lost what people had: posts: 1 row is gone"),
    ] {
        let failed = upgrade(&place, next, &[]);
        assert!([5, 6].contains(&failed.code), "{next:?}: {}\n{}", failed.code, failed.stderr);
        assert!(failed.stderr.contains(why), "{next:?}: {}", failed.stderr);
        let as_before = "everything is as before; it is verified";
        assert!(failed.stderr.contains(as_before), "{next:?}: {}", failed.stderr);
        assert!(is_old(&place, &before).await, "{next:?}");
        place.run(&["status", "--check"]).expect(0);
        assert!(!place.root.join("run/pass").exists(), "nobody waits any more");
        assert!(!place.root.join("run/before").exists(), "the copy is gone");
    }
    assert_eq!(std::fs::read_to_string(place.root.join("mainstay.toml")).expect("a file"), wanted);

    let upgraded = upgrade(&place, Next::Good, &["--json"]).expect(0).json();
    assert_eq!(
        (upgraded["changed"].clone(), upgraded["release"].clone()),
        (json!(true), upgraded["to"].clone())
    );
    let compared = &upgraded["compared"];
    assert!(compared["tables"].as_u64() > Some(5) && compared["rows"].as_u64() > Some(10), "{compared}");
    assert_eq!(compared["schema"]["tables_added"], json!(["newer"]), "{compared}");
    assert!(!is_old(&place, &before).await);
    assert_ne!(place.status()["agent"]["server"]["pid"], before.pid);
    before.post(&place, "after it").await;
    stop.store(true, Ordering::Relaxed);
    let (asked, failed, longest) = asking.await.expect("answers");
    assert!(asked > 50, "too little was asked: {asked}");
    assert!(failed.is_empty(), "{} of {asked} failed: {failed:?}", failed.len());
    println!("{asked} requests, the longest waited {} ms", longest.as_millis());

    assert_eq!(upgrade(&place, Next::Good, &["--json"]).expect(0).json()["changed"], false);
    assert_eq!(place.up(&["--json"]).expect(0).json()["changed"], false, "it is what is wanted from now on");
    let nothing = place.run(&["upgrade"]).expect(0);
    assert!(nothing.stdout.contains("nothing newer"), "{}", nothing.stdout);
    goes_back_and_forward(&place, &before).await;
    let history = place.run(&["history"]).expect(0).stdout;
    assert!(history.contains("Upgrade ") && history.contains("forward again from"), "{history}");
    assert!(place.run(&["release", "list"]).expect(0).stdout.contains("+0.1.0-builtin"), "the old one stays");
}

/// Rolls the new release back and forward again: a message of after the upgrade goes, and comes again.
async fn goes_back_and_forward(place: &Place, before: &Before) {
    let has = |text: &'static str| async move { before.messages(place).await.contains(text) };
    assert!(has("after it").await);
    let planned = place.run(&["rollback", "--plan"]).expect(0);
    let said = format!("{}{}", planned.stdout, planned.stderr);
    for part in
        ["lost with it, made since", "1 message", "return-state", "keep-state", "backups are not set up"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    let asked = place.run(&["rollback"]);
    assert!(asked.code == 2 && asked.stderr.contains("Go back to"), "{}", asked.stderr);
    assert!(asked.stderr.contains("1 message"), "{}", asked.stderr);
    let elsewhere = place.run(&["rollback", "--yes", "--to", "9.9.9"]);
    assert!(elsewhere.code == 8 && elsewhere.stderr.contains("did you mean"), "{}", elsewhere.stderr);
    // The steps that an upgrade has, too, are killed in its own test.
    for step in ["return-state", "server", "keep-state"] {
        let fault = format!("{step}:after");
        let killed = place.run(&["rollback", "--yes", "--inject-kill", &fault]);
        assert_eq!(killed.code, -9, "{fault}: {}", killed.stderr);
        place.up(&[]).expect(0);
        assert!(!is_old(place, before).await && has("after it").await, "{fault}");
    }
    let failed = place.run(&["rollback", "--yes", "--inject-failure", "acceptance:after"]);
    assert!(failed.code == 6, "{}: {}", failed.code, failed.stderr);
    assert!(failed.stderr.contains("everything is as before; it is verified"), "{}", failed.stderr);
    let back = place.run(&["rollback", "--yes", "--json"]).expect(0).json();
    assert_eq!(back["lost"]["posts"], 1, "{back}");
    assert!(is_old(place, before).await && !has("after it").await);
    let forward = place.run(&["rollback", "--yes", "--json"]).expect(0).json();
    assert_eq!((&back["forward"], &forward["forward"]), (&json!(false), &json!(true)));
    assert!(forward["release"].as_str().is_some_and(|release| release.contains("+0.2.0-")), "{forward}");
    assert!(!is_old(place, before).await && has("after it").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_leaves_the_database_as_it_is_exchanges_the_program_alone() {
    let place = Place::new();
    place.up(&[]).expect(0);
    let before = deployment(&place).await;
    let has_copy = || {
        place
            .root
            .join("rollback")
            .read_dir()
            .expect("kept")
            .flatten()
            .any(|entry| entry.path().join("copy/sqlite").exists())
    };
    let failed = upgrade(&place, Next::Dot, &["--inject-failure", "acceptance:after"]);
    assert!(failed.code == 6 && failed.stderr.contains("it is verified"), "{}", failed.stderr);
    assert!(is_old(&place, &before).await);
    let upgraded = upgrade(&place, Next::Dot, &[]).expect(0);
    assert!(upgraded.stderr.contains("only the program was exchanged"), "{}", upgraded.stderr);
    assert!(!has_copy(), "nothing of the database is kept");
    before.post(&place, "after the dot release").await;
    let planned = place.run(&["rollback", "--plan"]).expect(0);
    assert!(planned.stderr.contains("nothing is lost"), "{}{}", planned.stdout, planned.stderr);
    place.run(&["rollback", "--yes"]).expect(0);
    assert!(before.messages(&place).await.contains("after the dot release"));
    let release = place.status()["release"].clone();
    assert!(release.as_str().is_some_and(|release| release.contains("+0.1.0-")), "{release}");
    // The next one migrates, and keeps all of it.
    upgrade(&place, Next::Good, &[]).expect(0);
    assert!(has_copy() && !is_old(&place, &before).await);
    let given_up = place.run(&["release", "prune", "--give-up-rollback", "--yes"]).expect(0);
    assert!(given_up.stdout.contains("rollback"), "{}", given_up.stdout);
    let refused = place.run(&["rollback", "--yes"]);
    assert!(
        refused.code == 8 && refused.stderr.contains("no state of an earlier release"),
        "{}",
        refused.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn where_backups_are_set_up_a_snapshot_comes_first() {
    let place = Place::new();
    place.up(&[]).expect(0);
    let before = deployment(&place).await;
    place.run(&["backup", "create"]).expect(0);
    let crashed = upgrade(&place, Next::Crashes, &[]);
    assert!([5, 6].contains(&crashed.code), "{}", crashed.stderr);
    assert!(crashed.stderr.contains("it is verified"), "{}", crashed.stderr);
    assert!(is_old(&place, &before).await);
    upgrade(&place, Next::Good, &[]).expect(0);
    place.run(&["rollback", "--yes"]).expect(0);
    assert!(is_old(&place, &before).await);
    let listed = place.run(&["backup", "list"]).expect(0).stdout;
    for why in ["before the upgrade from", "before the rollback to"] {
        assert!(listed.contains(why), "{why}: {listed}");
    }
    let repository = place.root.join("backups");
    std::fs::rename(&repository, place.root.join("backups.gone")).expect("moved");
    let refused = upgrade(&place, Next::Good, &[]);
    assert!(refused.code == 8 && refused.stderr.contains("--without-snapshot"), "{}", refused.stderr);
    upgrade(&place, Next::Good, &["--without-snapshot"]).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_anywhere_it_ends_in_the_old_release_or_in_the_new_one() {
    let place = Place::new();
    place.up(&[]).expect(0);
    let before = deployment(&place).await;
    let steps = ["release", "hold", "stop-server", "copy", "migration", "activation", "server", "acceptance"];
    for step in steps {
        let fault = format!("{step}:after");
        let killed = upgrade(&place, Next::Good, &["--inject-kill", &fault]);
        assert_eq!(killed.code, -9, "{fault}: {}", killed.stderr);
        if step == "server" {
            // The test's requests would pass; people's wait.
            let shut = place.run(&["verify"]).expect(5);
            assert!(shut.stderr.contains("people wait at the edge"), "{}", shut.stderr);
        }
        place.up(&[]).expect(0);
        assert!(is_old(&place, &before).await, "{fault}");
        before.post(&place, &format!("after {fault}")).await;
    }
    // An undo that is killed goes on.
    for step in ["copy", "stop-server", "hold"] {
        let fault = format!("{step}:undo");
        let killed = upgrade(&place, Next::TakesNoFiles, &["--inject-kill", &fault]);
        assert_eq!(killed.code, -9, "{fault}: {}", killed.stderr);
        place.run(&["restart"]).expect(0);
        assert!(is_old(&place, &before).await, "{fault}");
    }
    // Everything is killed, as in a power cut.
    let killed = upgrade(&place, Next::Good, &["--inject-kill", "migration:after"]);
    assert_eq!(killed.code, -9);
    let agent = place.status()["agent"]["agent_pid"].as_u64().expect("an agent");
    ran(Command::new("kill").args(["-9", &agent.to_string()]));
    place.up(&[]).expect(0);
    assert!(is_old(&place, &before).await, "a power cut");
    let messages = before.messages(&place).await;
    for step in steps {
        assert!(messages.contains(&format!("after {step}:after")), "{step}: {messages}");
    }
    what_is_changed_by_hand_meanwhile_is_kept(&place, &before).await;
    // From the moment that people are let in there is no way back that loses nothing.
    let killed = upgrade(&place, Next::Good, &["--inject-kill", "admit:before"]);
    assert_eq!(killed.code, -9);
    place.up(&[]).expect(0);
    assert!(!is_old(&place, &before).await);
    place.run(&["verify"]).expect(0);
}

/// An undo takes nothing away that somebody made while people waited.
async fn what_is_changed_by_hand_meanwhile_is_kept(place: &Place, before: &Before) {
    let root = &place.root;
    let killed = upgrade(place, Next::Good, &["--inject-kill", "migration:after"]);
    assert_eq!(killed.code, -9, "{}", killed.stderr);
    let config = root.join("config/config.json");
    let text = std::fs::read_to_string(&config).expect("a file");
    std::fs::write(&config, text.replacen("\"SiteName\": \"", "\"SiteName\": \"By hand", 1))
        .expect("written");
    std::fs::write(root.join("config/note"), "a note").expect("written");
    std::fs::create_dir_all(root.join("plugins/mine")).expect("made");
    std::fs::write(root.join("plugins/mine/file"), "mine").expect("written");
    std::os::unix::fs::symlink("/etc", root.join("plugins/link")).expect("a link");
    place.up(&[]).expect(0);
    assert!(is_old(place, before).await);
    assert_eq!(std::fs::read_to_string(&config).expect("a file"), text);
    let undone = root.join("run/undone").read_dir().expect("something is kept").flatten();
    let [kept] = &undone.map(|entry| entry.path()).collect::<Vec<_>>()[..] else { panic!("one directory") };
    let read = |name: &str| std::fs::read_to_string(kept.join(name)).expect("it is kept");
    assert!(read("config/config.json").contains("By hand"));
    assert_eq!((read("config/note"), read("plugins/mine/file")), ("a note".to_owned(), "mine".to_owned()));
    assert!(root.join("plugins/link").is_symlink() && !root.join("plugins/mine").exists());
    let status = place.run(&["status"]).expect(0).stdout;
    assert!(status.contains("what was changed meanwhile"), "{status}");
    std::fs::remove_dir_all(kept).expect("removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_managed_database_goes_back_with_its_release() {
    let place = managed::place("upgrade");
    managed::up(&place, &[]).expect(0);
    let before = deployment(&place).await;
    let has_newer = || !sql(&place, "select to_regclass('newer')").trim().is_empty();
    for next in [Next::FailsToMigrate, Next::LosesAColumn] {
        let failed = upgrade(&place, next, &[]);
        assert!([5, 6].contains(&failed.code), "{next:?}: {}", failed.stderr);
        assert!(is_old(&place, &before).await && !has_newer(), "{next:?}: {}", failed.stderr);
        let says = failed.stderr.contains("column users.mfausedtimestamps is gone");
        assert_eq!(says, next == Next::LosesAColumn, "{}", failed.stderr);
    }
    let killed = upgrade(&place, Next::Good, &["--inject-kill", "server:after"]);
    assert_eq!(killed.code, -9);
    managed::up(&place, &[]).expect(0);
    assert!(is_old(&place, &before).await && !has_newer());
    let more = ["--may-lose", "users.mfausedtimestamps", "--json"];
    let upgraded = upgrade(&place, Next::LosesAColumn, &more).expect(0).json();
    let compared = &upgraded["compared"];
    assert_eq!(compared["schema"]["columns_removed"], json!(["users.mfausedtimestamps"]), "{compared}");
    assert!(compared["removed"][0].as_str().is_some_and(|text| text.contains("--may-lose")), "{compared}");
    assert!(!is_old(&place, &before).await && has_newer());
    let killed = place.run(&["rollback", "--yes", "--inject-kill", "return-state:after"]);
    assert_eq!(killed.code, -9);
    managed::up(&place, &[]).expect(0);
    assert!(!is_old(&place, &before).await && has_newer());
    place.run(&["rollback", "--yes"]).expect(0);
    assert!(is_old(&place, &before).await && !has_newer());
    let dot = upgrade(&place, Next::Dot, &[]).expect(0);
    assert!(dot.stderr.contains("only the program was exchanged"), "{}", dot.stderr);
    place.run(&["uninstall", "--yes"]).expect(0);
}

#[test]
fn a_database_on_a_server_is_dumped_and_goes_back_with_its_release() {
    let chat = Chat::created();
    chat.up(&[]).expect(0);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let before = runtime.block_on(deployment(&chat.place));
    let is_old = || runtime.block_on(is_old(&chat.place, &before));
    for next in [Next::FailsToMigrate, Next::TakesNoFiles] {
        let failed = chat.run(&to(next, &[]));
        assert!([5, 6].contains(&failed.code), "{next:?}: {}", failed.stderr);
        assert!(failed.stderr.contains("it is verified"), "{next:?}: {}", failed.stderr);
        assert!(is_old(), "{next:?}: {}", failed.stderr);
    }
    // What cannot be undone now is said, and undone when the cause is gone.
    let stuck = chat.run(&to(Next::FindsItReadOnly, &[])).expect(7);
    assert!(stuck.stderr.contains("read-only"), "{}", stuck.stderr);
    chat.let_write();
    chat.up(&[]).expect(0);
    assert!(is_old(), "{}", stuck.stderr);
    let stuck = chat.run(&to(Next::FindsItClosed, &[])).expect(7);
    for part in ["`migration` failed", "it takes nobody", "could not be undone", "no free connection"] {
        assert!(stuck.stderr.contains(part), "{part}: {}", stuck.stderr);
    }
    chat.let_in();
    chat.up(&[]).expect(0);
    assert!(is_old(), "{}", stuck.stderr);
    for fault in ["dump:after", "migration:after"] {
        let killed = chat.run(&to(Next::Good, &["--inject-kill", fault]));
        assert_eq!(killed.code, -9, "{fault}: {}", killed.stderr);
        chat.up(&[]).expect(0);
        assert!(is_old(), "{fault}");
    }
    chat.run(&to(Next::Good, &[])).expect(0);
    assert!(!is_old());
    runtime.block_on(before.post(&chat.place, "after it"));
    let killed = chat.run(&["rollback", "--yes", "--inject-kill", "return-state:after"]);
    assert_eq!(killed.code, -9, "{}", killed.stderr);
    chat.up(&[]).expect(0);
    assert!(!is_old());
    let back = chat.run(&["rollback", "--yes", "--json"]).expect(0).json();
    assert_eq!(back["lost"]["posts"], 1, "{back}");
    assert!(is_old());
}

#[test]
fn what_cannot_go_well_is_refused_before_anything_is_touched() {
    let place = Place::new();
    let nothing = place.run(&["upgrade"]);
    assert!(nothing.code == 4 && nothing.stderr.contains("up"), "{}: {}", nothing.code, nothing.stderr);
    place.up(&[]).expect(0);
    let pid = place.status()["agent"]["server"]["pid"].clone();
    let near = Path::new(Next::Good.tarball());
    let missing = near.with_file_name("no.tar");
    for (args, code, says) in [
        (&["--to", "elevenseven", "--edition", "team"][..], 2, "elevenseven"),
        (&["--to", "99.1", "--edition", "team"], 2, "no such release line"),
        (&["--edition", "gold"], 2, "gold"),
        (&["--release", missing.to_str().expect("a name")], 4, "no.tar"),
        (&["--release", near.to_str().expect("a name"), "--edition", "team"], 2, "contradicts"),
        (&["--edition", "team", "--to", "9.11.1"], 8, "older"),
    ] {
        let refused = place.run(&[&["upgrade", "--yes"], args].concat());
        assert_eq!(refused.code, code, "{args:?}: {}", refused.stderr);
        assert!(refused.stderr.contains(says), "{args:?}: {}", refused.stderr);
        assert_eq!(place.status()["agent"]["server"]["pid"], pid, "{args:?}");
    }
}

//! Upgrades: the packed built-in release in other versions, whose migrations change the database, some of them made to fail.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::external::Chat;
use super::managed::{self, sql};
use super::managed_recovery;
use crate::place::{MAINSTAY, Place, Ran};

/// What the stand-in for the next release does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing.
    Good,
    /// Its migration changes the database and fails then.
    FailsToMigrate,
    /// It migrates and does not start.
    DoesNotStart,
    /// It starts, says that it is well, and takes no files.
    TakesNoFiles,
    /// It starts, answers once, and ends.
    Crashes,
    /// Nothing, and it leaves the database as it is.
    Dot,
    /// Its migration finds a database that only reads from then on.
    FindsItReadOnly,
}

impl Next {
    const ALL: [Self; 7] = [
        Self::Good,
        Self::FailsToMigrate,
        Self::DoesNotStart,
        Self::TakesNoFiles,
        Self::Crashes,
        Self::Dot,
        Self::FindsItReadOnly,
    ];

    /// The tarball of the release.
    pub(super) fn tarball(self) -> &'static str {
        let at = Self::ALL.iter().position(|next| *next == self).expect("one of them");
        TARBALLS.paths[at].to_str().expect("a name")
    }

    /// The program that stands before the server's own: it migrates further than that.
    fn program(self) -> String {
        let (migrated, started) = match self {
            Self::Good => ("", "exec"),
            Self::FailsToMigrate => ("echo 'the migration 999 failed' >&2; exit 1", "exec"),
            Self::DoesNotStart => ("", "echo 'the cache cannot be opened' >&2; exit 1; exec"),
            Self::TakesNoFiles => ("", "MM_FILESETTINGS_MAXFILESIZE=1 exec"),
            Self::Crashes => ("", "(sleep 0.6; echo 'panic: out of ideas' >&2; kill -9 $$) & exec"),
            Self::Dot => ("", "exec"),
            Self::FindsItReadOnly => (READ_ONLY, "exec"),
        };
        let (build, pending) = match self {
            Self::Dot => ("0.1.9", "No migrations to apply."),
            _ => ("0.2.0", "One migration: 999."),
        };
        format!(
            r#"#!/bin/sh
server="${{0%/*}}/server/mattermost"
case "$*" in
version*) printf 'Version: 11.6.0\nBuild Number: {build}\nBuild Date: -\nBuild Hash: -\nBuild Enterprise Ready: false\nEdition: builtin\n' ;;
"db migrate --dry-run "*) echo '{pending}' ;;
"db "*)
    "$server" "$@" || exit
    for config; do :; done
    change="create table newer (id int); delete from posts where message = 'only the old release has this'"
    database="${{config%/config/config.json}}/data/mattermost.db"
    source=$(sed -n 's/.*"DataSource": *"\(postgres[^"]*\)".*/\1/p' "$config")
    if [ -n "$source" ]; then
        source=$(printf %s "$source" | sed 's/\\u0026/\&/g')
        psql -X -q "$source" -c "$change" >&2 || exit
    else
        sqlite3 "$database" "$change" >&2 || exit
    fi
    {migrated}
    ;;
*) {started} "$server" "$@" ;;
esac
"#
        )
    }
}

/// Lets sessions of the database that begin from now on only read.
const READ_ONLY: &str = "psql -X -q \"$source\" -c 'do $d$ begin execute format($f$alter database %I set default_transaction_read_only = on$f$, current_database()); end $d$' >&2; echo 'it only reads' >&2; exit 1";

/// The tarballs of the next releases.
static TARBALLS: LazyLock<Tarballs> = LazyLock::new(Tarballs::make);

struct Tarballs {
    paths: Vec<PathBuf>,
    _dir: tempfile::TempDir,
}

fn ran(command: &mut Command) {
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Tarballs {
    fn make() -> Self {
        let dir = tempfile::Builder::new().permissions(PermissionsExt::from_mode(0o755)).tempdir();
        let dir = dir.expect("a directory");
        let packed = dir.path().join("builtin.tar.gz");
        ran(Command::new(MAINSTAY).args(["release", "pack-builtin"]).arg(&packed));
        ran(Command::new("tar").arg("-C").arg(dir.path()).arg("-xf").arg(&packed));
        let root = dir.path().join("mattermost");
        let (program, real) = (root.join("bin/mattermost"), root.join("bin/server"));
        std::fs::create_dir(&real).expect("made");
        std::fs::rename(&program, real.join("mattermost")).expect("moved");
        std::fs::remove_file(root.join("manifest.txt")).expect("removed");
        let tarball = |next: &Next| {
            std::fs::write(&program, next.program()).expect("written");
            std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).expect("executable");
            let path = dir.path().join(format!("{next:?}.tar"));
            ran(Command::new("tar").arg("-C").arg(dir.path()).arg("-cf").arg(&path).arg("mattermost"));
            path
        };
        let paths = Next::ALL.iter().map(tarball).collect();
        std::fs::remove_dir_all(root).expect("removed");
        Self { paths, _dir: dir }
    }
}

/// What people had before the upgrade.
pub(super) struct Before {
    channel: String,
    token: String,
    pid: Value,
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
    async fn messages(&self, place: &Place) -> String {
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
    // From the moment that people are let in there is no way back that loses nothing.
    let killed = upgrade(&place, Next::Good, &["--inject-kill", "admit:before"]);
    assert_eq!(killed.code, -9);
    place.up(&[]).expect(0);
    assert!(!is_old(&place, &before).await);
    place.run(&["verify"]).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_managed_database_goes_back_with_its_release() {
    let place = managed::place("upgrade");
    managed::up(&place, &[]).expect(0);
    let before = deployment(&place).await;
    let has_newer = || !sql(&place, "select to_regclass('newer')").trim().is_empty();
    for next in [Next::FailsToMigrate, Next::TakesNoFiles] {
        let failed = upgrade(&place, next, &[]);
        assert!([5, 6].contains(&failed.code), "{next:?}: {}", failed.stderr);
        assert!(is_old(&place, &before).await && !has_newer(), "{next:?}: {}", failed.stderr);
    }
    let killed = upgrade(&place, Next::Good, &["--inject-kill", "server:after"]);
    assert_eq!(killed.code, -9);
    managed::up(&place, &[]).expect(0);
    assert!(is_old(&place, &before).await && !has_newer());
    upgrade(&place, Next::Good, &[]).expect(0);
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

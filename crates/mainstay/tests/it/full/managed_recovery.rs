//! The managed PostgreSQL when it is killed, moved, damaged or copied. What `up` makes in each test is shared by as many questions as
//! can be asked of it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::managed::{self, data, postmaster, sql, up};
use crate::place::{Place, eventually, free_port, processes_of};

fn kill(signal: &str, pid: u64) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().expect("kill").success());
}

/// Posts as fast as the server answers, until it is told to stop; returns the messages that the server has acknowledged.
pub(super) async fn post(place: (String, String), channel: String, stop: Arc<AtomicBool>) -> Vec<String> {
    let (url, token) = place;
    let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).build().expect("a client");
    let mut acknowledged = Vec::new();
    for number in 0..100_000 {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let message = format!("message {number}");
        let body = json!({"channel_id": channel, "message": message});
        let posted = client.post(format!("{url}/api/v4/posts")).bearer_auth(&token).json(&body).send().await;
        match posted {
            Ok(answer) if answer.status() == 201 => acknowledged.push(message),
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    acknowledged
}

/// A channel that the administrator may post in.
pub(crate) async fn channel(url: &str, token: &str) -> String {
    let client = reqwest::Client::new();
    let team = json!({"name": "load", "display_name": "Load", "type": "O"});
    let made = client.post(format!("{url}/api/v4/teams")).bearer_auth(token).json(&team).send().await;
    let team: Value = made.expect("an answer").json().await.expect("JSON");
    let id = team["id"].as_str().unwrap_or_else(|| panic!("{team}")).to_owned();
    let address = format!("{url}/api/v4/teams/{id}/channels/name/town-square");
    let found = client.get(address).bearer_auth(token).send().await;
    let channel: Value = found.expect("an answer").json().await.expect("JSON");
    channel["id"].as_str().unwrap_or_else(|| panic!("{channel}")).to_owned()
}

/// In a directory too deep for a socket, too.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_database_and_agent_are_killed_under_load() {
    let mut place = managed::place("load");
    place.root = place.root.join("d".repeat(60)).join("e".repeat(40));
    up(&place, &[]).expect(0);
    let socket = sql(&place, "show unix_socket_directories");
    assert!(socket.contains("/run/mainstay-") && socket.ends_with("-db\""), "{socket}");
    let (url, token) = (place.url(), place.token().await);
    let channel = channel(&url, &token).await;
    let stop = Arc::new(AtomicBool::new(false));
    let load = tokio::spawn(post((url, token), channel, Arc::clone(&stop)));
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(700)).await;
        let killed = postmaster(&place).expect("it runs");
        kill("-9", killed);
        eventually("PostgreSQL runs again", || postmaster(&place).is_some_and(|pid| pid != killed));
        eventually("the server is well again", || place.run(&["status", "--check"]).code == 0);
    }
    assert!(place.run(&["status"]).stdout.contains("was ended by signal 9"), "the restart is told");
    tokio::time::sleep(Duration::from_millis(700)).await;
    let agent = place.status()["agent"]["agent_pid"].as_u64().expect("an agent");
    kill("-9", agent);
    stop.store(true, Ordering::Relaxed);
    let acknowledged = load.await.expect("the messages");
    assert!(data(&place).join("postmaster.pid").exists(), "a kill leaves it");
    place.up(&[]).expect(0);
    let there = sql(&place, "select message from posts where message like 'message %'");
    let there: std::collections::HashSet<&str> = there.lines().collect();
    let lost: Vec<_> = acknowledged.iter().filter(|message| !there.contains(message.as_str())).collect();
    assert!(lost.is_empty(), "lost {} of {}: {lost:?}", lost.len(), acknowledged.len());
    assert!(acknowledged.len() > 20, "too little load: {}", acknowledged.len());

    place.run(&["uninstall", "--yes"]).expect(0);
    assert!(!Path::new(socket.trim_matches('"')).exists(), "the socket's directory is gone");
}

#[test]
fn killed_at_each_of_its_steps_the_next_up_goes_on() {
    let place = managed::place("steps");
    let steps = ["database-user", "cluster", "database-password", "postgres", "furnish", "database"];
    for step in steps {
        for moment in ["before", "after"] {
            let fault = format!("{step}:{moment}");
            let ran = up(&place, &["--inject-kill", &fault]);
            assert_eq!(ran.code, -9, "{fault}: {}", ran.stderr);
        }
    }
    // All are gone: the next one starts again what the steps before had started.
    let agent = place.status()["agent"]["agent_pid"].as_u64().expect("an agent");
    kill("-9", agent);
    up(&place, &[]).expect(0);
    place.run(&["verify"]).expect(0);
    assert_eq!(place.up(&["--json"]).expect(0).json()["changed"], false);
}

#[test]
fn an_installation_that_is_undone_leaves_no_cluster_and_a_killed_undo_goes_on() {
    let place = managed::place("undone");
    up(&place, &["--inject-failure", "postgres:after"]).expect(6);
    assert!(!place.root.join("postgres").exists(), "{:?}", place.names());
    assert!(!place.root.join("run/undone").exists(), "nothing was in it");
    for fault in ["furnish:undo", "postgres:undo", "cluster:undo"] {
        let killed = up(&place, &["--inject-failure", "acceptance:before", "--inject-kill", fault]);
        assert_eq!(killed.code, -9, "{fault}: {}", killed.stderr);
    }
    let last = up(&place, &[]).expect(0);
    let undone = place.root.join("run/undone");
    let kept = std::fs::read_dir(&undone).into_iter().flatten().flatten();
    let clusters = kept.filter(|entry| entry.file_name().to_string_lossy().starts_with("postgres-")).count();
    assert!(clusters > 0, "what had tables was moved aside: {}", last.stderr);
    assert_eq!(place.up(&["--json"]).expect(0).json()["changed"], false);
}

#[test]
fn what_is_gone_damaged_or_anothers_is_named_and_nothing_is_made_over_it() {
    let place = managed::place("gone");
    let run = |more: &[&str], code: i32| place.up(more).expect(code);
    let address = ("MM_SQLSETTINGS_DATASOURCE", "postgres://u:p@db/chat?sslmode=disable");
    let mut elsewhere = place.command(&["up", "--yes", "--database", "managed"]);
    let elsewhere = elsewhere.env(address.0, address.1).output();
    let refused: crate::place::Ran = elsewhere.expect("the binary").into();
    assert!(refused.expect(3).stderr.contains("these are two databases"));
    up(&place, &[]).expect(0);

    // One that runs takes no second one beside it.
    let by_hand = |place: &Place| {
        let bin = PathBuf::from(sql(place, "show config_file")).with_file_name("cluster.json");
        let record: Value = serde_json::from_slice(&std::fs::read(bin).expect("a record")).expect("JSON");
        let program = Path::new(record["bin"].as_str().expect("a path")).join("postgres");
        let owner = std::fs::metadata(data(place)).expect("there");
        let mut command = Command::new("setpriv");
        use std::os::unix::fs::MetadataExt as _;
        command.args([format!("--reuid={}", owner.uid()), format!("--regid={}", owner.gid())]);
        command.arg("--clear-groups").arg(program).arg("-D").arg(data(place));
        command.args(["-c", "listen_addresses=", "-k"]).arg(data(place));
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        command
    };
    let mut second = by_hand(&place);
    let second = second.output().expect("it ends");
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(!second.status.success() && said.contains("postmaster.pid"), "{said}");
    let mut strange = by_hand(&place);
    place.run(&["down"]).expect(0);
    let mut strange = strange.stderr(Stdio::null()).spawn().expect("one by hand");
    eventually("it runs", || data(&place).join("postmaster.pid").exists());
    let refused = run(&[], 8).stderr;
    assert!(refused.contains("that Mainstay has not started") && refused.contains("kill -INT"), "{refused}");
    kill("-INT", strange.id().into());
    strange.wait().expect("it ends");

    // The number of a process that has nothing to do with it, as after a reboot.
    let stale = format!("{}\n{}\n", std::process::id(), data(&place).display());
    std::fs::write(data(&place).join("postmaster.pid"), stale).expect("written");
    run(&[], 0);
    place.run(&["down"]).expect(0);

    let version = data(&place).join("PG_VERSION");
    let right = std::fs::read_to_string(&version).expect("a version");
    std::fs::write(&version, "9\n").expect("written");
    let refused = run(&[], 8).stderr;
    for says in ["made by PostgreSQL 9", "install PostgreSQL 9 again", "untouched"] {
        assert!(refused.contains(says), "{says}: {refused}");
    }
    std::fs::write(&version, right).expect("written");

    let mode =
        |mode| std::fs::set_permissions(data(&place), std::fs::Permissions::from_mode(mode)).expect("set");
    mode(0o755);
    let refused = run(&[], 4).stderr;
    assert!(refused.contains("has mode 0755") && refused.contains("chmod 700"), "{refused}");
    mode(0o700);

    let (cluster, away) = (place.root.join("postgres"), place.root.with_file_name("away"));
    std::fs::rename(&cluster, &away).expect("moved");
    for made_empty in [false, true] {
        if made_empty {
            std::fs::create_dir(&cluster).expect("a mount point without its file system");
        }
        let refused = run(&[], 8).stderr;
        assert!(refused.contains("the PostgreSQL cluster in"), "{refused}");
        assert!(place.run(&["status"]).expect(0).stdout.contains("the PostgreSQL cluster in"));
    }
    std::fs::remove_dir(&cluster).expect("empty");
    std::fs::rename(&away, &cluster).expect("moved back");

    // A copy is a deployment of its own.
    let mut copy = Place::new();
    let copied = Command::new("cp").arg("-a").arg(&place.root).arg(&copy.root).status();
    assert!(copied.expect("cp").success());
    copy.port = free_port();
    run(&[], 0);
    copy.up(&[]).expect(0);
    let user = "select count(*) from users";
    assert_eq!(sql(&place, user), sql(&copy, user));
    assert_ne!(sql(&place, "show unix_socket_directories"), sql(&copy, "show unix_socket_directories"));
    copy.run(&["uninstall", "--yes"]).expect(0);
    assert_eq!(place.status()["up"], true);

    // Began anew: what was there is kept aside.
    place.run(&["down"]).expect(0);
    std::fs::rename(data(&place), &away).expect("moved");
    place.up(&["--start-empty"]).expect(0);
    assert_eq!(sql(&place, "select count(*) > 0 from users"), "t");
    place.run(&["down"]).expect(0);
    assert_eq!(processes_of(&place.root), Vec::<u64>::new());
}

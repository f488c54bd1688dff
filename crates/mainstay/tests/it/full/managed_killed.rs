//! Every process of a deployment on the managed PostgreSQL is killed while people write and the acceptance test runs; the database's
//! password is changed, and killed at every step of that.

use std::collections::HashSet;
use std::fs;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::managed::{self, postmaster, sql, up};
use super::managed_recovery::{channel, post};
use crate::place::{Place, eventually, processes_of};

fn kill(pid: u64) {
    assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().expect("kill").success());
}

fn pid_of(place: &Place, part: &str) -> Option<u64> {
    let agent = &place.status()["agent"];
    if part == "agent" { agent["agent_pid"].as_u64() } else { agent[part]["pid"].as_u64() }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_and_verify_tells_the_truth_whatever_is_killed() {
    let place = managed::place("killed");
    up(&place, &[]).expect(0);
    let (url, token) = (place.url(), place.token().await);
    let channel = channel(&url, &token).await;
    let stop = Arc::new(AtomicBool::new(false));
    let load = tokio::spawn(post((url, token), channel, Arc::clone(&stop)));
    for part in ["database", "server", "agent"] {
        place.run(&["verify"]).expect(0);
        let victim = pid_of(&place, part).expect("it runs");
        // In the middle of a test: that one may fail, and says so.
        let mut verify = place.command(&["verify"]);
        let verify = verify.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut verify = verify.expect("the binary");
        tokio::time::sleep(Duration::from_millis(400)).await;
        kill(victim);
        let code = verify.wait().expect("it ends").code();
        assert!(matches!(code, Some(0 | 4 | 5)), "{part}: {code:?}");
        if part == "agent" {
            eventually("everything has ended with it", || processes_of(&place.root).is_empty());
            let away = place.run(&["verify"]).expect(5).stderr;
            assert!(away.contains("does not run"), "{away}");
            place.up(&[]).expect(0);
        } else {
            eventually("it runs again", || pid_of(&place, part).is_some_and(|pid| pid != victim));
            // Where the test failed, that is what `status` tells until the next one.
            eventually("all is well", || matches!(place.run(&["status", "--check"]).code, 0 | 5));
        }
        place.run(&["verify"]).expect(0);
    }
    stop.store(true, Ordering::Relaxed);
    let acknowledged = load.await.expect("the messages");
    let there = sql(&place, "select message from posts where message like 'message %'");
    let there: HashSet<&str> = there.lines().collect();
    let lost: Vec<_> = acknowledged.iter().filter(|message| !there.contains(message.as_str())).collect();
    assert!(lost.is_empty(), "lost {} of {}: {lost:?}", lost.len(), acknowledged.len());
    assert!(acknowledged.len() > 20, "too little load: {}", acknowledged.len());
}

/// The password in secrets.toml, which config.json must have as well.
fn password(place: &Place) -> String {
    let secrets = fs::read_to_string(place.root.join("secrets.toml")).expect("secrets");
    let line = secrets.lines().find_map(|line| line.strip_prefix("database_password = ")).expect("one");
    let password = line.trim_matches('"').to_owned();
    let config = fs::read_to_string(place.root.join("config/config.json")).expect("config.json");
    assert!(config.contains(&password), "config.json has another password");
    password
}

#[test]
fn the_password_of_the_database_is_changed_or_not_wherever_the_change_is_killed() {
    const ROTATE: [&str; 5] = ["settings", "secrets", "rotate", "--yes", "database_password"];
    let place = managed::place("password");
    up(&place, &[]).expect(0);
    let first = password(&place);
    let plan = place.run(&[&ROTATE[..3], &["--plan", "database_password"]].concat()).expect(0).stdout;
    for says in ["Stop the server", "Generate the new secrets", "Tell PostgreSQL the new password"] {
        assert!(plan.contains(says), "{says}: {plan}");
    }
    let ran = place.run(&ROTATE).expect(0);
    let second = password(&place);
    assert_ne!(first, second);
    let journal = fs::read(place.root.join("state.db")).expect("the journal");
    let journal = String::from_utf8_lossy(&journal);
    for secret in [&first, &second] {
        assert!(
            !journal.contains(&**secret)
                && !ran.stdout.contains(&**secret)
                && !ran.stderr.contains(&**secret)
        );
    }
    // What is undone has the old one.
    for fault in ["role-password:after", "configuration:before", "acceptance:before"] {
        place.run(&[&ROTATE[..], &["--inject-failure", fault]].concat()).expect(6);
        assert_eq!(password(&place), second, "{fault}");
        place.run(&["restart", "database"]).expect(0);
    }
    // Killed anywhere, the next command ends with one password for all: the server starts on it.
    for step in ["rotation", "role-password", "configuration"] {
        for moment in ["before", "after"] {
            let fault = format!("{step}:{moment}");
            place.run(&[&ROTATE[..], &["--inject-kill", &fault]].concat()).expect(-9);
            place.up(&[]).expect(0);
            password(&place);
        }
        let back = format!("{step}:undo");
        place
            .run(&[&ROTATE[..], &["--inject-failure", "server:before", "--inject-kill", &back]].concat())
            .expect(-9);
        kill(pid_of(&place, "agent").expect("an agent"));
        eventually("everything has ended", || postmaster(&place).is_none());
        place.up(&[]).expect(0);
        assert_eq!(place.up(&["--json"]).expect(0).json()["changed"], false, "{back}");
        password(&place);
    }
    place.run(&["restart", "database"]).expect(0);
    place.run(&["down"]).expect(0);
    let away = place.run(&ROTATE).expect(4).stderr;
    assert!(away.contains("does not run") && away.contains("mainstay up"), "{away}");
    let other = Place::new();
    other.up(&[]).expect(0);
    let refused = other.run(&ROTATE).expect(2).stderr;
    assert!(refused.contains("a database that Mainstay runs"), "{refused}");
}

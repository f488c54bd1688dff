//! The walk through a page, in a real Chromium.

use std::path::PathBuf;
use std::time::Duration;

use acceptance::{Browser, Check, Outcome, Report, run};
use tokio_util::sync::CancellationToken;

use crate::miniature::{ADMIN, Rules, Server};
use crate::walk::{failures, note, report, target};

async fn on_page(rules: Rules, screenshots: PathBuf) -> (Report, std::sync::Arc<Server>) {
    let closed = rules.closed;
    let (address, server) = Server::start(Rules { may_leave: true, ..rules }).await;
    let mut target = target(&format!("http://{address}"));
    target.browser = Some(Browser { chromium: None, screenshots });
    if closed {
        target.admin = acceptance::Admin::Token(acceptance::Secret::new(ADMIN));
    }
    (report(&target).await, server)
}

fn screenshots(report: &Report) -> Vec<&PathBuf> {
    report.checks.iter().filter_map(|check| check.screenshot.as_ref()).collect()
}

/// Chromium's profile lies in a directory of the test's own; a process that names one is left over.
fn chromium_left(since: &[String]) -> Vec<String> {
    profiles().into_iter().filter(|profile| !since.contains(profile)).collect()
}

fn profiles() -> Vec<String> {
    let commands = std::fs::read_dir("/proc").expect("procfs").flatten().filter_map(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).into_owned();
        let profile = line.split('\0').find_map(|arg| arg.strip_prefix("--user-data-dir="))?;
        profile.contains("/acceptance-").then(|| profile.to_owned())
    });
    commands.collect()
}

/// One Chromium at a time: they are heavy, and the last assertion counts processes.
#[tokio::test(flavor = "multi_thread")]
async fn the_page_passes_and_each_of_its_faults_is_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let before = profiles();
    let shots = |name: &str| directory.path().join(name);

    let (well, server) = on_page(Rules::default(), shots("well")).await;
    assert!(well.passed(), "{}", well.to_markdown());
    assert_eq!(screenshots(&well).len(), 9);
    for path in screenshots(&well) {
        let picture = image::open(path).expect("a PNG");
        assert_eq!(picture.width(), 1280);
    }
    let world = server.world();
    assert!(world.teams.values().all(|team| team["delete_at"] == 1) && world.sessions.is_empty());
    assert!(world.users.len() == 4 && world.users.values().all(|user| user["delete_at"] == 1));

    let closed = Rules { closed: true, verify: true, ..Rules::default() };
    let (closed, _) = on_page(closed, shots("closed")).await;
    assert!(closed.passed(), "{}", closed.to_markdown());

    let table = [
        ("red bar", "browser-no-errors", "lost its websocket"),
        ("throws", "browser-no-errors", "a script of the page failed"),
        ("blocked", "browser-no-errors", "a content policy"),
    ];
    for (page, name, cause) in table {
        let (report, _) = on_page(Rules { page, ..Rules::default() }, shots(page)).await;
        let failures = failures(&report);
        assert!(
            matches!(failures[..], [(at, why)] if at == name && why.contains(cause)),
            "{page}: {failures:?}"
        );
    }

    // What never comes costs a time-out each.
    let (covered, _) = on_page(Rules { page: "covered", ..Rules::default() }, shots("covered")).await;
    let covered = covered.to_markdown();
    assert!(covered.contains("`#post_textbox` lay under `#stays`"), "{covered}");
    for (page, name) in [("deaf", "browser-second-replies"), ("no image", "browser-second-sees-image")] {
        let (report, server) = on_page(Rules { page, ..Rules::default() }, shots(page)).await;
        let failures = failures(&report);
        assert!(matches!(failures[..], [(at, _)] if at == name), "{page}: {failures:?}");
        assert!(report.checks.iter().any(|check| check.name == name && check.screenshot.is_some()));
        assert!(server.world().teams.values().all(|team| team["delete_at"] == 1));
    }
    assert_eq!(chromium_left(&before), Vec::<String>::new());

    // Cancelled while Chromium runs.
    let (address, server) = Server::start(Rules { may_leave: true, ..Rules::default() }).await;
    let mut target = target(&format!("http://{address}"));
    target.browser = Some(Browser { chromium: None, screenshots: shots("cancelled") });
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    let events = move |check: &Check| {
        if check.name == "browser-first-team" {
            stop.cancel();
        }
    };
    let report = run(&target, events, cancel).await;
    assert!(!report.passed());
    assert_eq!(chromium_left(&before), Vec::<String>::new());
    assert!(server.world().teams.values().all(|team| team["delete_at"] == 1));
}

#[tokio::test]
async fn a_missing_chromium_is_a_failed_check() {
    let (address, _) = Server::start(Rules { may_leave: true, ..Rules::default() }).await;
    let mut target = target(&format!("http://{address}"));
    target.timeout = Duration::from_secs(2);
    target.browser =
        Some(Browser { chromium: Some("/nowhere/chromium".into()), screenshots: "/nowhere".into() });
    let report = report(&target).await;
    let Some(Check { outcome: Outcome::Failed(finding), .. }) =
        report.checks.iter().find(|check| check.name == "browser")
    else {
        panic!("{}", report.to_markdown());
    };
    assert!(finding.fix.contains("apt-get install chromium"));
    assert_eq!(failures(&report).len(), 1);
    assert!(note(&report, "clean-up").is_empty());
}

//! The whole test against a server that answers as 5.37 did.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use acceptance::{Admin, Check, Outcome, Report, Secret, Target, run};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::miniature::{ADMIN, Rules, Server};

pub(crate) fn target(url: &str) -> Target {
    let mut target = Target::new(Url::parse(url).expect("a URL"));
    target.timeout = Duration::from_secs(5);
    target
}

pub(crate) async fn report(target: &Target) -> Report {
    // Spawned, so that the future must be Send.
    let target = target.clone();
    tokio::spawn(async move { run(&target, |_| {}, CancellationToken::new()).await }).await.expect("no panic")
}

/// The names of the checks that failed, each with its cause.
pub(crate) fn failures(report: &Report) -> Vec<(&'static str, &str)> {
    let failed = report.checks.iter().filter_map(|check| match &check.outcome {
        Outcome::Failed(finding) => Some((check.name, finding.cause.as_str())),
        _ => None,
    });
    failed.collect()
}

pub(crate) fn note<'r>(report: &'r Report, name: &str) -> &'r [String] {
    let check = report.checks.iter().find(|check| check.name == name).expect("the check was recorded");
    &check.notes
}

async fn old(rules: Rules) -> (SocketAddr, std::sync::Arc<Server>, Target) {
    let (address, server) = Server::start(rules).await;
    (address, server, target(&format!("http://{address}")))
}

#[tokio::test]
async fn an_old_server_passes_and_nothing_is_left_on_it() {
    let (_, server, target) = old(Rules { may_leave: true, ..Rules::default() }).await;
    let mut seen = Vec::new();
    let report = run(&target, |check: &Check| seen.push(check.name), CancellationToken::new()).await;
    assert!(report.passed(), "{}", report.to_markdown());
    assert_eq!(report.server_version.as_deref(), Some("5.37.0"));
    assert_eq!(seen.len(), report.checks.len());
    assert_eq!(report.checks.last().map(|check| check.name), Some("clean-up"));
    assert_eq!(note(&report, "healthy"), ["this version does not report whether the file store works"]);
    let world = server.world();
    assert!(world.teams.values().all(|team| team["delete_at"] == 1) && world.sessions.is_empty());
    assert!(world.users.len() == 2 && world.users.values().all(|user| user["delete_at"] == 1));
}

#[tokio::test]
async fn accounts_that_cannot_be_removed_are_named_and_logged_out() {
    let (_, server, target) = old(Rules::default()).await;
    let report = report(&target).await;
    assert!(!report.passed());
    let failed = report.checks.iter().find_map(|check| match &check.outcome {
        Outcome::Failed(finding) if check.name == "clean-up" => Some(finding),
        _ => None,
    });
    let failed = failed.expect("accounts stay");
    assert_eq!(failed.what.matches("the account `accept-").count(), 2, "{}", failed.what);
    assert!(failed.fix.contains("--admin-token"), "{}", failed.fix);
    assert_eq!(failures(&report).len(), 1, "{}", report.to_markdown());
    assert!(server.world().sessions.is_empty());
}

#[tokio::test]
async fn an_administrators_token_works_where_sign_up_is_closed() {
    let rules = Rules {
        closed: true,
        verify: true,
        domain: Some("corp.example"),
        no_teams: true,
        ..Rules::default()
    };
    let logins = [
        Admin::Token(Secret::new(ADMIN)),
        Admin::Login { name: "admin".to_owned(), secret: Secret::new("secret") },
    ];
    for admin in logins {
        let (_, server, mut target) = old(rules.clone()).await;
        target.admin = admin;
        let report = report(&target).await;
        assert!(report.passed(), "{}", report.to_markdown());
        assert!(note(&report, "first-team")[0].contains("administrator"));
        let world = server.world();
        assert!(world.users.values().all(|user| user["delete_at"] == 1));
    }
}

#[tokio::test]
async fn each_closed_setting_is_named() {
    let table = [
        (Rules { closed: true, ..Rules::default() }, "first-account", "EnableOpenServer"),
        (Rules { empty: true, ..Rules::default() }, "first-account", "becomes system administrator"),
        (Rules { verify: true, ..Rules::default() }, "first-account", "RequireEmailVerification"),
        (
            Rules { domain: Some("corp.example"), ..Rules::default() },
            "first-account",
            "RestrictCreationToDomains",
        ),
        (Rules { no_teams: true, ..Rules::default() }, "first-team", "create teams"),
        (Rules { no_files: true, ..Rules::default() }, "image-reply", "EnableFileAttachments"),
        (Rules { unhealthy: true, ..Rules::default() }, "reachable", "file store"),
    ];
    for (rules, name, cause) in table {
        let (_, server, target) = old(rules.clone()).await;
        let report = report(&target).await;
        let failures = failures(&report);
        assert!(
            matches!(failures[..], [(at, why), ..] if at == name && why.contains(cause)),
            "{rules:?}: {failures:?}"
        );
        let world = server.world();
        assert!(world.teams.values().all(|team| team["delete_at"] == 1), "{rules:?}");
        let text = report.to_markdown();
        let names = world.users.values().filter_map(|user| user["username"].as_str());
        let named = names.filter(|name| text.contains(&format!("the account `{name}`"))).count();
        assert_eq!(named, world.users.len(), "{rules:?}: every account that stays is named: {text}");
        assert!(failures[1..].iter().all(|(at, _)| *at == "clean-up") && !report.passed());
    }
}

#[tokio::test]
async fn keep_leaves_everything_and_names_it() {
    let (_, server, mut target) = old(Rules { may_leave: true, ..Rules::default() }).await;
    target.keep = true;
    let report = report(&target).await;
    assert!(report.passed(), "{}", report.to_markdown());
    let world = server.world();
    let names: Vec<_> = world.users.values().map(|user| user["username"].as_str().expect("a name")).collect();
    let kept = &note(&report, "clean-up")[0];
    assert!(names.iter().all(|name| kept.contains(*name)) && names.len() == 2, "{kept}");
    assert_eq!(world.teams.len(), 1);
    assert!(world.sessions.is_empty());
}

#[tokio::test]
async fn a_cancelled_run_cleans_up_too() {
    let (_, server, target) = old(Rules { may_leave: true, ..Rules::default() }).await;
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    let events = move |check: &Check| {
        if check.name == "first-post" {
            stop.cancel();
        }
    };
    let report = run(&target, events, cancel).await;
    assert!(!report.passed());
    let skipped = report.checks.iter().find(|check| check.name == "thread").expect("recorded");
    assert_eq!(skipped.outcome, Outcome::Skipped { why: "cancelled".to_owned() });
    let world = server.world();
    assert!(world.teams.values().all(|team| team["delete_at"] == 1) && world.sessions.is_empty());
    assert!(world.users.values().all(|user| user["delete_at"] == 1));
}

#[tokio::test]
async fn an_unreachable_site_is_a_failed_check() {
    let start = Instant::now();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    let refused = report(&target(&format!("http://{address}"))).await;
    assert!(failures(&refused)[0].1.contains("nothing listens"), "{:?}", failures(&refused));
    let unknown = report(&target("http://nobody.invalid")).await;
    assert!(failures(&unknown)[0].1.contains("DNS"), "{:?}", failures(&unknown));
    let (plain, ..) = old(Rules::default()).await;
    let not_tls = report(&target(&format!("https://{plain}"))).await;
    assert!(failures(&not_tls)[0].1.contains("speaks plain HTTP"), "{:?}", failures(&not_tls));
    let scheme = report(&target("ftp://example.org")).await;
    assert_eq!(failures(&scheme).len(), 1);
    assert!(start.elapsed() < Duration::from_secs(12));
}

#[tokio::test]
async fn no_password_or_token_is_in_the_report() {
    let (_, server, mut target) = old(Rules { may_leave: true, ..Rules::default() }).await;
    target.keep = true;
    let report = report(&target).await;
    let text = format!("{report:?}{}{}", report.to_markdown(), serde_json::to_string(&report).expect("JSON"));
    assert!(!server.passwords().is_empty());
    assert!(server.passwords().iter().all(|password| !text.contains(password.as_str())));
    assert!(!format!("{target:?}").contains(ADMIN));
}

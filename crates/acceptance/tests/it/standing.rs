//! The standing accounts: used again by every test, and brought back whatever was done to them.

use std::path::PathBuf;
use std::sync::Arc;

use acceptance::{Admin, Report, Secret, Target};
use serde_json::json;
use tempfile::TempDir;

use crate::builtin::passed;
use crate::miniature::{ADMIN, Rules, Server};
use crate::walk::{failures, note, report, target};

/// A server that is asked over its local channel.
struct Local {
    server: Arc<Server>,
    target: Target,
    directory: TempDir,
}

async fn local(rules: Rules) -> Local {
    let (address, server) = Server::start(rules).await;
    let directory = TempDir::new().expect("a directory");
    let socket = directory.path().join("server.sock");
    server.listen_locally(&socket);
    let mut target = target(&format!("http://{address}"));
    target.admin = Admin::Local(socket);
    target.password = Some(Secret::new("a-Standing-Passw0rd".repeat(3)));
    target.marker = Some(directory.path().join("tokens"));
    Local { server, target, directory }
}

impl Local {
    async fn passes(&self) -> Report {
        let report = report(&self.target).await;
        passed(&report);
        let world = self.server.world();
        assert!(world.teams.is_empty() && world.sessions.is_empty(), "{:?}", world.teams);
        assert_eq!(world.users.len(), 2, "{:?}", world.users);
        assert!(world.users.values().all(|user| user["delete_at"] == 1));
        report
    }
}

fn why_off(report: &Report, name: &str) -> String {
    let check = report.checks.iter().find(|check| check.name == name).expect("recorded");
    match &check.outcome {
        acceptance::Outcome::Off { why } => why.clone(),
        other => panic!("{name}: {other:?}"),
    }
}

#[tokio::test]
async fn the_same_two_accounts_serve_every_test_and_their_address_is_nobodys() {
    let local = local(Rules::default()).await;
    local.passes().await;
    let before = local.server.world().users;
    let again = local.passes().await;
    assert_eq!(local.server.world().users, before);
    assert!(note(&again, "first-account").is_empty(), "nothing had to be repaired");
    let mut emails: Vec<_> = before.values().filter_map(|user| user["email"].as_str()).collect();
    emails.sort_unstable();
    assert_eq!(emails, ["acceptance-first@acceptance.invalid", "acceptance-second@acceptance.invalid"]);
    assert!(before.values().all(|user| user["notify_props"]["email"] == "false"));
}

#[tokio::test]
async fn whatever_was_done_to_them_is_repaired_and_said() {
    let local = local(Rules::default()).await;
    local.passes().await;
    let first = "acceptance-first";
    local.server.change(first, "locked", json!(true));
    let locked = local.passes().await;
    assert!(note(&locked, "first-account")[0].contains("locked"), "{:?}", note(&locked, "first-account"));

    local.server.change_passwords();
    local.passes().await;

    local.server.change(first, "roles", json!("system_user system_admin"));
    local.server.change(first, "delete_at", json!(0));
    local.server.change(first, "email_verified", json!(false));
    let promoted = local.passes().await;
    assert!(note(&promoted, "first-account")[0].contains("system_admin"));
    assert!(local.server.world().users.values().all(|user| user["roles"] == "system_user"));

    local.server.change(first, "username", json!("somebody"));
    let renamed = local.passes().await;
    assert!(note(&renamed, "first-account")[0].contains("renamed to `somebody`"));
}

#[tokio::test]
async fn closed_settings_do_not_keep_the_test_out() {
    let table = [
        Rules { closed: true, ..Rules::default() },
        Rules { verify: true, ..Rules::default() },
        Rules { domain: Some("corp.example"), ..Rules::default() },
        Rules { password_length: 30, ..Rules::default() },
        Rules { password_length: 72, ..Rules::default() },
        Rules { no_teams: true, ..Rules::default() },
        Rules { team_size: 1, ..Rules::default() },
        Rules { no_files: true, says_no_files: true, ..Rules::default() },
        Rules { no_passwords: true, ..Rules::default() },
        Rules { keeps_all: true, ..Rules::default() },
    ];
    for rules in table {
        let local = local(rules.clone()).await;
        let report = local.passes().await;
        local.passes().await;
        if rules.team_size == 1 {
            assert!(why_off(&report, "second-joins").contains("MaxUsersPerTeam"));
        }
        if rules.says_no_files {
            assert!(why_off(&report, "image-reply").contains("EnableFileAttachments"));
            assert!(report.unchecked.iter().any(|what| what.contains("EnableFileAttachments")));
        }
        if rules.closed {
            assert!(why_off(&report, "stranger").contains("invitation"));
        }
    }
}

#[tokio::test]
async fn access_tokens_are_switched_off_again_also_after_a_kill() {
    let local = local(Rules { no_passwords: true, ..Rules::default() }).await;
    local.passes().await;
    assert_eq!(local.server.world().tokens, (false, 2));
    let marker: PathBuf = local.directory.path().join("tokens");
    assert!(!marker.exists());

    std::fs::write(&marker, "").expect("a test that was killed");
    local.server.allow_tokens();
    local.passes().await;
    assert!(!local.server.world().tokens.0 && !marker.exists());

    // They were allowed by somebody: then they stay so.
    local.server.allow_tokens();
    let changes = local.server.world().tokens.1;
    local.passes().await;
    assert_eq!(local.server.world().tokens, (true, changes));
}

#[tokio::test]
async fn with_a_token_one_team_and_one_pair_of_accounts_serve_every_test() {
    let (address, server) = Server::start(Rules { keeps_all: true, ..Rules::default() }).await;
    let mut target = target(&format!("http://{address}"));
    target.admin = Admin::Token(Secret::new(ADMIN));
    for run in 0..3 {
        let report = report(&target).await;
        passed(&report);
        let world = server.world();
        assert_eq!((world.users.len(), world.teams.len(), world.posts.len()), (2, 1, 0), "run {run}");
        assert!(world.users.values().all(|user| user["delete_at"] == 1));
        assert_eq!(note(&report, "first-team").len(), usize::from(run > 0));
        assert!(note(&report, "stranger")[0].contains("a name that is taken"));
        assert!(failures(&report).is_empty());
    }
}

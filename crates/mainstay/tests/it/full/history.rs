//! `history`, `restart`, and runs that an earlier or another version of Mainstay began.

use std::process::Command;

use serde_json::Value;

use crate::place::{Place, free_port, is_root};

fn sql(place: &Place, statements: &str) {
    let file = place.root.join("state.db");
    let ran = Command::new("sqlite3").arg(&file).arg(statements).output().expect("sqlite3 runs");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

fn server_pid(place: &Place) -> Value {
    place.status()["agent"]["server"]["pid"].clone()
}

#[test]
fn a_part_is_restarted_as_it_was_and_only_that_part() {
    let place = Place::new();
    let refused = place.run(&["restart"]).expect(4);
    assert!(refused.stderr.contains("there is no deployment in"), "{}", refused.stderr);
    place.up(&[]).expect(0);
    let before = place.status();
    let plan = place.run(&["restart", "--plan"]).expect(0).stdout;
    assert!(plan.contains("Stop the server (undo: Start it again)"), "{plan}");
    let restarted = place.run(&["restart", "--json"]).expect(0).json();
    assert_eq!(restarted["part"], "server");
    let after = place.status();
    assert_ne!(after["agent"]["server"]["pid"], before["agent"]["server"]["pid"]);
    assert_eq!(after["agent"]["server"]["spec"], before["agent"]["server"]["spec"]);
    assert_eq!(after["agent"]["agent_pid"], before["agent"]["agent_pid"]);
    assert_eq!(after["up"], true);

    let pid = server_pid(&place);
    place.run(&["restart", "edge"]).expect(0);
    assert_eq!(server_pid(&place), pid);
    place.run(&["restart", "agent"]).expect(0);
    let whole = place.status();
    assert_ne!(whole["agent"]["agent_pid"], before["agent"]["agent_pid"]);
    assert_eq!(whole["up"], true);

    let unknown = place.run(&["restart", "sever"]).expect(2);
    assert!(unknown.stderr.contains("did you mean `server`?"), "{}", unknown.stderr);
    let unknown = place.run(&["restart", "database"]).expect(2);
    assert!(unknown.stderr.contains("is not run by Mainstay"), "{}", unknown.stderr);
    // A restart that fails leaves the server running.
    place.run(&["restart", "--inject-failure", "acceptance:before"]).expect(6);
    assert_eq!(place.status()["up"], true);
    place.run(&["down"]).expect(0);
    let stopped = place.run(&["restart"]).expect(4);
    assert!(stopped.stderr.contains("the deployment does not run"), "{}", stopped.stderr);
}

#[test]
fn every_run_is_in_the_history_with_who_when_why_and_how_it_ended() {
    let place = Place::new();
    assert_eq!(place.run(&["history", "--json"]).expect(0).json(), serde_json::json!([]));
    assert!(place.names().is_empty(), "looking made something");
    let missing = place.run(&["history", "1"]).expect(2);
    assert!(missing.stderr.contains("there is no run 1"), "{}", missing.stderr);
    place.up(&["--why", "a new chat for the team"]).expect(0);
    place.run(&["restart", "--inject-failure", "server:after"]).expect(6);
    place.run(&["restart", "--inject-kill", "server:before"]).expect(-9);

    let runs = place.run(&["history", "--json"]).expect(0).json();
    let of = |key: &str| -> Vec<Value> {
        runs.as_array().into_iter().flatten().map(|run| run[key].clone()).collect()
    };
    assert_eq!(of("operation"), ["restart", "restart", "up"]);
    assert_eq!(of("outcome"), ["unfinished", "undone", "done"]);
    assert_eq!(of("program"), vec![Value::from(env!("CARGO_PKG_VERSION")); 3]);
    assert_eq!(runs[2]["why"], "a new chat for the team");
    assert!(runs[1]["failure"]["message"].to_string().contains("server:after"), "{}", runs[1]);
    assert_eq!(runs[0]["finished_at"], Value::Null);

    let text = place.run(&["history", "2"]).expect(0).stdout;
    for line in ["Outcome    undone", "✗ Start the server", "↶ Stop the server", "- Test it as"] {
        assert!(text.contains(line) || line.starts_with('✗'), "{line} is not in\n{text}");
    }
    let list = place.run(&["history", "-n", "1"]).expect(0).stdout;
    assert_eq!(list.lines().count(), 1, "{list}");
    assert!(list.contains("unfinished"), "{list}");
    let missing = place.run(&["history", "4"]).expect(2);
    assert!(missing.stderr.contains("allowed: 1 to 3"), "{}", missing.stderr);
    place.run(&["history", "first"]).expect(2);
    // Reading the history leaves nothing beside the journal.
    place.up(&[]).expect(0);
    let before = place.names();
    place.run(&["history"]).expect(0);
    assert_eq!(place.names(), before);
}

/// A run whose plan another version wrote blocks every operation until it is finished by that version or given up; how is said.
#[test]
fn a_run_of_another_version_is_named_and_can_be_given_up() {
    let place = Place::new();
    place.up(&[]).expect(0);
    place.run(&["restart", "--inject-kill", "server:before"]).expect(-9);
    sql(
        &place,
        r#"update runs set program = '9.0.0', plan = replace(plan, '"format":2', '"format":9') where id = 2"#,
    );
    for command in [&["up"][..], &["restart"], &["uninstall", "--plan"]] {
        let ran = place.run(command);
        if command.contains(&"--plan") {
            // Looking needs no journal.
            ran.expect(0);
            continue;
        }
        let refused = ran.expect(8);
        assert!(refused.stderr.contains("version 9.0.0 wrote its plan"), "{}", refused.stderr);
        assert!(refused.stderr.contains("`mainstay up --yes`"), "{}", refused.stderr);
        assert!(!refused.stderr.contains("damaged"), "{}", refused.stderr);
    }
    // A command that would be refused gives nothing up.
    let refused = place.run(&["restart", "--yes"]).expect(4);
    assert!(refused.stderr.contains("the server does not run"), "{}", refused.stderr);
    assert_eq!(place.run(&["history", "--json"]).expect(0).json()[0]["outcome"], "unfinished");
    // Stopping needs no run.
    let down = place.run(&["down"]).expect(0);
    assert!(down.stderr.contains("run 2, `restart`, was interrupted"), "{}", down.stderr);
    // The way out that it names.
    let ran = place.up(&[]).expect(0);
    assert!(ran.stderr.contains("Run 2 is given up where it stood"), "{}", ran.stderr);
    assert_eq!(place.status()["up"], true);
    // The history shows a plan of a later format as far as it can be read.
    let runs = place.run(&["history", "--json"]).expect(0).json();
    assert_eq!(runs[1]["outcome"], "abandoned");
    assert!(place.run(&["history", "2"]).expect(0).stdout.contains("given up"));
    place.run(&["down"]).expect(0);
}

/// The journal in the fixture was written before plans had a format, by an `up` that was killed in its second step.
#[test]
fn a_journal_of_the_first_format_is_resumed() {
    if !is_root() {
        // The run in it was root's.
        return;
    }
    let place = Place::new();
    std::fs::create_dir(&place.root).expect("a directory");
    let fixture = include_str!("../../../../deploy/tests/golden/journal-1.sql")
        .replace("/fixture/deployment", &place.root.to_string_lossy())
        .replace("18993", &place.port.to_string())
        .replace("127.0.0.1:20715", &format!("127.0.0.1:{}", free_port()))
        .replace(r#""user":"mainstay""#, r#""user":"nobody""#);
    sql(&place, &fixture);
    let ran = place.up(&[]).expect(0);
    assert!(ran.stderr.contains("Going on where an earlier command was interrupted"), "{}", ran.stderr);
    assert_eq!(place.status()["up"], true);
    let runs = place.run(&["history", "--json"]).expect(0).json();
    // After it comes one that records which data belongs to the deployment.
    let first = runs.as_array().and_then(|runs| runs.last()).expect("a run");
    assert_eq!((&first["outcome"], &first["program"]), (&Value::from("done"), &Value::Null));
}

/// Only `uninstall` removes: any other command takes an interrupted one back.
#[test]
fn an_interrupted_uninstall_is_taken_back_by_every_other_command() {
    for moment in ["close-edge:before", "removal:after"] {
        let place = Place::new();
        place.up(&[]).expect(0);
        let secrets = std::fs::read(place.root.join("secrets.toml")).expect("secrets");
        place.run(&["uninstall", "--yes", "--inject-kill", moment]).expect(-9);
        let plan = place.run(&["down", "--plan"]);
        assert!(plan.stderr.contains("run 2, `uninstall`"), "{}", plan.stderr);
        place.up(&[]).expect(0);
        assert_eq!(std::fs::read(place.root.join("secrets.toml")).expect("secrets"), secrets, "{moment}");
        assert_eq!(place.status()["up"], true);
        let runs = place.run(&["history", "--json"]).expect(0).json();
        assert_eq!(
            runs.as_array()
                .and_then(|runs| runs.iter().find(|run| run["run"] == 2))
                .map(|run| &run["outcome"]),
            Some(&Value::from("undone"))
        );
    }
}

/// The last report is of what is there: neither of a configuration that was undone, nor ignored when it did not pass.
#[test]
fn verified_is_what_is_there() {
    let place = Place::new();
    place.up(&[]).expect(0);
    let before = place.status()["verified_at"].clone();
    let other = format!("127.0.0.1:{}", free_port());
    let undone = place.run(&["up", "--listen", &other, "--inject-failure", "acceptance:after"]).expect(6);
    assert!(undone.stderr.contains("everything is as before"), "{}", undone.stderr);
    assert_eq!(place.status()["verified_at"], before);
    // Undone after a kill: which test the report is of is not known any more, so `up` tests again.
    place
        .run(&[
            "up",
            "--listen",
            &other,
            "--inject-failure",
            "acceptance:after",
            "--inject-kill",
            "edge:undo",
        ])
        .expect(-9);
    let plan = place.run(&["up", "--json"]).expect(0).json();
    assert_eq!(plan["changed"], true);
    assert!(place.status()["verified_at"].as_i64() > before.as_i64());
    // A test that failed is repeated until it passes.
    let report = place.root.join("run/verified.json");
    let text = std::fs::read_to_string(&report).expect("a report");
    std::fs::write(&report, text.replace("\"passed\": true", "\"passed\": false")).expect("written");
    let plan = place.run(&["up", "--plan"]).expect(0).stdout;
    assert!(plan.contains("1 step,") && plan.contains("acceptance"), "{plan}");
    place.up(&[]).expect(0);
    assert_eq!(place.run(&["up", "--json"]).expect(0).json()["changed"], false);
}

#[test]
fn a_restart_reads_no_settings() {
    let place = Place::new();
    place.up(&[]).expect(0);
    let toml = place.root.join("mainstay.toml");
    let text = std::fs::read_to_string(&toml).expect("a file");
    for edit in
        [text.replace(&place.port.to_string(), "9"), "listen = \n".to_owned(), format!("format = 2\n{text}")]
    {
        std::fs::write(&toml, edit).expect("written");
        place.run(&["restart"]).expect(0);
    }
    std::fs::write(&toml, &text).expect("written");
    assert_eq!(place.status()["up"], true);
}

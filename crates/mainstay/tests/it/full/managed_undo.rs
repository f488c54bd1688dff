//! A run that was interrupted, or that nobody could take back yet, on a PostgreSQL that Mainstay runs: the next command starts what the
//! run counts on, in the order of the parts.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use super::managed::{self, postmaster, sql, up};
use crate::place::{Place, eventually};

/// Makes the server's program one that ends at once, until what is returned is called.
fn break_server(place: &Place) -> impl FnOnce() + use<> {
    let program = fs::canonicalize(place.root.join("current")).expect("a release").join("bin/mattermost");
    let (dir, aside) = (program.parent().expect("a directory").to_owned(), place.root.join("run/mattermost"));
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).expect("a mode");
    fs::rename(&program, &aside).expect("moved");
    fs::write(&program, "#!/bin/sh\necho 'no such horse'; exit 3\n").expect("written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a mode");
    move || fs::rename(aside, program).expect("moved back")
}

fn kill_agent(place: &Place) {
    let agent = place.status()["agent"]["agent_pid"].as_u64().expect("an agent").to_string();
    assert!(Command::new("kill").args(["-9", &agent]).status().expect("kill").success());
    eventually("the agent has ended", || place.status()["agent"].is_null());
}

#[test]
fn a_run_that_stands_half_way_goes_on_after_everything_was_stopped() {
    let place = managed::place("halfway");
    up(&place, &[]).expect(0);
    let users = sql(&place, "select count(*) from users");

    // A restart that failed, and whose undo failed: then `down`, which stops the database as well.
    let mend = break_server(&place);
    let failed = place.run(&["restart"]).expect(7);
    assert!(failed.stderr.contains("no such horse"), "{}", failed.stderr);
    place.run(&["down"]).expect(0);
    mend();
    place.up(&[]).expect(0);
    place.run(&["status", "--check"]).expect(0);

    // The undo of a part that needs others.
    let faults = ["--inject-failure", "edge:before", "--inject-failure", "close-edge:undo"];
    place.run(&[&["restart", "edge"], &faults[..]].concat()).expect(7);
    place.run(&["down"]).expect(0);
    place.up(&[]).expect(0);
    place.run(&["status", "--check"]).expect(0);

    // Command and agent are killed in the middle: in both directions.
    for fault in [&["--inject-kill", "server:before"][..], &["--inject-kill", "server:after"]] {
        place.run(&[&["restart"], fault].concat()).expect(-9);
        kill_agent(&place);
        assert!(postmaster(&place).is_none());
        let first = place.up(&[]);
        if first.code != 0 {
            // What could not be proven was taken back, and runs.
            assert!([5, 6].contains(&first.code), "{}: {}", first.code, first.stderr);
            place.up(&[]).expect(0);
        }
        place.run(&["status", "--check"]).expect(0);
    }
    place.run(&["verify"]).expect(0);
    assert_eq!(sql(&place, "select count(*) from users"), users);
}

//! Killed anywhere, it recovers; failed anywhere, it is undone.

use std::process::Command;

use crate::place::{Place, eventually, processes_of};

/// The steps of a fresh `up`, as the binary itself lists them.
fn steps() -> Vec<String> {
    let plan = Place::new().up(&["--plan", "--json"]).expect(0).json();
    let steps = plan["steps"].as_array().expect("steps");
    steps.iter().map(|step| step["name"].as_str().expect("a name").to_owned()).collect()
}

/// What an undone installation may leave: the journal with its history, what guards it, and the logs that explain why it is undone.
fn assert_undone(place: &Place, at: &str) {
    let stays = |name: &String| name == "run" || name == "logs" || name.starts_with("state.db");
    let left: Vec<String> = place.names().into_iter().filter(|name| !stays(name)).collect();
    assert_eq!(left, Vec::<String>::new(), "{at}: left behind");
    eventually("no process is left", || processes_of(&place.root).is_empty());
    assert!(std::net::TcpStream::connect(("127.0.0.1", place.port)).is_err(), "{at}: the edge is still open");
}

#[test]
fn killed_at_any_step_the_next_up_ends_verified() {
    for step in steps() {
        for moment in ["before", "after"] {
            let at = format!("{step}:{moment}");
            let place = Place::new();
            place.up(&["--inject-kill", &at]).expect(-9);
            let up = place.up(&["--json"]);
            assert_eq!(up.code, 0, "{at}: {}", up.stderr);
            assert_eq!(place.status()["up"], true, "{at}");
        }
    }
}

#[test]
fn failed_at_any_step_everything_is_undone() {
    for step in steps() {
        for moment in ["before", "after"] {
            let at = format!("{step}:{moment}");
            let place = Place::new();
            let up = place.up(&["--inject-failure", &at]);
            assert_eq!(up.code, 6, "{at}: {}", up.stderr);
            assert_undone(&place, &at);
        }
    }
}

#[test]
fn killed_in_an_undo_the_next_up_ends_verified() {
    let steps = steps();
    let last = steps.last().expect("steps").clone();
    let undoable: Vec<String> = steps
        .into_iter()
        .filter(|step| !["administrator", "acceptance", "leftovers"].contains(&step.as_str()))
        .collect();
    for step in undoable {
        let place = Place::new();
        place
            .up(&["--inject-failure", &format!("{last}:before"), "--inject-kill", &format!("{step}:undo")])
            .expect(-9);
        let up = place.up(&[]);
        assert_eq!(up.code, 0, "{step}: {}", up.stderr);
        assert_eq!(place.status()["up"], true, "{step}");
    }
}

#[test]
fn killed_in_down_or_uninstall_the_next_one_finishes() {
    for (command, step) in
        [("down", "close-edge"), ("down", "stop-server"), ("down", "stop-agent"), ("uninstall", "removal")]
    {
        for moment in ["before", "after"] {
            let place = Place::new();
            place.up(&[]).expect(0);
            let args: &[&str] = if command == "uninstall" { &["uninstall", "--yes"] } else { &["down"] };
            let fault = format!("{step}:{moment}");
            place.run(&[args, &["--inject-kill", &fault]].concat()).expect(-9);
            place.run(args).expect(0);
            eventually("no process is left", || processes_of(&place.root).is_empty());
            if command == "uninstall" {
                assert_eq!(place.names(), Vec::<String>::new(), "{fault}");
            }
        }
    }
}

#[test]
fn a_down_that_fails_leaves_everything_running() {
    let place = Place::new();
    place.up(&[]).expect(0);
    place.run(&["down", "--inject-failure", "stop-agent:before"]).expect(6);
    assert_eq!(place.status()["up"], true);
    place.run(&["verify"]).expect(0);
}

#[test]
fn the_server_dies_with_a_killed_agent_and_up_brings_both_back() {
    let place = Place::new();
    place.up(&[]).expect(0);
    let pid = place.status()["agent"]["agent_pid"].as_u64().expect("an agent");
    assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().expect("kill").success());
    eventually("the server is gone too", || processes_of(&place.root).is_empty());
    assert_eq!(place.up(&["--json"]).expect(0).json()["changed"], true);
}

#[test]
fn a_killed_server_is_started_again() {
    let place = Place::new();
    place.up(&[]).expect(0);
    let pid = |place: &Place| place.status()["agent"]["server"]["pid"].as_u64();
    let first = pid(&place).expect("a server");
    assert!(Command::new("kill").args(["-9", &first.to_string()]).status().expect("kill").success());
    eventually("another server is up", || {
        pid(&place).is_some_and(|pid| pid != first) && place.status()["up"] == true
    });
    place.run(&["verify"]).expect(0);
}

#[test]
fn a_second_operation_is_told_who_has_the_turn() {
    let place = Place::new();
    let mut first = place.command(&["up"]);
    first.args(&place.up_args()[1..]).args(["--why", "the first one"]);
    let mut first = first.spawn().expect("the first up");
    eventually("the first has the turn", || place.root.join("run/operation.lock").exists());
    let mut saw_busy = false;
    while first.try_wait().expect("the first").is_none() {
        let second = place.run(&["down"]);
        if second.code == 9 {
            assert!(
                second.stderr.contains("the first one") && second.stderr.contains("`up`"),
                "{}",
                second.stderr
            );
            saw_busy = true;
            break;
        }
    }
    assert!(saw_busy, "nobody was told to wait");
    assert!(first.wait().expect("the first").success());
}

#[test]
fn what_a_kill_leaves_half_written_is_in_nobodys_way_and_goes() {
    let place = Place::new();
    place.up(&[]).expect(0);
    let staged = [".new-a1B2c3", ".link-a1B2c3", "state.db.new-0123456789abcdef", "config/.new-a1B2c3"]
        .map(|name| place.root.join(name));
    for moment in ["status", "down", "up"] {
        for path in &staged {
            if path.to_string_lossy().contains(".link-") {
                std::fs::create_dir_all(path).expect("a directory");
                let _ = std::os::unix::fs::symlink("releases/none", path.join("link"));
            } else {
                std::fs::write(path, "half").expect("a file");
            }
        }
        place.run(&[moment]).expect(0);
        if moment != "status" {
            let left: Vec<_> = staged.iter().filter(|path| path.symlink_metadata().is_ok()).collect();
            assert!(left.is_empty(), "{moment}: {left:?}");
        }
    }
    // Another's hidden file is in nobody's way, and stays.
    std::fs::write(place.root.join(".new-years-list"), "").expect("a file");
    place.run(&["up"]).expect(0);
    std::fs::remove_file(place.root.join(".new-years-list")).expect("it is there");
}

#[test]
fn what_an_earlier_uninstall_left_aside_is_in_nobodys_way() {
    let place = Place::new();
    for args in [&["uninstall", "--yes", "--keep-data"][..], &["uninstall", "--yes"]] {
        place.up(&[]).expect(0);
        std::fs::create_dir_all(place.root.join("run/aside/releases/x")).expect("a directory");
        std::fs::create_dir_all(place.root.join("run/aside/logs/x")).expect("a directory");
        // It fails once and is undone: what is live stays live.
        let fails = [args, &["--inject-failure", "removal:after"]].concat();
        place.run(&fails).expect(6);
        assert_eq!(place.status()["up"], true);
        place.run(args).expect(0);
        assert!(!place.root.join("run/aside").exists());
        assert!(!place.root.join("releases").exists());
    }
    assert_eq!(place.names(), Vec::<String>::new());
}

#[test]
fn a_link_in_place_of_config_json_is_refused_and_left() {
    let place = Place::new();
    place.up(&[]).expect(0);
    let config = place.root.join("config/config.json");
    std::fs::remove_file(&config).expect("removed");
    std::os::unix::fs::symlink("/etc/passwd", &config).expect("a link");
    let refused = place.run(&["up"]).expect(4);
    assert!(refused.stderr.contains("it is a symbolic link"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("root:"), "{}", refused.stderr);
    assert!(config.is_symlink());
}

#[test]
fn after_a_power_cut_a_resumed_run_starts_again_what_had_been_started() {
    let place = Place::new();
    place.up(&["--inject-kill", "acceptance:before"]).expect(-9);
    let agent = place.status()["agent"]["agent_pid"].as_u64().expect("an agent");
    assert!(Command::new("kill").args(["-9", &agent.to_string()]).status().expect("kill").success());
    eventually("the server is gone too", || processes_of(&place.root).is_empty());
    place.up(&[]).expect(0);
    assert_eq!(place.status()["up"], true);
}

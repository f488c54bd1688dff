//! Files that somebody deletes, moves or holds under a running deployment: it is found, told as it is, and put right.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::place::{Place, eventually, processes_of};

fn signal(name: &str, pid: &serde_json::Value) {
    assert!(Command::new("kill").args([name, &pid.to_string()]).status().expect("kill").success());
}

fn assert_stopped(place: &Place) {
    eventually("no process is left", || processes_of(&place.root).is_empty());
}

#[test]
fn an_agent_whose_files_are_deleted_is_found_and_stays() {
    let place = Place::new();
    place.up(&[]).expect(0);
    let agent = place.status()["agent"]["agent_pid"].clone();
    let run = place.root.join("run");
    type Harm<'a> = &'a dyn Fn();
    let harms: [(&str, Harm<'_>); 3] = [
        ("its socket", &|| fs::remove_file(run.join("agent.sock")).expect("removed")),
        ("its lock", &|| fs::remove_file(run.join("agent.lock")).expect("removed")),
        ("run itself", &|| fs::remove_dir_all(&run).expect("removed")),
    ];
    for (what, harm) in harms {
        harm();
        let status = place.status();
        assert_eq!((&status["agent"]["agent_pid"], status["up"].as_bool()), (&agent, Some(true)), "{what}");
        let up = place.up(&["--json"]).expect(0).json();
        // The report of the last test was in `run`.
        assert_eq!(up["changed"].as_bool(), Some(what == "run itself"), "{what}: {up}");
        eventually("its files are there again", || {
            run.join("agent.sock").exists() && run.join("agent.lock").exists()
        });
        assert_eq!(place.status()["agent"]["agent_pid"], agent, "{what}");
        harm();
        place.run(&["restart", "server"]).expect(0);
    }
    for stop in [&["down"][..], &["uninstall", "--yes"]] {
        place.up(&[]).expect(0);
        fs::remove_dir_all(&run).expect("removed");
        place.run(stop).expect(0);
        assert_stopped(&place);
    }
    assert_eq!(place.names(), Vec::<String>::new());
}

#[test]
fn an_agent_that_cannot_make_its_files_again_is_ended_all_the_same() {
    for stop in [&["down"][..], &["uninstall", "--yes"]] {
        let place = Place::new();
        place.up(&[]).expect(0);
        let agent = place.status()["agent"]["agent_pid"].clone();
        signal("-STOP", &agent);
        fs::remove_dir_all(place.root.join("run")).expect("removed");
        let shown = place.run(&["status"]).expect(0).stdout;
        assert!(shown.contains(&format!("the agent (process {agent}) does not listen")), "{shown}");
        place.run(&["up", "--yes"]).expect(4);
        if stop[0] == "uninstall" {
            place.run(stop).expect(4);
            assert!(place.root.join("data/mattermost.db").exists(), "it deleted under a running server");
            place.run(&["down"]).expect(0);
        }
        place.run(stop).expect(0);
        assert_stopped(&place);
    }
}

#[test]
fn a_deployment_that_is_deleted_while_it_runs_is_told_and_stopped() {
    let place = Place::new();
    place.up(&[]).expect(0);
    // What runs there makes files while they are deleted: whoever deletes it does so again.
    eventually("it is deleted", || fs::remove_dir_all(&place.root).is_ok() || !place.root.exists());
    let told = place.run(&["status"]).expect(0);
    assert!(told.stdout.contains("does not listen at"), "{}", told.stdout);
    let refused = place.up(&[]).expect(8);
    assert!(
        refused.stderr.contains("was deleted") && refused.stderr.contains("SAFE/mattermost.db"),
        "{}",
        refused.stderr
    );
    assert!(!place.root.exists(), "a second deployment began beside the one that runs");
    let asked = place.run(&["down"]).expect(2);
    assert!(asked.stderr.contains("--yes"), "{}", asked.stderr);
    let stopped = place.run(&["down", "--yes"]).expect(0);
    assert!(stopped.stdout.contains("Stopped"), "{}", stopped.stdout);
    assert_stopped(&place);
    assert!(!place.root.exists(), "stopping made the directory again");
    place.up(&[]).expect(0);
}

#[test]
fn a_socket_of_the_server_that_is_deleted_comes_back() {
    let place = Place::new();
    place.up(&[]).expect(0);
    for name in ["server.sock", "http.sock"] {
        let socket = place.root.join("local").join(name);
        fs::remove_file(&socket).expect("removed");
        let shown = place.run(&["status"]).expect(0).stdout;
        assert!(shown.starts_with("State      degraded: the server is not healthy"), "{name}: {shown}");
        place.run(&["status", "--check"]).expect(4);
        place.up(&[]).expect(0);
        assert!(socket.exists(), "{name}");
        place.run(&["status", "--check"]).expect(0);
    }
}

#[test]
fn what_is_gone_is_named_with_what_to_do() {
    let place = Place::new();
    place.up(&[]).expect(0);
    let aside = place.root.with_file_name("aside");
    let shown = || place.run(&["status"]).expect(0).stdout;

    // The journal.
    fs::rename(place.root.join("state.db"), &aside).expect("moved");
    assert!(shown().contains("state.db is gone"), "{}", shown());
    let history = place.run(&["history"]).expect(0).stdout;
    assert!(history.contains("state.db is gone"), "{history}");
    fs::rename(&aside, place.root.join("state.db")).expect("moved back");
    assert!(!shown().contains("is gone"), "{}", shown());

    // The data: `up` is no way out, and nothing says that it is one.
    fs::rename(place.root.join("data"), &aside).expect("moved");
    let said = shown();
    assert!(said.starts_with("State      needs you: ") && !said.contains("run `mainstay up`\n"), "{said}");
    fs::rename(&aside, place.root.join("data")).expect("moved back");

    // config.json.
    let config = place.root.join("config/config.json");
    fs::rename(&config, &aside).expect("moved");
    fs::create_dir(&config).expect("a directory");
    for command in [&["restart"][..], &["up", "--yes"]] {
        let said = place.run(command).expect(3).stderr;
        assert!(said.contains("config.json is a directory") && !said.contains("chown"), "{said}");
    }
    let said = shown();
    assert!(said.starts_with("State      needs you: it runs") && said.contains("is a directory"), "{said}");
    assert!(!said.contains("can be read by others"), "{said}");
    fs::remove_dir(&config).expect("removed");
    fs::rename(&aside, &config).expect("moved back");

    // The release.
    let release = fs::canonicalize(place.root.join("current")).expect("a release");
    let name = release.file_name().expect("a name").to_str().expect("text").to_owned();
    fs::rename(&release, &aside).expect("moved");
    let missing = format!("{name} does not exist");
    assert!(shown().contains(&missing), "{}", shown());
    for command in [&["restart"][..], &["verify"], &["admin", "list"]] {
        let said = place.run(command).expect(4).stderr;
        assert!(said.contains(&missing) && said.contains("`mainstay up`, which unpacks it again"), "{said}");
    }
    place.up(&[]).expect(0);
    assert!(release.join("bin/mattermost").exists());

    // Nothing runs.
    place.run(&["down"]).expect(0);
    let said = place.run(&["verify"]).expect(5);
    assert!(said.stderr.contains("does not run") && said.stderr.contains("`mainstay up`"), "{}", said.stderr);
    assert_eq!(said.stdout, "");

    // What is not Mainstay's.
    fs::write(place.root.join("notes.txt"), "mine").expect("written");
    let said = place.run(&["uninstall", "--yes"]).expect(0).stdout;
    assert!(said.contains("Left there, because it is not Mainstay's: notes.txt"), "{said}");
    assert_eq!(place.names(), ["notes.txt"]);
}

#[test]
fn a_process_that_is_stopped_at_the_lock_keeps_nobody_waiting() {
    let place = Place::new();
    place.up(&[]).expect(0);
    for lock in ["operation.lock.gate", "agent.lock.gate"] {
        let gate = fs::File::create(place.root.join("run").join(lock)).expect("a gate");
        gate.lock().expect("held");
        for args in [&["status"][..], &["history"], &["up", "--yes"], &["restart"]] {
            let began = Instant::now();
            place.run(args).expect(0);
            assert!(began.elapsed() < Duration::from_secs(60), "{lock}: {args:?}: {:?}", began.elapsed());
        }
    }
}

#[test]
fn the_next_test_removes_what_a_killed_one_left_and_says_so() {
    let place = Place::new();
    place.up(&[]).expect(0);
    // A stranger signs up where everybody may.
    let toml = place.root.join("mainstay.toml");
    let text =
        fs::read_to_string(&toml).expect("a file") + "\n[mattermost.TeamSettings]\nEnableOpenServer = true\n";
    fs::write(&toml, text).expect("written");
    place.up(&[]).expect(0);
    let left = place.root.join("run/left-by-test");
    for next in [&["verify"][..], &["up", "--yes"]] {
        let mut verify = place.command(&["verify", "--idle", "60"]);
        let mut verify = verify.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it runs");
        let mut lines = BufReader::new(verify.stdout.take().expect("stdout")).lines();
        // By then its team and the account of a stranger are there.
        lines
            .find(|line| line.as_ref().is_ok_and(|line| line.contains("The thread contains")))
            .expect("a line")
            .expect("text");
        verify.kill().expect("killed");
        verify.wait().expect("ended");
        let names = fs::read_to_string(&left).expect("it is written down");
        assert!(names.contains("team accept-") && names.contains("account accept-"), "{names}");
        let ran = place.run(next).expect(0);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        for name in names.lines() {
            assert!(
                said.contains("an earlier test was interrupted") && said.contains(name),
                "{name}: {said}"
            );
        }
        assert!(!left.exists());
        // A third one finds nothing.
        let said = place.run(&["verify"]).expect(0).stdout;
        assert!(!said.contains("an earlier test"), "{said}");
    }
    place.run(&["status", "--check"]).expect(0);
}

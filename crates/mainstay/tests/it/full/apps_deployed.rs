//! Apps that are deployed to this machine, which the agent runs.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::apps_local::{MAKE, functions};
use crate::place::{Place, Ran, eventually, free_port, processes_of};

const ID: &str = "com.example.hello";
const OTHER: &str = "com.example.other";

/// A deployment that is up, and bundles beside it.
struct Stage {
    place: Place,
    /// Where the two apps answer: each test has ports of its own.
    ports: [u16; 2],
}

impl Stage {
    fn new() -> Self {
        let place = Place::new();
        place.up(&[]).expect(0);
        Self { place, ports: [free_port(), free_port()] }
    }

    fn bundle(&self, id: &str, version: &str, script: Option<&str>) -> String {
        let beside = |name: &str| self.place.root.with_file_name(name);
        let bundle = beside(&format!("{id}-{version}.zip"));
        let mut make = Command::new("python3");
        make.arg(MAKE).arg(&bundle).args([id, version]);
        if let Some(script) = script {
            let path = beside("bootstrap.sh");
            std::fs::write(&path, script).expect("a script");
            make.arg(&path);
        }
        assert!(make.status().expect("python3 runs").success());
        bundle.to_str().expect("text").to_owned()
    }

    fn deploy(&self, bundle: &str, more: &[&str]) -> Ran {
        let listen = format!("127.0.0.1:{}", self.ports[usize::from(bundle.contains(OTHER))]);
        let mut args = vec!["apps", "deploy", bundle, "--to", "local", "--json"];
        if !more.contains(&"--listen") {
            args.extend(["--listen", &listen]);
        }
        args.extend(more);
        self.place.run(&args)
    }

    /// The versions that shall run, and the process that runs each.
    fn listed(&self) -> Vec<(String, String, Option<u64>)> {
        let list = self.place.run(&["apps", "list", "--to", "local", "--json"]).expect(0).json();
        let apps = list["apps"].as_array().expect("a list").clone();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        apps.iter()
            .map(|app| (text(&app["app_id"]), text(&app["version"]), app["running"]["pid"].as_u64()))
            .collect()
    }

    fn versions(&self) -> Vec<(String, String)> {
        self.listed().into_iter().map(|(id, version, _)| (id, version)).collect()
    }

    fn process(&self, id: &str) -> Option<u64> {
        self.listed().into_iter().find(|(listed, ..)| listed == id).and_then(|(.., pid)| pid)
    }

    /// Whether it answers, as the version that is said to run.
    fn answers(&self, id: &str) -> bool {
        let answer = self.place.run(&["apps", "call", id, "/ping", "--json"]);
        answer.code == 0 && answer.json()["text"] == "from a shell"
    }

    fn app(&self, id: &str) -> PathBuf {
        self.place.root.join("apps").join(id)
    }

    /// The directories of versions that are kept.
    fn kept(&self, id: &str) -> usize {
        std::fs::read_dir(self.app(id).join("deployed")).map_or(0, Iterator::count)
    }
}

fn kill(pid: u64) {
    let pid = rustix::process::Pid::from_raw(pid.try_into().expect("a number")).expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("a signal");
}

fn one(id: &str, version: &str) -> Vec<(String, String)> {
    vec![(id.to_owned(), version.to_owned())]
}

#[test]
fn an_app_is_deployed_updated_taken_back_and_removed() {
    let stage = Stage::new();
    let place = &stage.place;
    let (first, second) = (stage.bundle(ID, "1.0.0", None), stage.bundle(ID, "1.1.0", None));
    let plan = stage.deploy(&first, &["--plan"]).expect(0).json();
    assert_eq!(plan["steps"].as_array().map(Vec::len), Some(3), "{plan}");
    assert!(stage.listed().is_empty(), "a plan changes nothing");

    let done = stage.deploy(&first, &["--env", "GREETING=a secret of theirs"]).expect(0).json();
    assert_eq!((&done["version"], &done["changed"]), (&"1.0.0".into(), &true.into()));
    assert!(stage.answers(ID));
    let history =
        place.run(&["history", "1", "--json"]).stdout + &place.run(&["history", "2", "--json"]).stdout;
    assert!(!history.contains("a secret of theirs") && history.contains("app-files"), "{history}");
    let state = std::fs::read(place.root.join("state.db")).expect("a journal");
    assert!(!String::from_utf8_lossy(&state).contains("a secret of theirs"));
    let process = stage.process(ID);
    let again = stage.deploy(&first, &["--env", "GREETING=a secret of theirs"]).expect(0).json();
    assert_eq!((&again["changed"], stage.process(ID)), (&false.into(), process), "it goes on");

    assert_eq!(stage.deploy(&second, &[]).expect(0).json()["version"], "1.1.0");
    assert_eq!((stage.versions(), stage.answers(ID), stage.kept(ID)), (one(ID, "1.1.0"), true, 2));

    // Nothing of one app is touched by another.
    stage.deploy(&stage.bundle(OTHER, "2.0.0", None), &[]).expect(0);
    let (hello, other) = (stage.process(ID), stage.process(OTHER));
    assert!(hello.is_some() && other.is_some() && hello != other);
    let broken = stage.bundle(ID, "1.2.0", Some("#!/bin/sh\nexit 3\n"));
    let failed = stage.deploy(&broken, &[]).expect(5);
    assert!(failed.stderr.contains("com.example.hello 1.2.0 does not work"), "{}", failed.stderr);
    assert_eq!((stage.versions()[0].1.as_str(), stage.answers(ID), stage.kept(ID)), ("1.1.0", true, 2));
    assert_eq!(stage.process(OTHER), other);

    place.run(&["apps", "rollback", ID, "--to", "local", "--json"]).expect(0);
    assert_eq!((stage.versions()[0].1.as_str(), stage.answers(ID), stage.kept(ID)), ("1.0.0", true, 1));
    let nothing = place.run(&["apps", "rollback", ID, "--to", "local"]).expect(8);
    assert!(
        nothing.stderr.contains("there is no version of com.example.hello before 1.0.0"),
        "{}",
        nothing.stderr
    );

    let before = stage.process(ID);
    place.run(&["restart", &format!("app:{ID}")]).expect(0);
    assert!(stage.process(ID).is_some() && stage.process(ID) != before && stage.process(OTHER) == other);
    let status = place.run(&["status"]).expect(0).stdout;
    assert!(status.contains("App        com.example.hello 1.0.0: process "), "{status}");
    let logs = place.run(&["logs", "apps"]).expect(0).stdout;
    assert!(logs.contains("com.example.hello main ") && logs.contains("com.example.other main "), "{logs}");

    let no = place.run(&["apps", "undeploy", "com.example.helo", "--to", "local"]).expect(0);
    assert!(no.stdout.contains("Nothing of com.example.helo is deployed"), "{}", no.stdout);
    assert!(no.stdout.contains("Did you mean `com.example.hello`"), "{}", no.stdout);
    place.run(&["apps", "undeploy", ID, "--to", "local", "--yes"]).expect(0);
    assert!(!stage.app(ID).exists() && functions(&place.root, ID).is_empty());
    assert_eq!(
        (stage.versions(), stage.process(OTHER), stage.answers(OTHER)),
        (one(OTHER, "2.0.0"), other, true)
    );
}

#[test]
fn what_is_killed_comes_back_and_leaves_nothing() {
    let stage = Stage::new();
    let place = &stage.place;
    stage.deploy(&stage.bundle(ID, "1.0.0", None), &[]).expect(0);
    assert!(stage.answers(ID));

    // A function.
    let [function] = functions(&place.root, ID)[..] else { panic!("one function") };
    kill(function.into());
    assert!(stage.answers(ID));
    // The process that runs the functions.
    kill(stage.process(ID).expect("it runs"));
    eventually("the app is started again", || stage.answers(ID));
    assert!(place.run(&["history", "--json"]).expect(0).stdout.contains("app:com.example.hello"));
    // The agent, with everything.
    kill(place.status()["agent"]["agent_pid"].as_u64().expect("a process"));
    eventually("nothing is left", || processes_of(&place.root).is_empty());
    place.up(&[]).expect(0);
    eventually("the app runs again", || stage.answers(ID));

    place.run(&["down"]).expect(0);
    assert!(processes_of(&place.root).is_empty());
    let down = stage.deploy(&stage.bundle(ID, "1.1.0", None), &[]).expect(4);
    assert!(down.stderr.contains("mainstay up"), "{}", down.stderr);
    // What is deployed can be removed while it is down, and with a damaged record.
    std::fs::write(stage.app(ID).join("deployed.json"), "{").expect("written");
    place.run(&["apps", "undeploy", ID, "--to", "local", "--yes"]).expect(0);
    assert!(!stage.app(ID).exists());
    place.up(&[]).expect(0);
    assert!(stage.listed().is_empty());
}

#[test]
fn a_deployment_that_is_killed_anywhere_ends_with_the_old_version_or_the_new() {
    let stage = Stage::new();
    let place = &stage.place;
    stage.deploy(&stage.bundle(ID, "1.0.0", None), &[]).expect(0);
    let next = stage.bundle(ID, "1.1.0", None);
    let old = |what: &str| {
        assert_eq!(
            (stage.versions(), stage.answers(ID), stage.kept(ID)),
            (one(ID, "1.0.0"), true, 1),
            "{what}"
        );
    };
    for step in ["app-files", "apps", "app-record"] {
        for moment in ["before", "after"] {
            let at = format!("{step}:{moment}");
            stage.deploy(&next, &["--inject-kill", &at]).expect(-9);
            place.up(&[]).expect(0);
            old(&at);
        }
        let undone = stage.deploy(&next, &["--inject-failure", &format!("{step}:after")]);
        assert_eq!(undone.code, 6, "{}", undone.stderr);
        old(step);
        let args = ["--inject-failure", "app-record:after", "--inject-kill", &format!("{step}:undo")];
        stage.deploy(&next, &args).expect(-9);
        place.up(&[]).expect(0);
        old(&format!("{step}:undo"));
    }
    // The next deployment goes on from a killed one by itself.
    stage.deploy(&next, &["--inject-kill", "apps:after"]).expect(-9);
    stage.deploy(&next, &[]).expect(0);
    assert_eq!((stage.versions(), stage.answers(ID)), (one(ID, "1.1.0"), true));
    place.run(&["apps", "rollback", ID, "--to", "local", "--inject-kill", "apps:after"]).expect(-9);
    place.up(&[]).expect(0);
    assert_eq!((stage.versions(), stage.answers(ID)), (one(ID, "1.0.0"), true), "a rollback goes on");
    // Run again it is the same rollback, not a second one; a deployment that is taken back is one, too.
    let rollback = ["apps", "rollback", ID, "--to", "local", "--json"];
    for version in ["1.1.0", "1.2.0"] {
        stage.deploy(&stage.bundle(ID, version, None), &[]).expect(0);
    }
    for step in ["apps:before", "app-record:before", "app-record:after"] {
        place.run(&[&rollback[..], &["--inject-kill", step]].concat()).expect(-9);
        let again = place.run(&rollback).expect(0).json();
        assert_eq!((&again["version"], &again["changed"]), (&"1.1.0".into(), &true.into()), "{step}");
        assert_eq!(stage.versions(), one(ID, "1.1.0"), "{step}");
        stage.deploy(&stage.bundle(ID, "1.2.0", None), &["--inject-kill", step]).expect(-9);
        // What is recorded is not what runs: whoever looks is told.
        let list = place.run(&["apps", "list", "--to", "local"]).expect(0);
        assert!(list.stderr.contains("did not end; `mainstay up` takes it back"), "{}", list.stderr);
        let status = place.run(&["status"]).expect(0).stdout;
        assert!(status.contains("did not end; `mainstay up` takes it back"), "{status}");
        place.run(&rollback).expect(0);
        assert_eq!((stage.versions(), stage.answers(ID)), (one(ID, "1.1.0"), true), "{step}");
        stage.deploy(&stage.bundle(ID, "1.2.0", None), &[]).expect(0);
    }
    for step in ["stop-apps:before", "stop-apps:after", "app-removal:before", "app-removal:after"] {
        let undeploy = ["apps", "undeploy", ID, "--to", "local", "--yes"];
        place.run(&[&undeploy[..], &["--inject-kill", step]].concat()).expect(-9);
        place.run(&undeploy);
        assert!(!stage.app(ID).exists() && stage.listed().is_empty(), "{step}");
        assert!(functions(&place.root, ID).is_empty(), "{step}");
        stage.deploy(&stage.bundle(ID, "1.0.0", None), &[]).expect(0);
    }
}

#[test]
fn what_cannot_run_here_is_refused_before_anything_is_changed() {
    let stage = Stage::new();
    let bundle = stage.bundle(ID, "1.0.0", None);
    for (flags, exit, says) in [
        (&["--region", "eu-central-1"][..], 2, "`--region` is for apps on AWS"),
        (&["--role", "x"], 2, "`--role` is for apps on AWS"),
        (&["--listen", "0.0.0.0:8090"], 8, "--from"),
        (&["--listen", "127.0.0.1:0"], 2, "name a port"),
        (&["--memory", "1"], 2, "`--memory` is 1; allowed: 32 to 10240"),
        (&["--env", "LD_PRELOAD=x"], 2, "LD_"),
    ] {
        let refused = stage.deploy(&bundle, flags).expect(exit);
        assert!(refused.stderr.contains(says), "{flags:?}: {}", refused.stderr);
    }
    let on_aws = stage.place.run(&["apps", "deploy", &bundle, "--listen", "127.0.0.1:8090"]).expect(2);
    assert!(on_aws.stderr.contains("`--listen` is for apps on this machine"), "{}", on_aws.stderr);
    // A port that another program has.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let listen = taken.local_addr().expect("an address").to_string();
    let refused = stage.deploy(&bundle, &["--listen", &listen]).expect(4);
    assert!(refused.stderr.contains("is taken by"), "{}", refused.stderr);
    assert!(stage.listed().is_empty() && !stage.place.root.join("apps").exists());
    // Nothing of an app stays whose first deployment fails, but what it printed.
    let broken = stage.bundle(ID, "0.9.0", Some("#!/bin/sh\necho I cannot work; exit 3\n"));
    let failed = stage.deploy(&broken, &[]).expect(5);
    assert!(failed.stderr.contains("everything is as before"), "{}", failed.stderr);
    assert!(stage.listed().is_empty() && !stage.place.root.join("apps").exists());
    let logs = stage.place.run(&["apps", "logs", ID]).expect(0).stdout;
    assert!(logs.contains("I cannot work"), "{logs}");
    let nowhere = Place::new();
    let none = nowhere.run(&["apps", "deploy", &bundle, "--to", "local"]).expect(4);
    assert!(none.stderr.contains("mainstay up"), "{}", none.stderr);
    assert!(!Path::new(&nowhere.root).exists());
}

#[test]
fn an_app_that_does_not_work_is_told_wherever_somebody_looks() {
    let stage = Stage::new();
    let place = &stage.place;
    stage.deploy(&stage.bundle(ID, "1.0.0", None), &[]).expect(0);
    place.run(&["status", "--check"]).expect(0);
    // Its bundle is damaged afterwards, so it ends whenever it is started.
    let deployed = std::fs::read_dir(stage.app(ID).join("deployed")).expect("a directory");
    let deployed = deployed.flatten().next().expect("a version").path();
    std::fs::write(deployed.join("bundle.zip"), "no zip").expect("written");
    kill(stage.process(ID).expect("it runs"));
    eventually("it is told", || place.run(&["status", "--check"]).code == 4);
    let status = place.run(&["status"]).expect(0).stdout;
    assert!(status.contains("degraded: the app com.example.hello 1.0.0 does not run: it "), "{status}");
    assert!(status.contains("`mainstay apps logs com.example.hello` has why"), "{status}");
    place.run(&["status", "--check", "--without-apps"]).expect(0);
    let up = place.up(&[]).expect(0);
    assert!(up.stderr.contains("warning: the app com.example.hello 1.0.0 "), "{}", up.stderr);
    let call = place.run(&["apps", "call", ID, "/ping"]).expect(4);
    assert!(call.stderr.contains("is deployed here, and does not run now"), "{}", call.stderr);
    assert!(call.stderr.contains("mainstay apps list --to local"), "{}", call.stderr);
    let list = place.run(&["apps", "list", "--to", "local"]).expect(0).stdout;
    assert!(list.contains("does not run: it ") || list.contains("keeps ending: it "), "{list}");
}

#[test]
fn an_app_is_not_replaced_by_another_of_the_same_id_unasked() {
    let stage = Stage::new();
    stage.deploy(&stage.bundle(ID, "1.0.0", None), &[]).expect(0);
    let other = stage.bundle(ID, "2.0.0", None);
    let script = "import sys, zipfile\n\
                  old, new = zipfile.ZipFile(sys.argv[1]), zipfile.ZipFile(sys.argv[2], 'w')\n\
                  for entry in old.infolist():\n    \
                  data = old.read(entry)\n    \
                  new.writestr(entry, data.replace(b'https://example.com', b'https://example.org'))\n\
                  new.close()\n";
    let changed = format!("{other}.other.zip");
    let made = Command::new("python3").args(["-c", script, &other, &changed]).status();
    assert!(made.expect("python3 runs").success());
    let plan = stage.deploy(&changed, &["--plan"]).expect(0).stdout;
    assert!(plan.contains("in place of another app of this id"), "{plan}");
    let refused = stage.deploy(&changed, &[]).expect(2);
    assert!(
        refused.stderr.contains("another app of this id") && refused.stderr.contains("--yes"),
        "{}",
        refused.stderr
    );
    assert_eq!(stage.versions(), one(ID, "1.0.0"));
    stage.deploy(&changed, &["--yes"]).expect(0);
    assert_eq!(stage.versions(), one(ID, "2.0.0"));
}

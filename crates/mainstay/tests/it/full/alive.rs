//! Alive means that it answers, and `down` stops whatever there is.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use host::leftover::PidFile;
use serde_json::Value;

use crate::place::{Place, Ran, eventually, is_root, processes_of};

fn signal(name: &str, pid: u64) {
    assert!(Command::new("kill").args([name, &pid.to_string()]).status().expect("kill").success());
}

fn agent_pid(place: &Place) -> u64 {
    place.status()["agent"]["agent_pid"].as_u64().expect("an agent")
}

fn server_pid(place: &Place) -> Option<u64> {
    place.status()["agent"]["server"]["pid"].as_u64()
}

/// Waits at most a minute.
fn within_a_minute(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// The head of what the edge answers, within 15 s.
fn ask(place: &Place) -> String {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", place.port)) else { return String::new() };
    stream.set_read_timeout(Some(Duration::from_secs(15))).expect("a timeout");
    let _ =
        stream.write_all(b"GET /api/v4/users/me HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let mut answer = Vec::new();
    let _ = stream.take(4096).read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn assert_stopped(place: &Place) {
    eventually("no process is left", || processes_of(&place.root).is_empty());
    assert!(TcpStream::connect(("127.0.0.1", place.port)).is_err(), "the edge is still open");
}

#[test]
fn a_server_that_answers_nothing_is_replaced_and_the_edge_says_so_meanwhile() {
    let place = Place::new();
    place.up(&[]).expect(0);
    let first = server_pid(&place).expect("a server");
    signal("-STOP", first);
    within_a_minute("the edge says that the server is silent", || {
        let answer = ask(&place).to_lowercase();
        answer.starts_with("http/1.1 503") && answer.contains("retry-after: 10")
    });
    within_a_minute("another process answers", || {
        server_pid(&place).is_some_and(|pid| pid != first) && place.status()["up"] == true
    });
    within_a_minute("the edge lets requests through", || ask(&place).starts_with("HTTP/1.1 401"));
    let server = &place.status()["agent"]["server"];
    assert_eq!(server["restarts"], 1);
    let why = server["last_restart"]["why"].as_str().expect("a reason");
    assert!(why.contains("it answered nothing for"), "{why}");
    let shown = place.run(&["status"]).expect(0).stdout;
    assert!(shown.contains("last restart") && shown.contains(why), "{shown}");
    let history = place.run(&["history"]).expect(0).stdout;
    let first = history.lines().next().unwrap_or_default();
    assert!(
        first.contains(
            "restarted   agent: the server, because it was ended by Mainstay: it answered nothing for"
        ),
        "{history}"
    );
    let log = fs::read_to_string(place.root.join("logs/server.log")).expect("a log");
    assert!(log.contains("mainstay: ending the program: it answered nothing for"), "{log}");
    place.run(&["status", "--check"]).expect(0);
}

#[test]
fn a_server_that_the_edge_calls_silent_is_replaced_by_a_restart() {
    let place = Place::new();
    place.up(&[]).expect(0);
    signal("-STOP", server_pid(&place).expect("a server"));
    within_a_minute("the edge says that the server is silent", || ask(&place).starts_with("HTTP/1.1 503"));
    place.run(&["restart"]).expect(0);
    place.run(&["status", "--check"]).expect(0);
}

/// Puts `text` in place of the value of a key in config.json, and returns the file as it was.
fn edit(place: &Place, key: &str, text: &str) -> String {
    let path = place.root.join("config/config.json");
    let old = fs::read_to_string(&path).expect("config.json");
    let change = |line: &str| match line.trim_start().starts_with(&format!("\"{key}\":")) {
        true => format!("\"{key}\": {text}{}", if line.ends_with(',') { "," } else { "" }),
        false => line.to_owned(),
    };
    fs::write(&path, old.lines().map(change).collect::<Vec<_>>().join("\n")).expect("written");
    old
}

#[test]
fn what_the_server_cannot_read_is_found_before_it_is_stopped() {
    let place = Place::new();
    place.up(&[]).expect(0);
    let pid = server_pid(&place);
    let path = place.root.join("config/config.json");
    for (key, value) in [
        ("EnableUserCreation", "\"yes\""),
        ("MaxUsersPerTeam", "\"many\""),
        ("TeamSettings", "5, \"Rest\": {"),
    ] {
        let old = edit(&place, key, value);
        for args in [&["restart"][..], &["settings", "secrets", "rotate", "--yes", "link_salt"]] {
            let ran = place.run(args).expect(3);
            assert!(ran.stderr.contains(key) && ran.stderr.contains("config.json:"), "{}", ran.stderr);
        }
        let ran = place.up(&["--site-url", "http://chat.example.com"]).expect(3);
        assert!(ran.stderr.contains(key) && ran.stderr.contains("config.json:"), "{}", ran.stderr);
        assert_eq!(server_pid(&place), pid, "{key}: the server was stopped");
        fs::write(&path, old).expect("written");
    }
    place.run(&["restart"]).expect(0);
}

/// Puts a script in place of the server's program, or the program back. The server has its old one until it starts again.
fn server_program(place: &Place, script: Option<&str>) -> PathBuf {
    let program = fs::canonicalize(place.root.join("current")).expect("a release").join("bin/mattermost");
    let (dir, aside) = (program.parent().expect("a directory"), place.root.join("run/mattermost"));
    let mode =
        |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
    mode(dir, 0o755);
    match script {
        Some(script) => {
            fs::rename(&program, &aside).expect("moved");
            fs::write(&program, script).expect("written");
            mode(&program, 0o755);
        }
        None => fs::rename(&aside, &program).expect("moved back"),
    }
    program
}

#[test]
fn a_retry_after_the_correction_succeeds_at_once() {
    let place = Place::new();
    place.up(&[]).expect(0);
    let program = server_program(&place, Some("#!/bin/sh\necho 'no such horse'; exit 3\n"));
    let failed = place.run(&["restart"]).expect(7);
    assert!(failed.stderr.contains("no such horse"), "{}", failed.stderr);
    assert!(failed.stderr.contains("then run the same command"), "{}", failed.stderr);
    let shown = place.run(&["status"]).expect(0).stdout;
    assert!(shown.contains("needs you: run 2, `restart`"), "{shown}");
    place.run(&["status", "--check"]).expect(7);
    // By now the supervisor waits long between its attempts.
    std::thread::sleep(Duration::from_secs(8));
    server_program(&place, None);
    assert!(program.exists());
    let began = Instant::now();
    place.run(&["restart"]).expect(0);
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    place.run(&["status", "--check"]).expect(0);
}

#[test]
fn down_stops_whatever_there_is() {
    type Harm = fn(&Place);
    let cases: [(&str, Harm); 6] = [
        ("a damaged journal", |place| {
            fs::write(place.root.join("state.db"), "not a database").expect("written");
        }),
        ("a damaged mainstay.toml", |place| {
            fs::write(place.root.join("mainstay.toml"), "listen = [\nformat = 9").expect("written");
        }),
        ("a damaged secrets.toml", |place| {
            fs::write(place.root.join("secrets.toml"), "=").expect("written");
        }),
        ("a run that needs somebody", |place| {
            place
                .run(&["restart", "--inject-failure", "server:after", "--inject-failure", "stop-server:undo"])
                .expect(7);
        }),
        ("a stopped agent", |place| signal("-STOP", agent_pid(place))),
        ("a stopped server", |place| signal("-STOP", server_pid(place).expect("a server"))),
    ];
    for (case, harm) in cases {
        let place = Place::new();
        place.up(&[]).expect(0);
        harm(&place);
        let down = place.run(&["down"]);
        assert_eq!(down.code, 0, "{case}: {}", down.stderr);
        assert!(down.stdout.contains("Stopped"), "{case}: {}", down.stdout);
        assert_stopped(&place);
        place.run(&["down"]).expect(0);
    }
}

#[test]
fn down_after_an_interrupted_installation_stops_and_the_next_up_goes_on() {
    let place = Place::new();
    place.up(&["--inject-kill", "acceptance:before"]).expect(-9);
    let shown = place.run(&["status"]).expect(0).stdout;
    assert!(shown.starts_with("State      interrupted: run 1, `up`"), "{shown}");
    let down = place.run(&["down"]).expect(0);
    assert!(down.stderr.contains("run 1, `up`, was interrupted"), "{}", down.stderr);
    assert_stopped(&place);
    let up = place.up(&[]).expect(0);
    assert!(up.stdout.contains("run 1 of ") && up.stdout.contains("is finished"), "{}", up.stdout);
    assert!(up.stdout.contains("Administrator  admin"), "{}", up.stdout);
}

#[test]
fn an_operation_whose_process_is_stopped_is_named_and_ended_by_down() {
    let place = Place::new();
    let mut up = place.command(&["up"]);
    let mut up =
        up.args(&place.up_args()[1..]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("up");
    eventually("it unpacks", || place.root.join("releases").exists());
    signal("-STOP", up.id().into());
    let refused = place.run(&["down"]).expect(9).stderr;
    let pid = up.id().to_string();
    for says in ["`up` by", &pid, "since", "Its process is stopped", "`mainstay down --yes`", "kill -CONT"] {
        assert!(refused.contains(says), "{says}: {refused}");
    }
    let shown = place.run(&["status"]).expect(0).stdout;
    assert!(shown.contains("busy: `up`") && shown.contains("`mainstay down --yes` ends it"), "{shown}");
    let down = place.run(&["down", "--yes"]).expect(0);
    assert!(up.wait().expect("ended").code().is_none(), "it was not ended: {}", down.stderr);
    assert_stopped(&place);
    let up = place.up(&[]).expect(0);
    assert!(up.stdout.contains("which was interrupted, is finished"), "{}", up.stdout);
    place.run(&["status", "--check"]).expect(0);
}

#[test]
fn an_interrupted_test_leaves_the_last_result_as_it_was() {
    let place = Place::new();
    place.up(&[]).expect(0);
    let before = fs::read(place.root.join("run/verified.json")).expect("a report");
    for name in ["-INT", "-TERM"] {
        let mut verify = place.command(&["verify", "--idle", "60"]);
        let mut verify = verify.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
        let mut first = [0];
        verify.stdout.as_mut().expect("stdout").read_exact(&mut first).expect("a check has ended");
        signal(name, verify.id().into());
        let ran: Ran = verify.wait_with_output().expect("ended").into();
        let ran = ran.expect(5);
        assert!(ran.stderr.contains("the result of the last one still counts"), "{}", ran.stderr);
        assert_eq!(fs::read(place.root.join("run/verified.json")).expect("a report"), before);
    }
    place.run(&["status", "--check"]).expect(0);
}

#[test]
fn down_ends_a_server_whose_agent_is_gone() {
    let place = Place::new();
    place.up(&[]).expect(0);
    place.run(&["down"]).expect(0);
    let mut left = Command::new("sleep").arg("600").spawn().expect("a process");
    // A group of its own, as the agent gives one.
    let mut own = Command::new("setsid").args(["sleep", "601"]).spawn().expect("a process");
    eventually("it leads its session", || {
        fs::read(format!("/proc/{}/cmdline", own.id())).is_ok_and(|line| line.starts_with(b"sleep"))
    });
    PidFile::of(own.id()).expect("it lives").write(&place.root.join("run/server.pid")).expect("written");
    assert!(place.run(&["down"]).expect(0).stdout.contains("Stopped"));
    eventually("it has ended", || own.try_wait().expect("waited").is_some());
    assert!(left.try_wait().expect("waited").is_none(), "a stranger was ended");
    left.kill().expect("ended");
    left.wait().expect("waited");
}

#[test]
fn a_stuck_run_is_in_no_uninstalls_way() {
    let place = Place::new();
    place.up(&[]).expect(0);
    // Its undo starts the server, which fails as often as it is tried.
    server_program(&place, Some("#!/bin/sh\nexit 3\n"));
    place.run(&["restart"]).expect(7);
    place.run(&["uninstall", "--yes"]).expect(0);
    assert_stopped(&place);
    assert_eq!(place.names(), Vec::<String>::new());
}

#[test]
fn status_always_answers_with_a_cause_and_a_next_command() {
    let place = Place::new();
    place.up(&[]).expect(0);
    let says = |words: &[&str]| {
        let shown = place.run(&["status"]).expect(0).stdout;
        assert!(words.iter().all(|word| shown.contains(word)), "{words:?}: {shown}");
        place.run(&["status", "--json"]).expect(0).json();
    };
    let (toml, db) = (place.root.join("mainstay.toml"), place.root.join("state.db"));
    let old = fs::read_to_string(&toml).expect("a file");
    for typo in ["listen = 5\n", "format = 2\n", "lisen = \"127.0.0.1:1\"\n", "[\n"] {
        fs::write(&toml, typo).expect("written");
        says(&[
            "needs you: it runs",
            "`mainstay up` would be refused",
            "mainstay.toml:1",
            "Address    http://localhost",
        ]);
    }
    fs::write(&toml, old).expect("written");
    let journal = fs::read(&db).expect("a journal");
    fs::write(&db, "damaged").expect("written");
    says(&["State      needs you: it runs", "Journal", "damaged", "mainstay up --yes"]);
    fs::write(&db, journal).expect("written");
    if is_root() {
        // Somebody else looks: neither the socket nor the journal is theirs.
        let mut stranger = Command::new("setpriv");
        stranger.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        let copy = place.root.parent().expect("above").join("mainstay");
        fs::copy(crate::place::MAINSTAY, &copy).expect("copied");
        let ran: Ran = stranger
            .arg(&copy)
            .args(["--dir", &place.root.to_string_lossy(), "status"])
            .output()
            .expect("setpriv")
            .into();
        let shown = ran.expect(0).stdout;
        assert!(
            shown.contains("not known") && shown.contains("belongs to root, and nobody may not read it"),
            "{shown}"
        );
        let asked = format!("`sudo mainstay --dir {} status`", place.root.display());
        assert!(shown.contains(&asked), "{shown}");
        for command in ["up", "down", "restart", "uninstall", "history", "logs", "verify"] {
            let mut stranger = Command::new("setpriv");
            stranger.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
            let ran: Ran = stranger
                .arg(&copy)
                .args(["--dir", &place.root.to_string_lossy(), command])
                .output()
                .expect("setpriv")
                .into();
            let said = ran.expect(4).stderr;
            assert!(said.contains("belongs to root, and nobody may not read it"), "{command}: {said}");
            assert!(
                said.contains(&format!("sudo mainstay --dir {} {command}", place.root.display())),
                "{said}"
            );
        }
    }
    let agent = agent_pid(&place);
    signal("-STOP", agent);
    says(&["not known: the agent did not answer", "`mainstay down` ends it"]);
    signal("-CONT", agent);
}

#[test]
fn what_is_printed_is_complete_or_the_command_fails() {
    let place = Place::new();
    place.up(&["--inject-failure", "acceptance:before"]).expect(6);
    for args in [&["history"][..], &["history", "--json"], &["status"]] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
        let ran: Ran = place.command(args).stdout(full).output().expect("it runs").into();
        let ran = ran.expect(4);
        assert!(ran.stderr.contains("cannot write to stdout"), "{}", ran.stderr);
    }
    let forged = place.run(&["down", "--why", "fine\n   9  2026-01-01  done  root: nothing"]).expect(2);
    assert!(forged.stderr.contains("text of one line"), "{}", forged.stderr);
}

/// Answers the question of `uninstall` on a terminal.
fn answered(place: &Place, answer: &str) -> (i32, String) {
    // `exec`: a shell between would be ended by the same Ctrl-C, and its code be the one that is seen.
    let line = format!("exec {} uninstall", crate::place::MAINSTAY);
    let mut script = Command::new("script")
        .args(["-qfec", &line, "/dev/null"])
        .env("MAINSTAY_DIR", &place.root)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script");
    let mut shown = String::new();
    let (mut terminal, mut keyboard) =
        (script.stdout.take().expect("stdout"), script.stdin.take().expect("stdin"));
    let mut buffer = [0; 1024];
    while !shown.contains("[y/N]") {
        let read = terminal.read(&mut buffer).expect("read");
        assert!(read > 0, "{shown}");
        shown.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    keyboard.write_all(answer.as_bytes()).expect("typed");
    let deadline = Instant::now() + Duration::from_secs(20);
    let code = loop {
        if let Some(status) = script.try_wait().expect("waited") {
            break status.code().unwrap_or(-1);
        }
        if Instant::now() > deadline {
            let _ = script.kill();
            panic!("the question takes no {answer:?}: {shown}");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    drop(keyboard);
    let _ = terminal.read_to_string(&mut shown);
    (code, shown)
}

#[test]
fn a_question_takes_ctrl_c() {
    let place = Place::new();
    place.up(&[]).expect(0);
    let (code, shown) = answered(&place, "\u{3}");
    assert_eq!(code, 2, "{shown}");
    assert!(shown.contains("nothing has been changed"), "{shown}");
    let (code, shown) = answered(&place, "n\n");
    assert_eq!(code, 0, "{shown}");
    assert_eq!(place.status()["up"], Value::Bool(true));
}

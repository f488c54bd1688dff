//! Two programs of different versions and one deployment: the agent becomes the newer one, and the server does not notice.
//! The newer program is the static build of `cargo xtask test`.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::docker::static_mainstay;
use crate::place::{Place, Ran, eventually, processes_of};

/// A deployment, and the program of the next version.
struct Two {
    place: Place,
    newer: PathBuf,
    /// The newer program's version.
    version: String,
}

impl Two {
    /// A deployment that the older program has brought up.
    fn up() -> Self {
        let (place, newer) = (Place::new(), static_mainstay());
        let told = Command::new(&newer).arg("--version").output().expect("it runs").stdout;
        let version = String::from_utf8_lossy(&told).trim().trim_start_matches("mainstay ").to_owned();
        assert_ne!(version, env!("CARGO_PKG_VERSION"), "both programs have the same version");
        place.up(&[]).expect(0);
        Self { place, newer, version }
    }

    fn newer_command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.newer);
        command.args(args).env("MAINSTAY_DIR", &self.place.root).env_remove("RUST_BACKTRACE");
        command
    }

    fn newer(&self, args: &[&str]) -> Ran {
        self.newer_command(args).output().expect("it runs").into()
    }

    fn newer_up(&self, more: &[&str]) -> Ran {
        let args = self.place.up_args();
        let args: Vec<&str> = args.iter().map(String::as_str).chain(more.iter().copied()).collect();
        self.newer(&args)
    }

    /// Asks the agent one line, as an operation does.
    fn ask(&self, ask: &Value) -> String {
        let mut stream = UnixStream::connect(self.place.root.join("run/agent.sock")).expect("an agent");
        stream.write_all(format!("{ask}\n").as_bytes()).expect("asked");
        let mut answer = String::new();
        // An agent that dies hangs up without a word.
        let _ = stream.read_to_string(&mut answer);
        answer
    }
}

/// A process, told apart from a later one with the same id.
fn identity(status: &Value) -> (u64, String) {
    let pid = status["agent"]["server"]["pid"].as_u64().expect("a server");
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
    let started = stat.rsplit_once(')').expect("a name").1.split_whitespace().nth(19).expect("a start");
    (pid, started.to_owned())
}

fn lives(pid: u64) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// Asks for a page again and again, each time on a new connection.
struct Poll {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(u32, Duration)>,
}

impl Poll {
    fn begin(address: Address) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let (mut polls, mut longest) = (0, Duration::ZERO);
            while !stopped.load(Ordering::Relaxed) {
                let began = Instant::now();
                ping(&address).unwrap_or_else(|error| panic!("poll {polls} of {address:?}: {error}"));
                longest = longest.max(began.elapsed());
                polls += 1;
                thread::sleep(Duration::from_millis(2));
            }
            (polls, longest)
        });
        Self { stop, thread }
    }

    /// How many polls there were, none of which failed, and how long the longest took.
    fn end(self) -> (u32, Duration) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("no poll failed")
    }
}

fn ping(address: &Address) -> std::io::Result<()> {
    let timeout = Some(Duration::from_secs(20));
    match address {
        Address::Port(address) => {
            let stream = TcpStream::connect(address)?;
            stream.set_read_timeout(timeout)?;
            ask(stream)
        }
        Address::Socket(path) => {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(timeout)?;
            ask(stream)
        }
    }
}

fn ask(mut stream: impl Read + Write) -> std::io::Result<()> {
    stream.write_all(b"GET /api/v4/system/ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if answer.starts_with("HTTP/1.1 200") { Ok(()) } else { Err(std::io::Error::other(answer)) }
}

/// Where something listens.
#[derive(Debug)]
enum Address {
    Port(SocketAddr),
    Socket(PathBuf),
}

fn port(text: &Value) -> Address {
    Address::Port(text.as_str().expect("an address").parse().expect("an address"))
}

#[test]
fn a_newer_up_replaces_the_agent_while_the_server_goes_on() {
    let two = Two::up();
    let before = two.place.status();
    assert_eq!(before["agent"]["version"], env!("CARGO_PKG_VERSION"));
    let server = Poll::begin(Address::Socket(
        before["agent"]["server"]["spec"]["socket"].as_str().expect("a socket").into(),
    ));
    let edge = Poll::begin(port(&before["agent"]["edge"]["listen"]));
    let planned = two.newer_up(&["--plan", "--json"]).expect(0).json();
    assert_eq!(planned["steps"][0]["name"], "hand-over", "{planned}");
    let up = two.newer_up(&["--json"]).expect(0).json();
    assert_eq!(up["changed"], true, "{up}");
    let after = two.newer(&["status", "--json"]).expect(0).json();
    let ((server_polls, _), (edge_polls, longest)) = (server.end(), edge.end());
    assert!(server_polls > 20 && edge_polls > 20, "{server_polls} and {edge_polls} polls prove nothing");
    assert!(longest < Duration::from_secs(5), "a request waited {longest:?}");

    assert_eq!(after["agent"]["version"], *two.version);
    assert_eq!(after["agent"]["agent_pid"], before["agent"]["agent_pid"], "the same process");
    assert_eq!(identity(&after), identity(&before), "the same server, never restarted");
    assert_eq!(after["agent"]["server"]["restarts"], 0);
    assert_eq!(after["up"], true, "{after}");
    assert_eq!(two.newer_up(&["--json"]).expect(0).json()["changed"], false, "nothing is left to do");

    // The new program watches the server that it did not start: it writes its end to the log, and starts it again.
    Command::new("kill").args(["-9", &identity_pid(&after).to_string()]).status().expect("kill runs");
    eventually("the server is started again", || {
        let status = two.newer(&["status", "--json"]).expect(0).json();
        status["agent"]["server"]["restarts"] == 1 && status["up"] == true
    });
    let log = std::fs::read_to_string(two.place.root.join("logs/server.log")).expect("a log");
    assert!(log.contains("mainstay: the program was ended by signal 9"), "{log}");
    two.newer(&["down"]).expect(0);
    assert!(processes_of(&two.place.root).is_empty());
}

#[test]
fn a_killed_newer_agent_takes_the_server_down() {
    let two = Two::up();
    let (server, _) = identity(&two.place.status());
    two.newer_up(&[]).expect(0);
    let agent = two.newer(&["status", "--json"]).expect(0).json()["agent"]["agent_pid"].to_string();
    Command::new("kill").args(["-9", &agent]).status().expect("kill runs");
    eventually("the server dies with it", || !lives(server));
    eventually("no address stays taken", || TcpStream::connect(("127.0.0.1", two.place.port)).is_err());
    two.newer_up(&[]).expect(0);
    two.newer(&["down"]).expect(0);
}

#[test]
fn an_older_program_looks_at_a_newer_agent_and_changes_nothing() {
    let two = Two::up();
    two.newer_up(&[]).expect(0);
    let before = two.newer(&["status", "--json"]).expect(0).json();
    assert_eq!(two.place.status()["agent"]["version"], *two.version);
    two.place.run(&["logs", "server"]).expect(0);
    let ours = two.place.up_args();
    let up: Vec<&str> = ours.iter().map(String::as_str).collect();
    for refused in [&up[..], &["restart"], &["restart", "agent"], &["down"], &["uninstall", "--yes"]] {
        let ran = two.place.run(refused).expect(8);
        let (what, hint) = ran.stderr.split_once("hint:").expect("a hint");
        assert!(what.contains(&two.version) && what.contains(env!("CARGO_PKG_VERSION")), "{what}");
        assert!(hint.contains(&two.version), "{hint}");
    }
    let after = two.newer(&["status", "--json"]).expect(0).json();
    assert_eq!(identity(&after), identity(&before));
    two.newer(&["down"]).expect(0);
}

#[test]
fn an_agent_killed_while_it_hands_over_is_replaced_with_all_that_ran() {
    let two = Two::up();
    let before = two.place.status();
    // A request that does not end keeps the edge draining.
    let mut open = TcpStream::connect(("127.0.0.1", two.place.port)).expect("the edge");
    open.write_all(b"POST /api/v4/users/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n{")
        .expect("the beginning of a request");
    eventually("the request is at the edge", || {
        two.place.status()["agent"]["edge"]["connections"].as_u64().is_some_and(|open| open > 0)
    });
    let args = two.place.up_args();
    let args: Vec<&str> = args.iter().map(String::as_str).chain(["--json"]).collect();
    let up = two
        .newer_command(&args)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("it runs");
    let log = two.place.root.join("logs/agent.log");
    eventually("it was asked", || std::fs::read_to_string(&log).is_ok_and(|log| log.contains("HandOver")));
    Command::new("kill").args(["-9", &before["agent"]["agent_pid"].to_string()]).status().expect("kill runs");
    let ran: Ran = up.wait_with_output().expect("it ends").into();
    ran.expect(0);
    let after = two.newer(&["status", "--json"]).expect(0).json();
    assert_eq!((&after["up"], &after["agent"]["version"]), (&true.into(), &(*two.version).into()), "{after}");
    assert_ne!(after["agent"]["server"]["pid"], before["agent"]["server"]["pid"]);
    two.newer(&["down"]).expect(0);
    assert!(processes_of(&two.place.root).is_empty());
}

#[test]
fn a_program_that_cannot_go_on_changes_nothing_or_ends_everything() {
    let two = Two::up();
    let before = two.place.status();
    // What is not there, what is no program, what is another program, and what is older.
    let script = |name: &str, text: &str| {
        let path = two.place.root.join("run").join(name);
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .expect("executable");
        path.display().to_string()
    };
    let (broken, older) = (script("broken", "\x7fELF"), script("older", "#!/bin/sh\necho mainstay 0.0.9\n"));
    for (program, exit, why) in [
        ("/nowhere/mainstay", 4, "/nowhere/mainstay"),
        (&*broken, 4, "run/broken"),
        ("/bin/true", 4, "it is not a Mainstay"),
        (&*older, 8, "0.0.9 is older"),
    ] {
        let answer = two.ask(&serde_json::json!({"ask": "hand-over", "program": program}));
        let refused: Value = serde_json::from_str(&answer).expect("an answer");
        assert_eq!(refused["refused"]["exit"], exit, "{refused}");
        assert!(refused["refused"]["what"].as_str().is_some_and(|what| what.contains(why)), "{refused}");
        assert_eq!(identity(&two.place.status()), identity(&before), "{program}");
        ping(&port(&before["agent"]["edge"]["listen"])).expect("the edge answers as before");
    }
    // What begins and does not go on: it ends, and everything with it.
    let ends = script(
        "ends",
        "#!/bin/sh
[ \"$1\" = --version ] && echo mainstay 99.0.0
",
    );
    assert_eq!(two.ask(&serde_json::json!({"ask": "hand-over", "program": ends})), "");
    eventually("the server dies with it", || !lives(identity_pid(&before)));
    assert_eq!(two.place.status()["agent"], Value::Null);
    two.place.up(&[]).expect(0);
    two.place.run(&["down"]).expect(0);
}

fn identity_pid(status: &Value) -> u64 {
    status["agent"]["server"]["pid"].as_u64().expect("a server")
}

//! up, status, logs, verify, down, again, uninstall.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::place::{Place, Ran, eventually, is_root, processes_of};

#[test]
fn from_an_empty_directory_to_verified_and_back() {
    let place = Place::new();
    let up = place.up(&["--json"]).expect(0);
    let summary = up.json();
    assert_eq!(summary["changed"], true);
    assert_eq!(summary["url"], place.url());
    assert_eq!(summary["administrator"], "admin");
    assert!(summary["verified_at"].is_i64(), "{summary}");
    let events: Vec<serde_json::Value> =
        up.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(events[0]["type"], "run-started");
    assert!(events.iter().any(|event| event["type"] == "step-succeeded" && event["step"] == "acceptance"));
    for text in [&up.stdout, &up.stderr] {
        assert!(!text.contains(&place.password()), "the password was printed");
    }

    let again = place.up(&["--json"]).expect(0).json();
    assert_eq!(again["changed"], false, "a second up changes nothing");
    let bare = place.run(&["up"]).expect(0);
    assert!(bare.stdout.contains("nothing had to be changed"), "{}", bare.stdout);

    let status = place.status();
    assert_eq!(status["up"], true, "{status}");
    assert!(
        place.run(&["logs", "server", "--json"]).expect(0).stdout.contains("{"),
        "the server keeps a log"
    );
    assert!(place.run(&["logs", "agent"]).expect(0).stdout.contains("the edge is open"));
    let verified = place.run(&["verify", "--json"]).expect(0).json();
    assert_eq!(verified["passed"], true, "{verified}");

    place.run(&["down"]).expect(0);
    assert_eq!(place.status()["up"], false);
    eventually("no process is left", || processes_of(&place.root).is_empty());
    assert!(place.run(&["down"]).expect(0).stdout.contains("Nothing runs"), "a second down changes nothing");

    let back = place.up(&["--json"]).expect(0).json();
    assert_eq!((&back["changed"], &back["administrator"]), (&true.into(), &serde_json::Value::Null));

    place.run(&["uninstall", "--yes", "--keep-data"]).expect(0);
    let names = place.names();
    assert!(names.contains(&"data".to_owned()) && !names.contains(&"releases".to_owned()), "{names:?}");
    place.up(&[]).expect(0);
    place.run(&["uninstall", "--yes"]).expect(0);
    assert_eq!(place.names(), Vec::<String>::new());
    assert!(processes_of(&place.root).is_empty());
}

#[test]
fn a_site_url_with_a_path() {
    let place = Place::new();
    let url = format!("{}/chat", place.url());
    assert_eq!(place.up(&["--site-url", &url, "--json"]).expect(0).json()["url"], url);
    assert_eq!(place.up(&["--site-url", &url, "--json"]).expect(0).json()["changed"], false);
    assert_eq!(place.status()["up"], true);
    assert_eq!(place.run(&["verify", "--json"]).expect(0).json()["passed"], true);
    // Back to a site without one.
    assert_eq!(place.up(&["--site-url", &place.url(), "--json"]).expect(0).json()["changed"], true);
    place.run(&["verify"]).expect(0);
    place.run(&["restart"]).expect(0);
}

#[test]
fn a_plan_is_printed_and_nothing_done() {
    let place = Place::new();
    let plan = place.up(&["--plan", "--json"]).expect(0).json();
    let names: Vec<&str> =
        plan["steps"].as_array().expect("steps").iter().filter_map(|step| step["name"].as_str()).collect();
    assert_eq!(names.first(), Some(&"directories"));
    assert!(names.contains(&"acceptance"));
    assert!(!place.root.exists(), "a plan makes nothing");
    place.run(&["down", "--plan"]).expect(0);
    assert!(!place.root.exists());
}

#[test]
fn what_belongs_to_the_server_is_its_own_and_nobody_elses() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let place = Place::new();
    place.up(&[]).expect(0);
    let mode = |name: &str| {
        let meta = std::fs::symlink_metadata(place.root.join(name))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        meta.permissions().mode() & 0o777
    };
    assert_eq!(mode("secrets.toml"), 0o600);
    assert_eq!(mode("config/config.json"), 0o600);
    assert_eq!(mode("run"), 0o700);
    assert_eq!(mode("run/agent.sock"), 0o600);
    assert_eq!(mode("data"), 0o750);
    let pid = place.status()["agent"]["server"]["pid"].as_u64().expect("a server");
    let server = std::fs::metadata(format!("/proc/{pid}")).expect("the server's process");
    let own = rustix::process::geteuid().as_raw();
    if is_root() {
        assert_ne!(server.uid(), 0, "the server does not run as root");
        assert_eq!(std::fs::metadata(place.root.join("data")).expect("data").uid(), server.uid());
        assert_eq!(std::fs::metadata(place.root.join("secrets.toml")).expect("secrets").uid(), 0);
    } else {
        assert_eq!(server.uid(), own);
    }
    let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).expect("its command line");
    assert!(!line.contains(&place.password()));
}

#[test]
fn a_changed_setting_is_applied_and_a_console_edit_survives() {
    let place = Place::new();
    place.up(&[]).expect(0);
    let config = place.root.join("config/config.json");
    let mut edited: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&config).expect("config")).expect("JSON");
    edited["TeamSettings"]["MaxUsersPerTeam"] = 77.into();
    std::fs::write(&config, edited.to_string()).expect("an edit in place keeps the owner");
    let file = place.root.join("mainstay.toml");
    let text = std::fs::read_to_string(&file).expect("mainstay.toml");
    std::fs::write(
        &file,
        format!("{text}\n[mattermost.TeamSettings]\nSiteName = \"Harbour \\\"{{{{x}}}}\\\"\"\n"),
    )
    .expect("an edit");
    assert_eq!(place.run(&["up", "--json"]).expect(0).json()["changed"], true);
    let after: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&config).expect("config")).expect("JSON");
    assert_eq!(after["TeamSettings"]["MaxUsersPerTeam"], 77);
    assert_eq!(after["TeamSettings"]["SiteName"], "Harbour \"{{x}}\"");
    assert_eq!(place.run(&["up", "--json"]).expect(0).json()["changed"], false);
}

#[test]
fn the_edge_moves_with_its_setting() {
    let place = Place::new();
    place.up(&[]).expect(0);
    let moved = Place::new();
    let port = moved.port;
    place
        .run(&[
            "up",
            "--listen",
            &format!("127.0.0.1:{port}"),
            "--site-url",
            &format!("http://localhost:{port}"),
        ])
        .expect(0);
    assert_eq!(place.status()["agent"]["edge"]["listen"], format!("127.0.0.1:{port}"));
    assert!(std::net::TcpStream::connect(("127.0.0.1", place.port)).is_err(), "the old address is closed");
    assert!(
        std::fs::read_to_string(place.root.join("mainstay.toml"))
            .expect("file")
            .contains(&format!("127.0.0.1:{port}"))
    );
}

#[test]
fn the_system_user_is_made_by_a_step_and_unmade_by_its_undo() {
    let mut place = Place::new();
    // Its user is named after the directory, and other tests make users, too; so do other runs of this one.
    let name = format!("unmade{}", std::process::id());
    place.root.set_file_name(&name);
    if !is_root() {
        place.run(&["up", "--user", "nobody"]).expect(2);
        return;
    }
    let exists = |name: &str| {
        std::fs::read_to_string("/etc/passwd")
            .expect("users")
            .lines()
            .any(|line| line.starts_with(&format!("{name}:")))
    };
    let listen = format!("127.0.0.1:{}", place.port);
    let plan = place.run(&["up", "--plan", "--json", "--listen", &listen]).expect(0).json();
    assert_eq!(plan["steps"][0]["name"], "system-user", "{plan}");
    let user = plan["steps"][0]["action"]["name"].as_str().expect("a name");
    assert!(user == format!("mainstay-{name}") && !exists(user), "{user}");
    place.run(&["up", "--listen", &listen, "--inject-failure", "secrets:before"]).expect(6);
    assert!(!exists(user), "the undo leaves the users as they were");
    let unknown = place.run(&["up", "--listen", &listen, "--user", "no-such-user"]).expect(4);
    assert!(unknown.stderr.contains("no-such-user"), "{}", unknown.stderr);
}

/// `up --foreground` that has said that it is up.
fn foreground(place: &Place) -> Child {
    let args = place.up_args();
    let args: Vec<&str> = args.iter().map(String::as_str).chain(["--foreground"]).collect();
    let mut command = place.command(&args);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
    let said = BufReader::new(child.stdout.take().expect("its words"));
    let up = said.lines().map_while(Result::ok).any(|line| line.starts_with("Next:"));
    assert!(up, "it ended: {}", ended(child).stderr);
    child
}

fn kill(signal: &str, pid: &impl ToString) {
    let killed = Command::new("kill").args([signal, &pid.to_string()]).status();
    assert!(killed.expect("kill").success(), "{signal}");
}

fn ended(child: Child) -> Ran {
    child.wait_with_output().expect("it ends").into()
}

#[test]
fn a_foreground_that_is_terminated_stops_everything() {
    let place = Place::new();
    let child = foreground(&place);
    kill("-TERM", &child.id());
    ended(child).expect(0);
    assert!(processes_of(&place.root).is_empty());
    let again = place.run(&["down", "--json"]).expect(0).json();
    assert_eq!(again["changed"], false, "nothing was left to stop");
}

#[test]
fn a_foreground_ends_well_when_told_elsewhere_and_badly_when_its_agent_dies() {
    let place = Place::new();
    place.up(&[]).expect(0);
    let child = foreground(&place);
    place.run(&["down"]).expect(0);
    ended(child).expect(0);

    place.up(&[]).expect(0);
    let child = foreground(&place);
    kill("-KILL", &place.status()["agent"]["agent_pid"]);
    let ran = ended(child).expect(4);
    assert!(ran.stderr.contains("mainstay logs agent"), "{}", ran.stderr);
}

#[test]
fn the_status_does_not_wait_for_a_server_that_will_not_stop() {
    let place = Place::new();
    place.up(&[]).expect(0);
    let server = place.status()["agent"]["server"]["pid"].clone();
    // A request whose body does not come: until its grace is over, the server waits for it.
    let mut open = UnixStream::connect(place.root.join("local/http.sock")).expect("the server's socket");
    let head = "POST /api/v4/users/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n";
    open.write_all(head.as_bytes()).expect("sent");
    open.read_exact(&mut [0; 12]).expect("it waits for the body");
    let mut down = place
        .command(&["down"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary runs");
    eventually("the server is being stopped", || place.status()["agent"]["edge"].is_null());
    let began = Instant::now();
    let status = place.status();
    let took = began.elapsed();
    assert!(down.try_wait().expect("its state").is_none(), "it stopped at once: nothing was tested");
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(status["agent"]["server"]["pid"], server, "{status}");
    assert_eq!(status["busy"]["operation"], "down");
    // Its grace over, it is killed.
    assert!(down.wait().expect("it ends").success());
    assert!(processes_of(&place.root).is_empty());
}

#[test]
fn a_shell_is_the_servers_users() {
    use std::os::unix::fs::MetadataExt as _;
    let place = Place::new();
    place.up(&[]).expect(0);
    let owner = std::fs::metadata(place.root.join("data")).expect("data").uid();
    let shell = place.command(&["shell"]).env("SHELL", "/usr/bin/id").output();
    let id = Ran::from(shell.expect("the binary runs")).expect(0).stdout;
    assert!(id.starts_with(&format!("uid={owner}(")), "{id}");
    if is_root() {
        assert!(!id.contains("(root)"), "a group of root's was kept: {id}");
    }
}

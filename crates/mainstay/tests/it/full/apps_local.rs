//! An app's bundle run, called and served by the real binary.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::place::{Place, Ran, free_port};

pub(super) const MAKE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../apps/tests/functions/bundle.py");
const ID: &str = "com.example.hello";

/// A place, and a bundle beside it.
fn place() -> (Place, PathBuf) {
    let place = Place::new();
    let bundle = bundle(&place);
    (place, bundle)
}

/// A bundle beside a place.
pub(super) fn bundle(place: &Place) -> PathBuf {
    let bundle = place.root.with_file_name("hello.zip");
    let made = Command::new("python3").arg(MAKE).arg(&bundle).status().expect("python3 runs");
    assert!(made.success());
    bundle
}

/// A program that stays, once it answers.
struct Staying(Child);

impl Staying {
    fn start(place: &Place, args: &[&str]) -> Self {
        let child =
            place.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        let staying = Self(child);
        let running = place.root.join("apps").join(ID).join("running.json");
        let deadline = Instant::now() + Duration::from_secs(20);
        // After a kill, the file of the process before is still there.
        let is_ours = || {
            let text = std::fs::read_to_string(&running).unwrap_or_default();
            let said: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
            said["pid"] == staying.0.id()
        };
        while !is_ours() {
            assert!(Instant::now() < deadline, "it does not say that it runs");
            std::thread::sleep(Duration::from_millis(20));
        }
        staying
    }

    fn pid(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.0)
    }

    fn interrupt(mut self) -> Option<i32> {
        rustix::process::kill_process(self.pid(), rustix::process::Signal::INT).expect("a signal");
        self.0.wait().expect("it ends").code()
    }

    fn kill(mut self) {
        self.0.kill().expect("a signal");
        self.0.wait().expect("it ends");
    }
}

impl Drop for Staying {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The processes that run a function of the app.
pub(super) fn functions(root: &Path, id: &str) -> Vec<u32> {
    let code = root.join("apps").join(id).join("run/code").display().to_string();
    let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
    processes
        .filter(|process| {
            let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(&code)
        })
        .filter_map(|process| process.file_name().to_str()?.parse().ok())
        .collect()
}

fn text(answer: &Ran) -> String {
    answer.json()["text"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_bundle_is_called_and_run_and_one_process_runs_it_at_a_time() {
    let (place, bundle) = place();
    let bundle = bundle.to_str().expect("text");
    let call = |app: &str| place.run(&["apps", "call", app, "/ping", "--values", r#"{"a":1}"#, "--json"]);
    assert_eq!(text(&call(bundle).expect(0)), "from a shell");
    assert!(functions(&place.root, ID).is_empty());
    let refused = call(ID).expect(4);
    assert!(refused.stderr.contains("does not run here"), "{}", refused.stderr);

    let listen = format!("127.0.0.1:{}", free_port());
    let running = Staying::start(&place, &["apps", "run", bundle, "--listen", &listen]);
    assert_eq!(text(&call(ID).expect(0)), "from a shell");
    assert_eq!(functions(&place.root, ID).len(), 1);
    let busy = place.run(&["apps", "run", bundle]).expect(9);
    assert!(busy.stderr.contains("runs already"), "{}", busy.stderr);
    // Whoever names a bundle means this bundle, also while another version of the app runs.
    let next = place.root.with_file_name("next.zip");
    let script = place.root.with_file_name("next.sh");
    let program = Path::new(MAKE).with_file_name("bootstrap.sh");
    let program =
        std::fs::read_to_string(program).expect("the program").replace("from a shell", "from the next");
    std::fs::write(&script, program).expect("written");
    let made = Command::new("python3").arg(MAKE).arg(&next).args([ID, "2.0.0"]).arg(&script).status();
    assert!(made.expect("python3 runs").success());
    let beside = call(next.to_str().expect("text")).expect(0);
    assert_eq!(text(&beside), "from the next");
    assert!(beside.stderr.contains(&format!("{ID} 1.0.0 runs here")), "{}", beside.stderr);
    assert_eq!(text(&call(ID).expect(0)), "from a shell");
    assert_eq!(running.interrupt(), Some(0));
    assert!(functions(&place.root, ID).is_empty());

    let logs = place.run(&["apps", "logs", ID]).expect(0).stdout;
    assert_eq!(logs.lines().filter(|line| line.contains("== answered")).count(), 3, "{logs}");
}

#[test]
fn a_served_app_wants_a_token_and_a_kill_leaves_nothing_for_long() {
    let (place, bundle) = place();
    let bundle = bundle.to_str().expect("text");
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    let serve = ["apps", "serve", bundle, "--listen", &listen, "--root-url", "https://apps.example.com"];
    let served = Staying::start(&place, &serve);
    let ask = |method: &str, path: &str| {
        use std::io::{Read as _, Write as _};
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}"
        );
        stream.write_all(head.as_bytes()).expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    };
    assert!(ask("POST", "/ping").starts_with("HTTP/1.1 401"));
    let manifest = ask("GET", "/manifest.json");
    assert!(manifest.contains(r#""root_url": "https://apps.example.com""#), "{manifest}");
    assert!(manifest.contains(r#""use_jwt": true"#), "{manifest}");
    assert!(ask("GET", "/static/hello.txt").ends_with("Hello\n"));
    // Who may read the secret may call.
    let secret = place.root.join("apps").join(ID).join("secret");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(secret).expect("it").permissions());
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(text(&place.run(&["apps", "call", ID, "--json"]).expect(0)), "from a shell");

    served.kill();
    let deadline = Instant::now() + Duration::from_secs(5);
    while !functions(&place.root, ID).is_empty() {
        assert!(Instant::now() < deadline, "a function outlives its killed runtime");
        std::thread::sleep(Duration::from_millis(20));
    }
    let served = Staying::start(&place, &serve);
    assert_eq!(served.interrupt(), Some(0));
}

#[test]
fn what_cannot_be_served_is_refused_with_what_to_do() {
    let (place, bundle) = place();
    let bundle = bundle.to_str().expect("text");
    let open = place.run(&["apps", "serve", bundle, "--listen", "0.0.0.0:18080"]).expect(8);
    assert!(open.stderr.contains("--from"), "{}", open.stderr);
    let open = place.run(&["apps", "run", bundle, "--listen", "0.0.0.0:18080"]).expect(8);
    assert!(open.stderr.contains("apps serve"), "{}", open.stderr);
    let empty = place.root.with_file_name("empty");
    std::fs::write(&empty, "\n").expect("a file");
    let closed = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&empty, closed).expect("a mode");
    let args = ["apps", "serve", bundle, "--secret-file", empty.to_str().expect("text")];
    let weak = place.run(&args).expect(3);
    assert!(weak.stderr.contains("shorter than 16 bytes"), "{}", weak.stderr);
    assert!(weak.stderr.contains("(umask 077; openssl rand"), "{}", weak.stderr);
    std::fs::write(&empty, "a secret of enough length").expect("a file");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(&empty, open).expect("a mode");
    let open = place.run(&args).expect(8);
    assert!(open.stderr.contains("mode 0644") && open.stderr.contains("chmod 600"), "{}", open.stderr);
    let everywhere = ["apps", "serve", bundle, "--listen", "0.0.0.0:0", "--from"];
    let from = place.run(&[&everywhere[..], &["0.0.0.0"]].concat()).expect(2);
    assert!(from.stderr.contains("`--from 0.0.0.0`"), "{}", from.stderr);
    let no_url = place.run(&[&everywhere[..], &["10.0.0.5"]].concat()).expect(2);
    assert!(no_url.stderr.contains("--root-url"), "{}", no_url.stderr);
    let named = ["apps", "serve", bundle, "--root-url", "http://us:told@127.0.0.1"];
    let named = place.run(&named).expect(2);
    assert!(
        named.stderr.contains("has a user or a password") && !named.stderr.contains("told"),
        "{}",
        named.stderr
    );
    let nothing = place.run(&["apps", "serve", bundle, "--command", " "]).expect(2);
    assert!(nothing.stderr.contains("`--command` is empty"), "{}", nothing.stderr);
    place.run(&["apps", "call", bundle]).expect(0);
    let nobody = place.run(&["apps", "logs", ID, "--function", "nosuch"]).expect(4);
    assert!(nobody.stderr.contains("there are logs of: "), "{}", nobody.stderr);
    let path = place.run(&["apps", "call", bundle, "ping"]).expect(2);
    assert!(path.stderr.contains("must begin with `/`"), "{}", path.stderr);
    let path = place.run(&["apps", "call", bundle, "/a b"]).expect(2);
    assert!(path.stderr.contains("write `%20` for a space"), "{}", path.stderr);
    let unit =
        place.run(&["apps", "serve", bundle, "--unit", "--command", "node \"my server.js\""]).expect(0);
    assert!(unit.stdout.contains(r#"--command "node \"my server.js\"""#), "{}", unit.stdout);
}

#[test]
fn a_command_that_ends_is_not_passed_over_in_silence() {
    use std::io::{BufRead as _, BufReader};
    let (place, bundle) = place();
    let args =
        ["apps", "serve", bundle.to_str().expect("text"), "--listen", "127.0.0.1:0", "--command", "exit 3"];
    let mut child =
        place.command(&args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
    let lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let serving = Staying(child);
    let said = lines.map_while(Result::ok).find(|line| line.contains("the command ended with code 3"));
    assert!(said.is_some_and(|line| line.contains("it is started again in")));
    assert_eq!(serving.interrupt(), Some(0));
}

#[test]
fn apps_and_a_deployment_share_a_directory() {
    let (place, bundle) = place();
    place.run(&["apps", "call", bundle.to_str().expect("text")]).expect(0);
    let plan = place.up(&["--plan"]).expect(0);
    assert!(!plan.stderr.contains("not Mainstay's"), "{}", plan.stderr);
}

//! A directory for one deployment, and the binary in it. Everything started there is stopped when it is dropped.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// The binary under test.
pub(crate) const MAINSTAY: &str = env!("CARGO_BIN_EXE_mainstay");

/// One deployment's directory and port.
pub(crate) struct Place {
    _dir: tempfile::TempDir,
    /// The deployment's directory; it does not exist at first.
    pub root: PathBuf,
    /// A port that was free a moment ago.
    pub port: u16,
}

/// What a run of the binary came to.
pub(crate) struct Ran {
    /// The exit code; -9 for a process killed by SIGKILL.
    pub code: i32,
    /// Data.
    pub stdout: String,
    /// Talk.
    pub stderr: String,
}

impl Ran {
    /// The last JSON document on stdout.
    pub(crate) fn json(&self) -> Value {
        let last = self.stdout.lines().last().unwrap_or_default();
        serde_json::from_str(last).unwrap_or_else(|error| panic!("{error} in {last:?}\n{}", self.stderr))
    }

    /// The same, but the code must be this one, and nothing may look like a crash of ours.
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        assert!(
            !self.stderr.contains("panicked") && !self.stderr.contains("RUST_BACKTRACE"),
            "{}",
            self.stderr
        );
        self
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or_else(|| -output.status.signal().unwrap_or(0)),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Whether these tests run as root.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A shell script that may mount what it likes: nobody else sees that. It finds `MAINSTAY`, and in `USER_FLAG` the flag that names the
/// server's user where one has to be named.
pub(crate) fn with_own_mounts(script: &str) -> Command {
    let mut unshare = Command::new("unshare");
    unshare.arg(if is_root() { "--mount" } else { "-rm" }).args(["sh", "-c", script]);
    unshare.env("MAINSTAY", MAINSTAY).env("USER_FLAG", if is_root() { "--user nobody" } else { "" });
    unshare.process_group(0);
    unshare
}

/// A port that is free now: below the range for outgoing connections, so that none of those takes it meanwhile.
pub(crate) fn free_port() -> u16 {
    use std::sync::atomic::{AtomicU16, Ordering};
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + (std::process::id() % 100) as u16 * 100;
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed) % 5000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

impl Place {
    pub(crate) fn new() -> Self {
        // Open to the server's user, who must be able to enter it.
        let dir = tempfile::Builder::new()
            .prefix("mainstay-it-")
            .permissions(PermissionsExt::from_mode(0o755))
            .tempdir();
        let dir = dir.expect("a directory for the test");
        let root = dir.path().join("chat");
        Self { _dir: dir, root, port: free_port() }
    }

    /// The binary with arguments, its directory set, and an environment without ours.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(MAINSTAY);
        command.args(args).env("MAINSTAY_DIR", &self.root).env_remove("RUST_BACKTRACE").stdin(Stdio::null());
        // Not what this machine has fetched.
        command.env("MAINSTAY_CACHE", self.cache());
        command
    }

    /// The cache of fetched releases, of this place alone.
    pub(crate) fn cache(&self) -> PathBuf {
        self.root.with_file_name("cache")
    }

    /// Runs the binary.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        self.command(args).output().expect("the binary runs").into()
    }

    /// The arguments of an `up` that does not touch this machine's users.
    pub(crate) fn up_args(&self) -> Vec<String> {
        let mut args: Vec<String> = ["up", "--yes", "--listen"].map(str::to_owned).into();
        args.push(format!("127.0.0.1:{}", self.port));
        if is_root() {
            args.extend(["--user", "nobody"].map(str::to_owned));
        }
        args
    }

    /// Runs `up` with more arguments.
    pub(crate) fn up(&self, more: &[&str]) -> Ran {
        let args = self.up_args();
        let args: Vec<&str> = args.iter().map(String::as_str).chain(more.iter().copied()).collect();
        self.run(&args)
    }

    /// `status --json`.
    pub(crate) fn status(&self) -> Value {
        self.run(&["status", "--json"]).expect(0).json()
    }

    /// The address of the edge.
    pub(crate) fn url(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    /// The administrator's password, which only its file knows.
    pub(crate) fn password(&self) -> String {
        let secrets = std::fs::read_to_string(self.root.join("secrets.toml")).expect("secrets");
        secrets.split('"').nth(3).expect("a password in quotes").to_owned()
    }

    /// A session of the administrator's.
    pub(crate) async fn token(&self) -> String {
        let login = serde_json::json!({"login_id": "admin", "password": self.password()});
        let url = format!("{}/api/v4/users/login", self.url());
        let answer = reqwest::Client::new().post(url).json(&login).send().await.expect("an answer");
        let token = answer.headers().get("token").expect("a token");
        token.to_str().expect("text").to_owned()
    }

    /// Names at the top of the directory, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(&self.root) else { return Vec::new() };
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let agent = self.run(&["status", "--json"]).stdout;
        let agent: Value =
            agent.lines().last().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default();
        let _ = self.run(&["down"]);
        // A `down` that failed must not leave a process behind: the agent takes its server with it.
        if let Some(pid) = agent["agent"]["agent_pid"].as_u64().filter(|pid| runs_in(*pid, &self.root)) {
            let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
        }
        // Root's `up` makes a user for each deployment. A container of another test may have a process with the same id.
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let home = format!(":{}/", self.root.parent().unwrap_or(&self.root).display());
        for user in
            users.lines().filter(|line| line.contains(&home)).filter_map(|line| line.split(':').next())
        {
            let _ = Command::new("userdel").arg("--force").arg(user).stderr(Stdio::null()).status();
        }
    }
}

/// Whether the process is one of a deployment's.
pub(crate) fn runs_in(pid: u64, root: &Path) -> bool {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).contains(&*root.to_string_lossy())
}

/// Processes whose command line or working directory names the directory.
pub(crate) fn processes_of(root: &Path) -> Vec<u64> {
    let numbers = std::fs::read_dir("/proc")
        .expect("/proc")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    numbers.filter(|pid| runs_in(*pid, root)).collect()
}

/// Waits until it holds, at most ten seconds.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while !holds() {
        assert!(std::time::Instant::now() < deadline, "never: {what}");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

//! A database server that ends with this executable, however that ends, and its directory with it.

use std::fs::Permissions;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Starts and stops the server by the line, until the pipe from the test executable breaks: that happens at its exit, and at
/// `kill -9` just as well. The server is a child of this shell, so its process id cannot have become another's.
const GUARD: &str = r#"
dir=$1 signal=$2; shift 2
server=
stop() {
    [ -n "$server" ] || return
    kill -s "$signal" "$server" 2>/dev/null
    wait "$server"
    server=
}
trap '' INT TERM HUP
while read -r word; do
    stop
    if [ "$word" = start ]; then
        trap - INT TERM HUP
        "$@" </dev/null >>"$dir/log" 2>&1 &
        server=$!
        trap '' INT TERM HUP
    fi
done
stop
# An installation that was cut off may still be writing.
for try in 1 2 3 4 5 6 7 8 9 10; do
    rm -rf "$dir" 2>/dev/null && break
    sleep 0.5
done
"#;

/// A directory with a server in it, once started. Dropped, the server is stopped and waited for, and the directory removed.
pub struct Guarded {
    guard: Child,
    dir: PathBuf,
}

impl Guarded {
    /// A directory whose server will be this program, run as `account` (see [`run`]); `signal` stops it.
    pub fn new(account: &str, signal: &str, program: &Path, args: impl Fn(&Path) -> Vec<String>) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("mainstay-testbed-")
            .permissions(Permissions::from_mode(0o755))
            .tempdir()
            .unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", GUARD, "sh"]).arg(dir.path()).arg(signal);
        command
            .args(["setpriv", "--pdeathsig", signal])
            .args(identity(account))
            .arg(program)
            .args(args(dir.path()));
        let guard = command.stdin(Stdio::piped()).spawn().expect("sh runs");
        Self { guard, dir: dir.keep() }
    }

    /// Starts the server, and returns at once.
    pub fn start(&mut self) {
        self.guard.stdin.as_mut().unwrap().write_all(b"start\n").unwrap();
    }

    /// Stops the server, and returns at once. It can be started again.
    pub fn stop(&mut self) {
        self.guard.stdin.as_mut().unwrap().write_all(b"stop\n").unwrap();
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What the server wrote to its log.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.dir.join("log")).unwrap_or_default()).into_owned()
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

/// Runs a program and waits for it: as `account`, the package's own, if we are root, which database servers refuse to be.
pub fn run(account: &str, program: &Path, args: &[String]) {
    let done = Command::new("setpriv")
        .args(["--pdeathsig", "KILL"])
        .args(identity(account))
        .arg(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("setpriv (package util-linux) runs");
    assert!(done.status.success(), "{}: {}", program.display(), String::from_utf8_lossy(&done.stderr));
}

/// Hands a directory over to `account`, if we are root.
pub fn hand_over(dir: &Path, account: &str) {
    if rustix::process::geteuid().is_root() {
        let done = Command::new("chown").args(["-R", &format!("{account}:")]).arg(dir).status().unwrap();
        assert!(done.success(), "chown {account} {}", dir.display());
    }
}

/// As root, the account that the package made; otherwise ourselves.
fn identity(account: &str) -> Vec<String> {
    if rustix::process::geteuid().is_root() {
        vec![format!("--reuid={account}"), format!("--regid={account}"), "--clear-groups".into()]
    } else {
        vec![]
    }
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// The program, or how to get it.
pub fn program(candidates: &[&str], packages: &str) -> PathBuf {
    candidates.iter().map(PathBuf::from).find(|path| path.is_file()).unwrap_or_else(|| {
        panic!(
            "none of {candidates:?} is installed: apt-get install --yes --no-install-recommends {packages}"
        )
    })
}

//! Runs a server that ends, and whose directory is removed, when this executable ends, in whatever way.

use std::fs::Permissions;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A shell that starts and stops the server as the test executable tells it, line by line, until that pipe breaks, which
/// it does when the executable exits or is killed with `kill -9`. The server is a child of this shell, so its process id
/// cannot have passed to another process.
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
# A program of the server that was interrupted may still write here.
for try in 1 2 3 4 5 6 7 8 9 10; do
    rm -rf "$dir" 2>/dev/null && break
    sleep 0.5
done
"#;

/// A server and its directory. When this is dropped, the server is stopped, and the directory removed after it has ended.
pub struct Guarded {
    guard: Child,
    dir: PathBuf,
}

impl Guarded {
    /// Makes the directory of a server, which will be `program`, run as `account` (see [`run`]) and stopped by `signal`.
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

    /// Starts the server. Does not wait until it is ready.
    pub fn start(&mut self) {
        self.guard.stdin.as_mut().unwrap().write_all(b"start\n").unwrap();
    }

    /// Stops the server. Does not wait until it has ended. It can be started again.
    pub fn stop(&mut self) {
        self.guard.stdin.as_mut().unwrap().write_all(b"stop\n").unwrap();
    }

    /// The server's directory.
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

/// Runs a program to its end. If this is root, it runs as `account`, the one that its package has made: database servers
/// refuse to run as root.
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

/// If this is root, makes `account` the owner of a directory.
pub fn hand_over(dir: &Path, account: &str) {
    if rustix::process::geteuid().is_root() {
        let done = Command::new("chown").args(["-R", &format!("{account}:")]).arg(dir).status().unwrap();
        assert!(done.success(), "chown {account} {}", dir.display());
    }
}

/// Arguments of `setpriv`: `account` if this is root, otherwise none.
fn identity(account: &str) -> Vec<String> {
    if rustix::process::geteuid().is_root() {
        vec![format!("--reuid={account}"), format!("--regid={account}"), "--clear-groups".into()]
    } else {
        vec![]
    }
}

/// A port on which nothing listens.
pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// The first of `candidates` that exists. Panics with how to install it if there is none.
pub fn program(candidates: &[&str], packages: &str) -> PathBuf {
    candidates.iter().map(PathBuf::from).find(|path| path.is_file()).unwrap_or_else(|| {
        panic!(
            "none of {candidates:?} is installed: apt-get install --yes --no-install-recommends {packages}"
        )
    })
}

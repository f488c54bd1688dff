//! A database server that ends with this executable, however that ends, and its directory with it.

use std::fs::Permissions;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// Reads until the pipe from the test executable breaks: at its exit, and at `kill -9` just as well. The server is a child
/// of this shell, so its process id cannot have become another's.
const GUARD: &str = r#"
dir=$1 signal=$2; shift 2
"$@" </dev/null >"$dir/log" 2>&1 &
server=$!
trap '' INT TERM HUP
cat >/dev/null
kill -s "$signal" "$server" 2>/dev/null
wait "$server"
rm -rf "$dir"
"#;

/// The same for a directory alone.
const KEEPER: &str = r#"trap '' INT TERM HUP; cat >/dev/null; rm -rf "$1""#;

/// A running server. Dropped, it is stopped, waited for, and its directory removed.
pub(crate) struct Guarded {
    guard: Child,
    dir: PathBuf,
}

impl Guarded {
    /// Starts a program as `account` (see [`as_account`]); `signal` stops it.
    pub(crate) fn start(dir: TempDir, account: &str, signal: &str, program: &Path, args: &[String]) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", GUARD, "sh"]).arg(dir.path()).arg(signal);
        command.args(["setpriv", "--pdeathsig", signal]).args(identity(account)).arg(program).args(args);
        let guard = command.stdin(Stdio::piped()).spawn().expect("sh and setpriv (package util-linux) run");
        Self { guard, dir: dir.keep() }
    }

    /// A directory that many servers are made from, and no server.
    pub(crate) fn directory(dir: TempDir) -> Self {
        let mut command = Command::new("sh");
        let guard = command.args(["-c", KEEPER, "sh"]).arg(dir.path()).stdin(Stdio::piped()).spawn().unwrap();
        Self { guard, dir: dir.keep() }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// What the server wrote to its log.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.dir.join("log")).unwrap_or_default()).into_owned()
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

/// A fresh directory, which anybody may look into.
pub(crate) fn directory(name: &str) -> TempDir {
    tempfile::Builder::new().prefix(name).permissions(Permissions::from_mode(0o755)).tempdir().unwrap()
}

/// Runs a program as `account` and waits for it. Database servers refuse to be root.
pub(crate) fn run(account: &str, program: &Path, args: &[String]) {
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
pub(crate) fn hand_over(dir: &Path, account: &str) {
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
pub(crate) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// The program, or how to get it.
pub(crate) fn program(candidates: &[&str], packages: &str) -> PathBuf {
    candidates.iter().map(PathBuf::from).find(|path| path.is_file()).unwrap_or_else(|| {
        panic!(
            "none of {candidates:?} is installed: apt-get install --yes --no-install-recommends {packages}"
        )
    })
}

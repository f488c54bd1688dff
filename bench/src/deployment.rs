//! A deployment of the release build, for a benchmark.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use xtask::run::{Failure, output};

/// A deployment in a directory of its own. It is uninstalled when this is dropped.
pub(crate) struct Deployment {
    _dir: tempfile::TempDir,
    root: PathBuf,
    pub port: u16,
    mainstay: PathBuf,
}

impl Deployment {
    /// An empty directory and a free port.
    pub(crate) fn empty(mainstay: &Path) -> Result<Self, Failure> {
        let dir = tempfile::Builder::new()
            .prefix("mainstay-bench-")
            .permissions(PermissionsExt::from_mode(0o755))
            .tempdir()?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        Ok(Self { root: dir.path().join("chat"), _dir: dir, port, mainstay: mainstay.to_owned() })
    }

    /// Its directory.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Runs `up` to its end.
    pub(crate) fn up(&self) -> Result<(), Failure> {
        let listen = format!("127.0.0.1:{}", self.port);
        self.run(&[&["up", "--json", "--listen", &listen], user()].concat()).map(|_| ())
    }

    /// Runs `mainstay` on this deployment. Returns what it printed.
    pub(crate) fn run(&self, args: &[&str]) -> Result<String, Failure> {
        let dir = self.root.to_string_lossy();
        output(&self.mainstay, &[&["--dir", &dir], args].concat())
    }

    /// Adds to mainstay.toml.
    pub(crate) fn want(&self, text: &str) -> Result<(), Failure> {
        let path = self.root.join("mainstay.toml");
        let wanted = std::fs::read_to_string(&path)?;
        Ok(std::fs::write(path, format!("{wanted}{text}"))?)
    }

    /// The output of `status --json`.
    pub(crate) fn status(&self) -> Result<Value, Failure> {
        serde_json::from_str(&self.run(&["status", "--json"])?).map_err(|error| Failure(error.to_string()))
    }

    /// The administrator's password.
    pub(crate) fn password(&self) -> Result<String, Failure> {
        let text = std::fs::read_to_string(self.root.join("secrets.toml"))?;
        text.split('"')
            .nth(3)
            .map(str::to_owned)
            .ok_or_else(|| Failure("secrets.toml holds no password".to_owned()))
    }

    /// Process ids of agent and server.
    pub(crate) fn pids(&self) -> Result<[u64; 2], Failure> {
        let status = self.status()?;
        match (status["agent"]["agent_pid"].as_u64(), status["agent"]["server"]["pid"].as_u64()) {
            (Some(agent), Some(server)) => Ok([agent, server]),
            _ => Err(Failure(format!("not up: {status}"))),
        }
    }
}

impl Drop for Deployment {
    fn drop(&mut self) {
        let _ =
            Command::new(&self.mainstay).arg("--dir").arg(&self.root).args(["uninstall", "--yes"]).output();
    }
}

/// The flag for the user of a deployment: none is made for a benchmark.
pub(crate) fn user() -> &'static [&'static str] {
    if is_root() { &["--user", "nobody"] } else { &[] }
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// Resident memory of a process, in MB.
pub(crate) fn resident_mb(pid: u64) -> Result<f64, Failure> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kb: Option<f64> = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok());
    kb.map(|kb| kb / 1024.0).ok_or_else(|| Failure(format!("process {pid} has no VmRSS")))
}

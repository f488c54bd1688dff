//! The host crate against the real machine: processes, logs, users, ports and disks.
#![allow(clippy::unwrap_used)]

mod account;
mod actor;
mod confine;
mod disk;
mod guest;
mod init;
mod log;
mod port;
mod supervise;
mod tool;

use std::path::Path;
use std::time::{Duration, Instant};

/// Looks until it is so; panics with `what` after ten seconds.
fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !so() {
        assert!(Instant::now() < deadline, "timed out: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether the process exists and is no zombie.
fn lives(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// Waits for a file with a process id in it.
fn pid_in(path: &Path) -> u32 {
    let read = || std::fs::read_to_string(path).ok()?.trim().parse().ok();
    wait_until(&format!("a process id in {}", path.display()), || read().is_some());
    read().unwrap()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

//! Who writes to a repository: what stands in its lock.
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The name of this host, in a file.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

/// Who writes to a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The host's name.
    pub host: String,
    /// What tells this start of the host from every other: a process id means nothing elsewhere.
    pub boot: String,
    /// The process.
    pub pid: u32,
    /// What it does: `backup create`.
    pub what: String,
    /// Since when.
    pub since: Timestamp,
    /// When it was last heard of, by its own clock.
    pub renewed: Timestamp,
    /// Tells this lock from another of the same process.
    pub(crate) nonce: u64,
}

impl Holder {
    /// This process, doing `what`.
    pub fn here(what: &str) -> Holder {
        let now = Timestamp::now();
        let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        Holder {
            host: text(HOST_NAME),
            boot: text("/proc/sys/kernel/random/boot_id"),
            pid: std::process::id(),
            what: what.to_owned(),
            since: now,
            renewed: now,
            nonce: rand::random(),
        }
    }

    /// Whether the process is known to have ended: it ran since this start of this host, and is gone.
    pub(crate) fn has_ended(&self, here: &Holder) -> bool {
        let same = !self.boot.is_empty() && self.boot == here.boot;
        same && self.pid != here.pid && !std::path::Path::new(&format!("/proc/{}", self.pid)).exists()
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` of process {} on {} since {}, last heard of at {}",
            self.what,
            self.pid,
            self.host,
            finding::moment(self.since),
            finding::moment(self.renewed)
        )
    }
}

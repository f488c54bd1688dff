//! What a killed supervisor left behind: found by its pid file, ended without touching a stranger.
//!
//! The death signal (see [`crate::shim`]) ends the server itself; its own children (plugins) may live on in
//! its process group. The group id cannot be reused while one of them lives, but the file may be older than
//! that, so a process counts as left over only when boot, pid namespace, session, group and start time all fit:
//! a replaced container finds the file of the one before, whose numbers are other processes now. The file also says
//! in which directory it was written: one that was copied along with its directory names the process of the original.
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use serde::{Deserialize, Serialize};

use crate::disk::{self, DiskError};
use crate::process::Exit;
use crate::procfs::{self, Stat};

/// How long the kernel may take to end what was sent KILL.
const PATIENCE: Duration = Duration::from_secs(5);

/// A process group that was started, told apart from any later one with the same number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PidFile {
    /// The leader's process id, which is the group's id.
    pub pid: u32,
    /// When the leader started, in clock ticks after boot.
    started: u64,
    session: u32,
    boot: String,
    /// Whose numbers these are; files from before this was kept name nobody.
    #[serde(default)]
    namespace: String,
    /// Device and inode of the directory that the file was written in; files from before this was kept name nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    directory: Option<(u64, u64)>,
}

/// Why leftovers could not be ended.
#[derive(Debug, thiserror::Error)]
pub enum LeftoverError {
    /// A process survived KILL, or may not be signalled by us.
    #[error(
        "process {pid} ({program}) of an earlier run does not end: {source}; end it with `kill -9 {pid}` as root"
    )]
    Alive {
        /// The survivor.
        pid: u32,
        /// Its short name.
        program: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The pid file cannot be read or removed.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl PidFile {
    /// Describes the living process `pid`; None when it has gone.
    pub fn of(pid: u32) -> Option<Self> {
        let stat = Stat::of(pid)?;
        let (boot, namespace) = (procfs::boot_id(), procfs::namespace());
        Some(Self { pid, started: stat.started, session: stat.session, boot, namespace, directory: None })
    }

    /// Writes the file in one step, mode 0600. It is not synced: after a power cut it names nobody, and a server must not
    /// wait for a busy disk to be supervised.
    pub fn write(&self, path: &Path) -> Result<(), DiskError> {
        let file = Self { directory: directory_of(path), ..self.clone() };
        let text = serde_json::to_vec(&file).map_err(|e| DiskError::new("write", path, e.into()))?;
        disk::replace(path, &text)
    }

    /// Reads the file. A missing or unreadable one names no process, nor does one that was copied here: None.
    pub fn read(path: &Path) -> Option<Self> {
        let file: Self = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
        (file.directory.is_some() && file.directory == directory_of(path)).then_some(file)
    }

    /// True while the leader itself lives.
    pub fn is_running(&self) -> bool {
        self.is_of_here() && Stat::of(self.pid).is_some_and(|s| s.started == self.started && s.state != 'Z')
    }

    /// How the process ended, once it has; inside, None when its exit code is lost, because another process started it.
    /// A child of this process is reaped.
    pub fn ended(&self) -> Option<Option<Exit>> {
        let is_it = self.is_of_here() && Stat::of(self.pid).is_some_and(|s| s.started == self.started);
        let Some(pid) = Pid::from_raw(self.pid.cast_signed()).filter(|_| is_it) else { return Some(None) };
        match waitpid(Some(pid), WaitOptions::NOHANG) {
            Ok(Some((_, status))) => Some(Some(status.into())),
            Ok(None) | Err(rustix::io::Errno::INTR) => None,
            // Not a child of ours: whoever reaps it knows the code.
            Err(_) => (!self.is_running()).then_some(None),
        }
    }

    /// Whether its numbers mean here what they meant where it was written.
    pub(crate) fn is_of_here(&self) -> bool {
        self.boot == procfs::boot_id() && self.namespace == procfs::namespace()
    }

    /// The living processes of this group.
    fn members(&self) -> Vec<Stat> {
        if !self.is_of_here() || Stat::of(self.pid).is_some_and(|s| s.started != self.started) {
            return Vec::new();
        }
        procfs::pids()
            .filter_map(Stat::of)
            .filter(|s| s.group == self.pid && s.session == self.session && s.started >= self.started)
            .filter(|s| s.state != 'Z')
            .collect()
    }
}

/// The living processes whose working directory is `dir`, as far as this process may look. A copy of the directory is another one.
pub fn working_in(dir: &Path) -> Vec<u32> {
    let identity = |path: &Path| std::fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
    let Some(wanted) = identity(dir) else { return Vec::new() };
    let works_there = |pid: &u32| identity(Path::new(&format!("/proc/{pid}/cwd"))) == Some(wanted);
    procfs::pids().filter(works_there).collect()
}

/// The living processes of these programs that work in `dir`, or that it was named to as an argument.
pub fn concerned_with(dir: &Path, programs: &[&str]) -> Vec<u32> {
    let working = working_in(dir);
    let named = |pid: u32| {
        use std::os::unix::ffi::OsStrExt as _;
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|argument| argument == dir.as_os_str().as_bytes())
    };
    let is_one = |pid: &u32| {
        procfs::program_name(*pid).is_some_and(|name| programs.contains(&&*name))
            && (working.contains(pid) || named(*pid))
            && Stat::of(*pid).is_some_and(|stat| stat.state != 'Z')
    };
    procfs::pids().filter(is_one).collect()
}

/// Device and inode of the directory that `path` is in. A renamed directory keeps them, a copy has its own.
fn directory_of(path: &Path) -> Option<(u64, u64)> {
    let meta = std::fs::metadata(path.parent()?).ok()?;
    Some((meta.dev(), meta.ino()))
}

/// Ends (KILL) what lives of the group that `path` names, waits for it, and removes the file.
/// Returns how many processes there were. Blocks for at most five seconds.
pub fn end(path: &Path) -> Result<usize, LeftoverError> {
    let Some(file) = PidFile::read(path) else { return Ok(0) };
    let deadline = Instant::now() + PATIENCE;
    let found = file.members();
    let mut living = found.clone();
    while !living.is_empty() {
        for stat in &living {
            let Some(pid) = Pid::from_raw(stat.pid.cast_signed()) else { continue };
            let refused = match kill_process(pid, Signal::KILL) {
                Ok(()) | Err(rustix::io::Errno::SRCH) if Instant::now() < deadline => continue,
                Ok(()) | Err(rustix::io::Errno::SRCH) => io::ErrorKind::TimedOut.into(),
                Err(errno) => errno.into(),
            };
            let program = procfs::program_name(stat.pid).unwrap_or_else(|| "gone".into());
            return Err(LeftoverError::Alive { pid: stat.pid, program, source: refused });
        }
        std::thread::sleep(Duration::from_millis(2));
        living = file.members();
    }
    disk::remove_file(path)?;
    Ok(found.len())
}

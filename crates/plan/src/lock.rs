//! One operation at a time, and who holds the lock.
//!
//! The lock is `flock` on a file, so the kernel gives it back when its holder dies, however it dies. The file
//! holds who, when and why as JSON. A second lock on `FILE.gate`, held only while that record is written or
//! read, makes sure that whoever finds the lock taken reads its present holder and not the one before. Nobody waits
//! long for the gate: a process that was stopped in it would keep everybody waiting. Without it the kernel says which
//! process has the lock, and the record counts if it names that process.
//!
//! Rejected: a pid file (stale after a crash, and pids come round again); renaming a finished record over the
//! file (the lock belongs to the file, not to its name).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{
    ffi::OsString,
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How long to wait for the gate, which is held for a few system calls.
const GATE_PATIENCE: Duration = Duration::from_secs(1);

/// The right to change a deployment. Released when dropped, or by the kernel when the process ends.
#[derive(Debug)]
pub struct Lock {
    /// Holds the `flock`.
    file: File,
    holder: Holder,
}

/// Who holds a lock, since when, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// A person or a part of the program, such as `root` or `agent`.
    pub who: String,
    /// What for, such as `the weekly backup`.
    pub why: String,
    /// The command's word, such as `upgrade`.
    pub operation: String,
    /// The version of the program, such as `0.1.0`; empty in records from before it was kept.
    #[serde(default)]
    pub program: String,
    /// The process.
    pub pid: u32,
    /// Where the process runs; empty in records from before it was kept.
    #[serde(default)]
    pub at: Whereabouts,
    /// Since when.
    pub since: Timestamp,
}

/// Where a process runs. A directory can be shared by containers and by machines, and each has process numbers of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whereabouts {
    /// The host name; in a container the container's.
    pub host: String,
    /// The id of the container, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Whose process numbers these are: the boot and the pid namespace.
    pub numbers: String,
}

impl Whereabouts {
    /// Whether process numbers mean the same at both. Where one is not known, they count as the same.
    pub fn shares_numbers_with(&self, other: &Self) -> bool {
        self.numbers.is_empty() || other.numbers.is_empty() || self.numbers == other.numbers
    }
}

impl std::fmt::Display for Whereabouts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.container {
            Some(id) => write!(f, "container {} (host name {})", id.get(..12).unwrap_or(id), self.host),
            None => write!(f, "host {}", self.host),
        }
    }
}

/// Why a lock was not had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another operation has it.
    #[error("busy: {holder}")]
    Held {
        /// Which.
        holder: Box<Holder>,
        /// The lock's file.
        path: PathBuf,
    },
    /// The lock's file cannot be used.
    #[error("cannot use the lock {}: {}", path.display(), unusable(source))]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Why a lock's file cannot be used, and what is needed.
fn unusable(source: &io::Error) -> String {
    match source.kind() {
        io::ErrorKind::Unsupported => {
            format!("{source}. Its file system has no locks; use one that has, such as a local disk")
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "the disk is full, or the quota is used up. Free some space there, then run the command again"
                .to_owned()
        }
        _ if source.raw_os_error() == Some(ENOLCK) => {
            format!("{source}. Its file system gives no locks; use one that does, such as a local disk")
        }
        _ => format!("{source}. Its directory must exist, and this user must be able to write it"),
    }
}

/// Linux's number for "no locks available".
const ENOLCK: i32 = 37;

impl Holder {
    /// This process, from now on. `program` is its version.
    pub fn new(
        who: impl Into<String>,
        operation: impl Into<String>,
        why: impl Into<String>,
        program: impl Into<String>,
    ) -> Self {
        Self {
            who: who.into(),
            why: why.into(),
            operation: operation.into(),
            program: program.into(),
            pid: std::process::id(),
            at: Whereabouts::default(),
            since: Timestamp::now(),
        }
    }

    /// The same with where this process runs.
    #[must_use]
    pub fn at(mut self, at: Whereabouts) -> Self {
        self.at = at;
        self
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { who, why, operation, pid, since, program: _, at: _ } = self;
        write!(f, "`{operation}` by {who} has been running since {since:.0} (process {pid}): {why}")
    }
}

impl Lock {
    /// Takes the lock for `holder`, or says at once who has it.
    ///
    /// # Errors
    /// [`LockError::Held`] and [`LockError::Io`].
    pub fn acquire(path: &Path, holder: &Holder) -> Result<Self, LockError> {
        let fault = |source| LockError::Io { path: path.to_owned(), source };
        let gate = gate(path).map_err(fault)?;
        Self::of_file(path, open(path).map_err(fault)?, holder, gate.as_ref())
    }

    /// Takes over a lock from the program that this process was before, by its open file; it is never free in between.
    ///
    /// # Errors
    /// [`LockError::Held`] when the file does not hold the lock and another process does, and [`LockError::Io`].
    pub fn take_over(path: &Path, file: OwnedFd, holder: &Holder) -> Result<Self, LockError> {
        let fault = |source| LockError::Io { path: path.to_owned(), source };
        let gate = gate(path).map_err(fault)?;
        Self::of_file(path, File::from(file), holder, gate.as_ref())
    }

    /// Locks the open file and writes down who holds it.
    fn of_file(path: &Path, mut file: File, holder: &Holder, gate: Option<&Gate>) -> Result<Self, LockError> {
        let fault = |source| LockError::Io { path: path.to_owned(), source };
        match file.try_lock() {
            Ok(()) => {
                write(&mut file, holder).map_err(fault)?;
                Ok(Self { file, holder: holder.clone() })
            }
            Err(TryLockError::WouldBlock) => {
                let holder = present(&mut file, gate).map_err(fault)?;
                Err(LockError::Held { holder: Box::new(holder), path: path.to_owned() })
            }
            Err(TryLockError::Error(source)) => Err(fault(source)),
        }
    }

    /// Who holds the lock now. It may be free by the time the answer is read.
    ///
    /// # Errors
    /// [`LockError::Io`].
    pub fn present_holder(path: &Path) -> Result<Option<Holder>, LockError> {
        let fault = |source| LockError::Io { path: path.to_owned(), source };
        if !path.try_exists().map_err(fault)? {
            return Ok(None);
        }
        let gate = gate(path).map_err(fault)?;
        let mut file = open(path).map_err(fault)?;
        match file.try_lock() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => present(&mut file, gate.as_ref()).map(Some).map_err(fault),
            Err(TryLockError::Error(source)) => Err(fault(source)),
        }
    }

    /// Who holds this lock: what it was acquired with.
    pub fn holder(&self) -> &Holder {
        &self.holder
    }
}

/// For a process that goes on with the lock as another program: see [`Lock::take_over`].
impl AsFd for Lock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

/// The lock on the gate, until it is dropped.
struct Gate {
    _file: File,
}

/// The gate; `None` when whoever holds it does not let go of it in time.
fn gate(path: &Path) -> io::Result<Option<Gate>> {
    let mut name = OsString::from(path);
    name.push(".gate");
    let file = open(Path::new(&name))?;
    let deadline = Instant::now() + GATE_PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(Gate { _file: file })),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(source)) => return Err(source),
        }
    }
}

/// Who holds the lock of this file: by its record, which without the gate may be half written, or an earlier holder's.
fn present(file: &mut File, gate: Option<&Gate>) -> io::Result<Holder> {
    let said = read(file);
    if gate.is_some() {
        return said;
    }
    match (said, holding_process(file)?) {
        (Ok(said), Some(pid)) if said.pid != pid => Ok(unrecorded(pid)),
        (Err(_), Some(pid)) => Ok(unrecorded(pid)),
        (said, _) => said,
    }
}

/// A holder that has not written down who it is.
fn unrecorded(pid: u32) -> Holder {
    Holder {
        who: "somebody".into(),
        why: "it has not said what for".into(),
        operation: "mainstay".into(),
        program: String::new(),
        pid,
        at: Whereabouts::default(),
        since: began(pid).unwrap_or_else(Timestamp::now),
    }
}

/// The process that has the `flock` of this file, as the kernel says it; `None` where it is not one that this process sees.
fn holding_process(file: &File) -> io::Result<Option<u32>> {
    let meta = file.metadata()?;
    let (major, minor) = (rustix::fs::major(meta.dev()), rustix::fs::minor(meta.dev()));
    let place = format!("{major:02x}:{minor:02x}:{}", meta.ino());
    let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    let holder = locks.lines().find_map(|line| match line.split_ascii_whitespace().collect::<Vec<_>>()[..] {
        [_, "FLOCK", _, _, pid, at, ..] if at == place => pid.parse().ok(),
        _ => None,
    });
    Ok(holder.filter(|pid| *pid != 0))
}

/// When a process began.
fn began(pid: u32) -> Option<Timestamp> {
    /// Linux counts in hundredths of a second for programs, whatever it does inside.
    const TICKS: i64 = 100;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let ticks: i64 = stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()?;
    let kernel = std::fs::read_to_string("/proc/stat").ok()?;
    let boot: i64 = kernel.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Timestamp::from_second(boot + ticks / TICKS).ok()
}

fn write(file: &mut File, holder: &Holder) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    serde_json::to_writer(&mut *file, holder)?;
    file.write_all(b"\n")
}

fn read(file: &mut File) -> io::Result<Holder> {
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    serde_json::from_str(&text).map_err(|error| {
        io::Error::new(io::ErrorKind::InvalidData, format!("its record is damaged: {error}"))
    })
}

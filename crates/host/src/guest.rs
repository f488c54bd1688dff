//! A program that strangers wrote and that works for us, such as the function of an app: it runs as long as it is needed,
//! reaches the network and a few named paths, and nothing that it started outlives it.
//!
//! It differs from what [`crate::confine`] runs: that answers one question, without a network. It differs from what a
//! [`crate::Supervisor`] runs: that is trusted, and started again when it ends.
//!
//! The rights are given up between fork and exec, so this program starts itself once more
//! (`guest RIGHTS PARENT -- PROGRAM ARGS...`), which is what [`become_guest`] is for.
mod left;
mod unnamed;
mod usage;

use std::convert::Infallible;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

pub use left::{end_in, end_left, keep, mark};
use rustix::process::{Resource, Rlimit, geteuid, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::confine::{is_mapped, rules};
use crate::leftover::{self, PidFile};
use crate::process::{Child, Command, Exit};
use crate::shim::{self, Shim, ShimError};
use crate::spawner::Spawner;
use crate::user::User;
use left::Strays;
pub use usage::{Usage, size_of};

/// Names the guest in its environment, so that what left its process group is found, too.
pub const MARK: &str = "MAINSTAY_GUEST";
/// The first user id of guests: above those of [`crate::confine`], which adds a process id.
const FIRST: u32 = 1_879_048_192 + (1 << 22);
/// How many guests one process may have at a time.
pub const MOST: u32 = 60;
/// The exit code of a program that was not started, because its rights could not be taken.
const NOT_CONFINED: i32 = 124;

/// What a guest may do, beside reading the programs and libraries of the system, and using the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rights {
    /// Files and directories that it may read and execute.
    pub read: Vec<PathBuf>,
    /// Directories in which it may do everything.
    pub write: Vec<PathBuf>,
    /// Bytes of memory that one of its processes may write to.
    pub memory: u64,
    /// Bytes of the largest file that it may write.
    pub file: u64,
    /// How many processes and threads it may have, where it has a user id of its own.
    pub processes: u64,
}

impl Shim {
    /// This very program with the hidden subcommand `guest`: see [`become_guest`].
    pub fn of_guest(&self, rights: &Rights) -> Self {
        let mut shim = self.clone();
        // Paths that are no text were refused where they were named.
        shim.args.push(serde_json::to_string(rights).unwrap_or_default().into());
        shim
    }
}

/// A place for a guest of this process, and the user id that goes with it. The place is free again once the guest and everything that it
/// started has ended.
#[derive(Debug)]
pub struct Slot(u32);

/// The slots in use, a bit each.
static TAKEN: Mutex<u64> = Mutex::new(0);

impl Slot {
    /// A free one; None while [`MOST`] guests run.
    pub fn take() -> Option<Self> {
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let free = (0..MOST).find(|slot| *taken & (1 << slot) == 0)?;
        *taken |= 1 << free;
        Some(Self(free))
    }

    /// Its number, below [`MOST`].
    pub fn number(&self) -> u32 {
        self.0
    }

    /// Who its guest runs as.
    pub fn user(&self) -> Option<User> {
        user(self.0)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) &= !(1 << self.0);
    }
}

/// The user that the guest in this slot runs as: a user id that nobody else has, for root; otherwise None, and it runs as the current
/// user. Where such ids do not exist (a container may have the first 65536 alone) it is nobody.
pub fn user(slot: u32) -> Option<User> {
    if !geteuid().is_root() {
        return None;
    }
    let own = left::first_user(std::process::id()) + slot % MOST;
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let uid = if is_mapped(&map, own) { own } else { 65_534 };
    Some(User { name: uid.to_string(), uid, gid: uid, home: "/".into() })
}

/// A guest that was started. Dropping it ends it, without waiting.
#[derive(Debug)]
pub struct Guest {
    pid: u32,
    strays: Strays,
    end: CancellationToken,
    ended: watch::Receiver<Option<Exit>>,
}

impl Guest {
    /// Ends what an earlier run left under the same pid file, and starts the program. `command.shim` was made with
    /// [`Shim::of_guest`], `command.user` is that of the slot. What it prints comes out of the descriptor.
    ///
    /// # Errors
    /// It cannot be started.
    pub async fn start(spawner: &Spawner, slot: Slot, command: Command) -> io::Result<(Self, OwnedFd)> {
        let end = CancellationToken::new();
        let (exit, ended) = watch::channel(None);
        let (started, begun) = oneshot::channel();
        let (keeper, ending, strays) = (spawner.clone(), end.clone(), strays(&command));
        drop(spawner.run(async move {
            let (_keeper, slot) = (keeper, slot);
            run(command, started, &ending, &exit, slot).await;
        }));
        let (pid, output) = begun.await.map_err(io::Error::other)??;
        Ok((Self { pid, strays, end, ended }, output))
    }

    /// Its process id, which is also its group's.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// How it ended; None while it runs.
    pub fn exit(&self) -> Option<Exit> {
        self.ended.borrow().clone()
    }

    /// Waits until it and everything that it started have ended.
    pub async fn ended(&self) -> Exit {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(exit) => exit.clone().unwrap_or(Exit::Code(-1)),
            Err(_) => Exit::NotStarted("its spawner has ended".into()),
        }
    }

    /// Ends it (KILL) and everything that it started, and waits for that.
    pub async fn kill(&self) -> Exit {
        self.end.cancel();
        self.ended().await
    }

    /// For whoever looks what it uses, as long as it runs.
    pub fn watch(&self) -> Watch {
        Watch { pid: self.pid, strays: self.strays.clone(), end: self.end.clone(), ended: self.ended.clone() }
    }
}

/// Sees what a guest uses, and can end it. It does not keep it running.
#[derive(Debug, Clone)]
pub struct Watch {
    pid: u32,
    strays: Strays,
    end: CancellationToken,
    ended: watch::Receiver<Option<Exit>>,
}

impl Watch {
    /// What the guest and everything that it started use now. Reads `/proc`.
    pub fn usage(&self) -> Usage {
        usage::usage(self.pid, &self.strays)
    }

    /// Waits until the guest and everything that it started have ended.
    pub async fn ended(&mut self) {
        // Its spawner has ended otherwise, and the guest with it.
        let _ = self.ended.wait_for(Option::is_some).await;
    }

    /// Ends it (KILL) and everything that it started, without waiting.
    pub fn end(&self) {
        self.end.cancel();
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

async fn run(
    command: Command,
    started: oneshot::Sender<io::Result<(u32, OwnedFd)>>,
    end: &CancellationToken,
    exit: &watch::Sender<Option<Exit>>,
    slot: Slot,
) {
    if let Some(path) = command.pid_file.clone() {
        let ended = tokio::task::spawn_blocking(move || leftover::end(&path)).await;
        let failed = match ended {
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(why) = failed {
            let _ = started.send(Err(io::Error::other(why)));
            return;
        }
    }
    let (mut child, output) = match Child::start(&command) {
        Ok(begun) => begun,
        Err(error) => {
            let _ = started.send(Err(error));
            return;
        }
    };
    if let Some((path, file)) = command.pid_file.as_ref().zip(PidFile::of(child.pid()))
        && let Err(error) = file.write(path)
    {
        tracing::warn!(%error, "cannot keep the process id of a guest");
    }
    let is_wanted = started.send(Ok((child.pid(), output.into()))).is_ok();
    let ended = if is_wanted {
        tokio::select! {
            () = child.leader_ended() => child.finish().await,
            () = end.cancelled() => child.stop(Duration::ZERO).await,
        }
    } else {
        child.stop(Duration::ZERO).await
    };
    strays(&command).sweep().await;
    if let Some(path) = &command.pid_file {
        let _ = fs::remove_file(path);
    }
    drop(slot);
    let _ = exit.send(Some(ended));
}

/// The processes that a guest started and that left its group.
fn strays(command: &Command) -> Strays {
    let uid = command.user.as_ref().map(|user| user.uid).filter(|uid| *uid >= FIRST);
    let mark = command.env.get(MARK).map(|value| format!("{MARK}={value}").into_bytes());
    Strays { uids: uid.map_or(0..0, |uid| uid..uid + 1), mark: mark.unwrap_or_default(), is_whole: true }
}

/// Gives up what a guest must not have, ties this process to `parent`, and becomes `argv`. Returns only on failure.
///
/// # Errors
/// The rights cannot be taken, or the program cannot be executed.
pub fn become_guest(rights: &str, parent: u32, argv: &[OsString]) -> Result<Infallible, GuestError> {
    let rights: Rights = serde_json::from_str(rights)
        .map_err(|error| GuestError::NotConfined(format!("its rights: {error}")))?;
    shim::tie_to(parent)?;
    let own_user = geteuid().as_raw() >= FIRST;
    limit(&rights, own_user).map_err(|error| GuestError::NotConfined(format!("its limits: {error}")))?;
    match rules::only_paths(&rights.read, &rights.write) {
        Ok(true) => {}
        // A user of its own reads only what everybody may read.
        Ok(false) if own_user => {}
        Ok(false) => {
            return Err(GuestError::NotConfined(
                "this kernel has no Landlock, so it could read the files of its user; run Mainstay as root, which gives it \
                 a user of its own"
                    .into(),
            ));
        }
        Err(error) => return Err(GuestError::NotConfined(format!("its files: {error}"))),
    }
    Ok(shim::become_program(argv)?)
}

/// Why a guest was not started.
#[derive(Debug, thiserror::Error)]
pub enum GuestError {
    /// What it must not have could not be taken from it.
    #[error("cannot confine the program: {0}")]
    NotConfined(String),
    /// It could not be tied to its parent, or executed.
    #[error(transparent)]
    Shim(#[from] ShimError),
}

impl GuestError {
    /// The exit code: 124 where it could not be confined, otherwise that of [`ShimError`].
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NotConfined(_) => NOT_CONFINED as u8,
            Self::Shim(error) => error.exit_code(),
        }
    }
}

fn limit(rights: &Rights, own_user: bool) -> io::Result<()> {
    let mut all = vec![
        (Resource::Data, rights.memory),
        (Resource::Fsize, rights.file),
        (Resource::Nofile, 1024),
        (Resource::Core, 0),
    ];
    if own_user {
        all.push((Resource::Nproc, rights.processes));
    }
    for (resource, most) in all {
        // A limit that is lower already cannot be raised, and need not be.
        let most = getrlimit(resource).maximum.map_or(most, |now| now.min(most));
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    Ok(())
}

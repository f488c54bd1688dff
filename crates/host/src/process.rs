//! One child in its own process group: started through the shim, stopped as a group.
//!
//! All of this must run on a thread that lives as long as the child may: see [`crate::spawner`].
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, PipeReader};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitOptions, WaitStatus, kill_process, kill_process_group,
    test_kill_process_group, waitid, waitpgid, waitpid,
};
use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep, timeout};

use crate::log::Log;
use crate::shim::Shim;
use crate::user::User;

/// What a child inherits besides what its command lists.
const INHERITED: [&str; 3] = ["PATH", "LANG", "TZ"];
/// Looks whether a child has ended, and leaves it as it is.
const LOOK: WaitIdOptions = WaitIdOptions::EXITED.union(WaitIdOptions::NOHANG).union(WaitIdOptions::NOWAIT);
/// How long a group may take to vanish after KILL.
const SWEEP: Duration = Duration::from_secs(2);

/// A program to supervise, as data.
#[derive(Clone)]
pub struct Command {
    /// Absolute path of the program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Its environment: these, and `PATH`, `LANG`, `TZ` of ours unless listed here.
    pub env: BTreeMap<String, String>,
    /// Its working directory.
    pub cwd: PathBuf,
    /// Who it runs as; None is the current user. Another than oneself needs root.
    pub user: Option<User>,
    /// Where its output goes.
    pub log: Log,
    /// Where its process id is kept, so that the next start finds what a killed supervisor left.
    pub pid_file: Option<PathBuf>,
    /// What ties it to its supervisor.
    pub shim: Shim,
    /// The signal that it is asked to end with.
    pub stop: StopSignal,
}

/// How a program is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StopSignal {
    /// As nearly every program expects.
    #[default]
    Term,
    /// PostgreSQL waits for its clients after TERM, and disconnects them after INT.
    Int,
}

impl From<StopSignal> for Signal {
    fn from(stop: StopSignal) -> Self {
        match stop {
            StopSignal::Term => Self::TERM,
            StopSignal::Int => Self::INT,
        }
    }
}

impl fmt::Debug for Command {
    /// Names the variables and hides their values: a data source holds a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("program", &self.program)
            .field("args", &self.args)
            .field("env", &self.env.keys().collect::<Vec<_>>())
            .field("cwd", &self.cwd)
            .field("user", &self.user.as_ref().map(|u| &u.name))
            .field("log", &self.log.path)
            .finish_non_exhaustive()
    }
}

/// How a child ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exit {
    /// It returned this code. From the shim: 127 no such program, 126 not runnable, 125 no supervisor.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
    /// It could not be started, and why.
    NotStarted(String),
    /// It ran and did not work, so its supervisor ended it; why.
    Replaced(String),
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(0) => write!(f, "ended by itself"),
            Self::Code(127) => write!(f, "ended with code 127 (the program or its loader was not found)"),
            Self::Code(126) => write!(f, "ended with code 126 (the program cannot be executed)"),
            Self::Code(code) => write!(f, "ended with code {code}"),
            Self::Signal(9) => write!(
                f,
                "was ended by signal 9 (KILL; if nobody did this, look for out-of-memory in the kernel log)"
            ),
            Self::Signal(signal) => write!(f, "was ended by signal {signal}"),
            Self::NotStarted(why) => write!(f, "could not be started: {why}"),
            Self::Replaced(why) => write!(f, "was ended by Mainstay: {why}"),
        }
    }
}

impl From<WaitStatus> for Exit {
    fn from(status: WaitStatus) -> Self {
        match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Self::Code(code),
            (None, Some(signal)) => Self::Signal(signal),
            (None, None) => Self::Code(-1),
        }
    }
}

/// Whether the process is stopped, as by Ctrl-Z, `kill -STOP` or a debugger: it does nothing until somebody lets it go on.
pub fn is_stopped(pid: u32) -> bool {
    crate::procfs::Stat::of(pid).is_some_and(|stat| matches!(stat.state, 'T' | 't'))
}

/// What a process group has used so far: processor time, and bytes that it read and wrote. Only for a comparison with a later look: as long
/// as it stays the same, the group does nothing.
pub fn used_by_group(group: u32) -> u64 {
    crate::procfs::used_by_group(group)
}

/// The variables that a program inherits besides those it is given.
#[expect(
    clippy::disallowed_methods,
    reason = "a started program gets a few variables of ours, listed by name"
)]
pub(crate) fn inherited() -> impl Iterator<Item = (&'static str, OsString)> {
    INHERITED.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)))
}

/// A living child, the leader of its group. It is known by its process id alone, so that a program can adopt what the
/// program before it in the same process has started; the id is ours until the child is reaped.
pub(crate) struct Child {
    pid: Pid,
    stop: StopSignal,
    ended: tokio::signal::unix::Signal,
}

impl Child {
    /// Starts the command; its output (both streams, in order) comes out of the pipe.
    pub(crate) fn start(command: &Command) -> io::Result<(Self, PipeReader)> {
        let (output, stdout) = io::pipe()?;
        let stderr = stdout.try_clone()?;
        // Registered before the fork, or the first SIGCHLD could be missed.
        let ended = signal(SignalKind::child())?;
        let mut child = std::process::Command::new(&command.shim.program);
        child
            .arg0("mainstay")
            .args(&command.shim.args)
            .arg(std::process::id().to_string())
            .arg("--")
            .arg(&command.program)
            .args(&command.args)
            .env_clear()
            .envs(inherited())
            .envs(&command.env)
            .current_dir(&command.cwd)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .process_group(0);
        if let Some(user) = command.user.as_ref().filter(|u| !u.is_current()) {
            child.uid(user.uid).gid(user.gid);
        }
        let started = child.spawn().map_err(|e| explain(command, &e))?;
        Ok((Self { pid: Pid::from_child(&started), stop: command.stop, ended }, output))
    }

    /// A child that this process has already. Fails when it is not a child of this process: then its id may be anybody's.
    pub(crate) fn adopt(pid: u32, stop: StopSignal) -> io::Result<Self> {
        let ended = signal(SignalKind::child())?;
        let pid = Pid::from_raw(pid.cast_signed()).ok_or(io::ErrorKind::InvalidInput)?;
        waitid(WaitId::Pid(pid), LOOK)?;
        Ok(Self { pid, stop, ended })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Its own signal to the leader, `grace`, KILL to the group.
    pub(crate) async fn stop(&mut self, grace: Duration) -> Exit {
        // The leader is not reaped yet, so this pid is still ours.
        let _ = kill_process(self.pid, self.stop.into());
        // One that somebody has stopped ends in order once it goes on.
        let _ = kill_process(self.pid, Signal::CONT);
        if timeout(grace, self.leader_ended()).await.is_err() {
            let _ = kill_process_group(self.pid, Signal::KILL);
            self.leader_ended().await;
        }
        self.finish().await
    }

    /// Waits until the leader is a zombie, which keeps its pid from being given away. Cancel safe: nothing is reaped.
    pub(crate) async fn leader_ended(&mut self) {
        loop {
            match waitid(WaitId::Pid(self.pid), LOOK) {
                Ok(None) | Err(Errno::INTR) => {}
                // Ended, or not our child any more: nothing to wait for.
                Ok(Some(_)) | Err(_) => return,
            }
            if self.ended.recv().await.is_none() {
                return;
            }
        }
    }

    /// Ends the rest of the group while the zombie still holds its number, then reaps. Not cancel safe.
    pub(crate) async fn finish(&mut self) -> Exit {
        let _ = kill_process_group(self.pid, Signal::KILL);
        let exit = loop {
            match waitpid(Some(self.pid), WaitOptions::empty()) {
                Ok(Some((_, status))) => break status.into(),
                Ok(None) | Err(Errno::INTR) => {}
                Err(e) => break Exit::NotStarted(format!("its exit status is lost: {e}")),
            }
        };
        // As process 1 of a container the grandchildren are ours to reap; elsewhere init does it.
        let deadline = Instant::now() + SWEEP;
        while test_kill_process_group(self.pid) != Err(Errno::SRCH) && Instant::now() < deadline {
            while let Ok(Some(_)) = waitpgid(self.pid, WaitOptions::NOHANG) {}
            sleep(Duration::from_millis(2)).await;
        }
        exit
    }
}

/// A spawn error does not say which of its three paths it means.
fn explain(command: &Command, error: &io::Error) -> io::Error {
    let what = if !command.cwd.is_dir() {
        format!("its working directory {} does not exist or cannot be entered", command.cwd.display())
    } else if let Some(user) =
        command.user.as_ref().filter(|_| error.kind() == io::ErrorKind::PermissionDenied)
    {
        format!(
            "user {} may not enter {} or not execute {}; only root can start a program as another user",
            user.name,
            command.cwd.display(),
            command.shim.program.display()
        )
    } else {
        format!("cannot execute {}", command.shim.program.display())
    };
    io::Error::new(error.kind(), format!("{what} ({error})"))
}

//! Process 1 of a container.
//!
//! For process 1 the kernel has no default action for signals, and makes every orphan its child. So the work runs in a
//! child. Process 1 forwards signals to it, reaps all children, and ends when none is left.
//!
//! Rejected: the work in process 1 (a wait for "any child" would take the exit codes of children that a runtime there waits
//! for); a runtime here (this code must work when everything else fails).
use std::io;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, wait};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;

use crate::process::Exit;
use crate::procfs;

/// The signals that are forwarded.
const FORWARDED: [i32; 6] = [SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2];
/// How long processes that the work left behind have after TERM. Docker gives the whole container ten seconds.
const GRACE: Duration = Duration::from_secs(3);
/// How long processes may take to end after KILL.
const SWEEP: Duration = Duration::from_secs(2);

/// True in the first process of a container, or of any other pid namespace.
pub fn is_process_one() -> bool {
    std::process::id() == 1
}

/// Runs the work to its end and returns how it ended. Processes that it left behind get TERM and, three seconds later,
/// KILL; none is left when this returns.
pub fn run(work: &mut Command) -> io::Result<Exit> {
    // Before the fork: a signal in between would be lost.
    let mut signals = Signals::new(FORWARDED.iter().chain(&[SIGCHLD]))?;
    let work = Pid::from_child(&work.spawn()?);
    let exit = loop {
        for signal in signals.wait() {
            if let Some(signal) = Signal::from_named_raw(signal).filter(|signal| *signal != Signal::CHILD) {
                let _ = kill_process(work, signal);
            }
        }
        if let Some(exit) = reap_until(work) {
            break exit;
        }
    };
    end_the_others(Signal::TERM, GRACE);
    end_the_others(Signal::KILL, SWEEP);
    Ok(exit)
}

/// Reaps children that have ended. Returns how `work` ended, if it has.
fn reap_until(work: Pid) -> Option<Exit> {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid == work => return Some(status.into()),
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) => return None,
            // Other code took its status: a bug of ours.
            Err(_) => return Some(Exit::Code(-1)),
        }
    }
}

/// Signals all other processes, and new ones as they appear, until none is left or the time is over. Processes from outside
/// the namespace (`docker exec`) are not children of this one; the kernel ends them together with it.
fn end_the_others(signal: Signal, time: Duration) {
    let deadline = Instant::now() + time;
    let mut told = Vec::new();
    while has_children() && Instant::now() < deadline {
        for pid in procfs::pids().filter(|pid| *pid != 1) {
            if !told.contains(&pid)
                && let Some(process) = Pid::from_raw(pid.cast_signed())
            {
                let _ = kill_process(process, signal);
                told.push(pid);
            }
        }
        sleep(Duration::from_millis(5));
    }
}

/// Reaps children that have ended, and says whether any child is alive.
fn has_children() -> bool {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

impl Exit {
    /// The exit code that a shell would report: 128 plus the signal if a signal ended it.
    pub fn code(&self) -> u8 {
        match self {
            Self::Code(code) => u8::try_from(*code).unwrap_or(u8::MAX),
            Self::Signal(signal) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
            Self::NotStarted(_) | Self::Replaced(_) => 126,
        }
    }
}

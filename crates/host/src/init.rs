//! Process 1 of a container: what the kernel expects of it, and nothing else.
//!
//! The kernel gives process 1 no default for any signal, and every orphan for a child. So the work runs in a
//! child; process 1 passes signals on to it, reaps whatever ends, and leaves when nobody is left.
//!
//! Rejected: doing the work in process 1 (whoever waits for "any child" there takes exit codes from under a
//! runtime that waits for its own); a runtime here (this must go on when everything else has gone wrong).
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

/// What is passed on.
const FORWARDED: [i32; 6] = [SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2];
/// How long those whom the work left behind have after TERM: docker gives the whole container ten seconds.
const GRACE: Duration = Duration::from_secs(3);
/// How long the kernel may take to end what was sent KILL.
const SWEEP: Duration = Duration::from_secs(2);

/// True in the first process of a container, or of any other pid namespace.
pub fn is_process_one() -> bool {
    std::process::id() == 1
}

/// Runs the work to its end as process 1 must, and says how it ended. Everybody else is gone by then: TERM,
/// three seconds, KILL.
pub fn run(work: &mut Command) -> io::Result<Exit> {
    // Before the fork, or a signal in between would be lost.
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

/// Reaps what has ended; how `work` ended, once it has.
fn reap_until(work: Pid) -> Option<Exit> {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid == work => return Some(status.into()),
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) => return None,
            // Somebody else took its status, which only a mistake of ours could do.
            Err(_) => return Some(Exit::Code(-1)),
        }
    }
}

/// Signals everybody who is left, again while new ones appear, until they are gone or the time is over. Who came
/// in from outside the namespace (`docker exec`) is no child of ours; the kernel ends them with us.
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

/// Reaps what has ended, and says whether any child lives.
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
    /// As a shell's exit code: 128 and the signal for one that a signal ended.
    pub fn code(&self) -> u8 {
        match self {
            Self::Code(code) => u8::try_from(*code).unwrap_or(u8::MAX),
            Self::Signal(signal) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
            Self::NotStarted(_) => 126,
        }
    }
}

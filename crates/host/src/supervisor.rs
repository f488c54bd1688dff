//! Keeps one program running: restart with back-off, graceful stop, state for whoever watches.
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::leftover::{self, PidFile};
use crate::log::Sink;
use crate::now_ms;
use crate::process::{Child, Command, Exit};

/// How patient a supervisor is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The wait before the first restart; it doubles with each further one.
    pub first_wait: Duration,
    /// The longest wait.
    pub longest_wait: Duration,
    /// After running this long the waits start over.
    pub healthy_after: Duration,
    /// How long a program may take to stop before it is killed.
    pub grace: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            first_wait: Duration::from_millis(500),
            longest_wait: Duration::from_secs(30),
            healthy_after: Duration::from_secs(60),
            grace: Duration::from_secs(10),
        }
    }
}

/// What the program is doing now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum State {
    /// About to be started.
    Starting,
    /// Alive.
    Running {
        /// Its process id, which is also its group's.
        pid: u32,
        /// Since when, in milliseconds since the epoch.
        since_ms: i64,
    },
    /// It ended, and will be started again.
    BackingOff {
        /// When, in milliseconds since the epoch.
        until_ms: i64,
        /// How it ended.
        last_exit: Exit,
    },
    /// It was stopped and stays so.
    Stopped {
        /// How it ended; None when it was not running.
        last_exit: Option<Exit>,
    },
}

/// A state, and how often the program had to be started again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// What it is doing.
    #[serde(flatten)]
    pub state: State,
    /// Restarts since the supervisor began; it never gives up.
    pub restarts: u32,
}

/// Runs one [`Command`] until it is stopped. Dropping it stops the program too, without waiting for it.
pub struct Supervisor {
    status: watch::Receiver<Status>,
    stop: CancellationToken,
    dropped: Arc<AtomicU64>,
}

impl Supervisor {
    /// Ends what an earlier run left, starts the program and keeps it running.
    ///
    /// Spawning happens on a thread of the supervisor's own that lives until the program is stopped, because
    /// the death signal fires when the *thread* that forked ends. Fails only when the machine has no thread
    /// or descriptor left; a program that cannot start is a [`State::BackingOff`] that says why.
    pub fn start(command: Command, policy: Policy) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let first = Status { state: State::Starting, restarts: 0 };
        let (sender, status) = watch::channel(first);
        let stop = CancellationToken::new();
        let sink = Sink::open(&command.log)?;
        let dropped = sink.dropped();
        let run = Run { command, policy, sink, status: sender, stop: stop.clone() };
        thread::Builder::new()
            .name("supervisor".into())
            .spawn(move || runtime.block_on(run.until_stopped()))?;
        Ok(Self { status, stop, dropped })
    }

    /// The state now and every change of it. The channel closes when the supervisor has ended.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Log lines that were lost (disk full, or slower than the program talks) since the start.
    pub fn dropped_lines(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Stops the program: TERM, the policy's grace, KILL to its whole group. Returns how it ended, None when
    /// it was not running.
    pub async fn stop(mut self) -> Option<Exit> {
        self.stop.cancel();
        while self.status.changed().await.is_ok() {}
        match &self.status.borrow().state {
            State::Stopped { last_exit } => last_exit.clone(),
            _ => None,
        }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// What the supervisor's thread owns.
struct Run {
    command: Command,
    policy: Policy,
    sink: Sink,
    status: watch::Sender<Status>,
    stop: CancellationToken,
}

impl Run {
    async fn until_stopped(self) {
        let mut wait = Wait::new(&self.policy);
        let last_exit = loop {
            let began = Instant::now();
            let exit = match self.one_life().await {
                Life::Stopped(exit) => break Some(exit),
                Life::Ended(exit) => exit,
            };
            let pause = wait.after(began.elapsed());
            tracing::warn!(program = %self.command.program.display(), %exit, ?pause, "the program ended");
            self.sink.note(&format!("the program {exit}; starting it again in {pause:?}"));
            let until_ms = now_ms() + i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
            self.set(State::BackingOff { until_ms, last_exit: exit });
            tokio::select! {
                () = sleep(pause) => self.status.send_modify(|status| {
                    *status = Status { state: State::Starting, restarts: status.restarts + 1 };
                }),
                () = self.stop.cancelled() => break None,
            }
        };
        self.sink.flush(Duration::from_secs(1));
        self.set(State::Stopped { last_exit });
    }

    /// From a start to an end, asked for or not.
    async fn one_life(&self) -> Life {
        if let Some(path) = &self.command.pid_file {
            match leftover::end(path) {
                Ok(0) => {}
                Ok(count) => self.sink.note(&format!("ended {count} processes of an earlier run")),
                Err(e) => return Life::Ended(Exit::NotStarted(e.to_string())),
            }
        }
        let (mut child, output) = match Child::start(&self.command) {
            Ok(started) => started,
            Err(e) => return Life::Ended(Exit::NotStarted(e.to_string())),
        };
        if let Some((path, file)) = self.command.pid_file.as_ref().zip(PidFile::of(child.pid()))
            && let Err(e) = file.write(path)
        {
            // It still dies with us; only its grandchildren could not be found after a `kill -9`.
            self.sink.note(&format!("cannot keep the process id: {e}"));
        }
        let reader = tokio::spawn(self.sink.reader(output));
        self.set(State::Running { pid: child.pid(), since_ms: now_ms() });
        let life = tokio::select! {
            exit = child.exited() => Life::Ended(exit),
            () = self.stop.cancelled() => Life::Stopped(child.stop(self.policy.grace).await),
        };
        // Its last words; a process that left the group may hold the pipe open, so not for long.
        let _ = timeout(Duration::from_millis(500), reader).await;
        if let Some(path) = &self.command.pid_file {
            let _ = std::fs::remove_file(path);
        }
        life
    }

    fn set(&self, state: State) {
        self.status.send_modify(|status| status.state = state);
    }
}

enum Life {
    Ended(Exit),
    Stopped(Exit),
}

/// The wait before a restart: doubling, bounded, and short again after a healthy life.
struct Wait<'a> {
    policy: &'a Policy,
    next: Duration,
}

impl<'a> Wait<'a> {
    fn new(policy: &'a Policy) -> Self {
        Self { policy, next: policy.first_wait }
    }

    fn after(&mut self, lived: Duration) -> Duration {
        if lived >= self.policy.healthy_after {
            self.next = self.policy.first_wait;
        }
        let pause = self.next;
        self.next = (pause * 2).min(self.policy.longest_wait);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_start_over_after_health() {
        let policy = Policy::default();
        let mut wait = Wait::new(&policy);
        let waits: Vec<u128> = (0..9).map(|_| wait.after(Duration::ZERO).as_millis()).collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]);
        assert_eq!(wait.after(Duration::from_secs(60)).as_millis(), 500);
        assert_eq!(wait.after(Duration::from_secs(59)).as_millis(), 1000);
    }
}

//! Keeps one program running: restart with back-off, graceful stop, state for whoever watches.
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::leftover::{self, PidFile};
use crate::log::{Sink, Unread};
use crate::now_ms;
use crate::process::{Child, Command, Exit};
use crate::spawner::Spawner;

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

/// How long a program that does not answer may take to stop before it is killed.
const LAST_GRACE: Duration = Duration::from_secs(5);

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
    /// The last end that nobody asked for: why it had to be started again.
    pub last_end: Option<End>,
}

/// An end of the program that nobody asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// When, in milliseconds since the epoch.
    pub at_ms: i64,
    /// How it ended.
    pub exit: Exit,
}

/// What a supervisor knows of its program, for the supervisor that goes on with it: see [`Supervisor::hand_over`].
#[derive(Debug)]
pub struct Held {
    /// As data.
    pub state: HeldState,
    /// The program's output, unless it has closed it or does not run.
    pub output: Option<OwnedFd>,
}

/// The part of [`Held`] that is data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldState {
    program: HeldProgram,
    restarts: u32,
    next_wait_ms: u64,
    /// The beginning of a line of output whose end has not come yet.
    #[serde(default)]
    unfinished_line: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_end: Option<End>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum HeldProgram {
    Running { pid: u32, since_ms: i64 },
    BackingOff { until_ms: i64, last_exit: Exit },
}

/// Runs one [`Command`] until it is stopped. Dropping it stops the program too, without waiting for it.
pub struct Supervisor {
    status: watch::Receiver<Status>,
    stop: CancellationToken,
    leave: CancellationToken,
    orders: mpsc::Sender<Order>,
    dropped: Arc<AtomicU64>,
    task: JoinHandle<Option<Held>>,
}

/// To end a program that runs and does not work, and to start it again.
struct Order {
    /// Which; by the time the order is read it may have ended by itself.
    pid: u32,
    why: String,
    /// For how long it has not worked: it was not healthy in this time.
    silent: Duration,
}

impl Supervisor {
    /// Ends what an earlier run left, starts the program and keeps it running.
    ///
    /// Fails only when the machine has no thread left; a program that cannot start is a [`State::BackingOff`] that says why.
    pub fn start(spawner: &Spawner, command: Command, policy: Policy) -> io::Result<Self> {
        let first_wait = policy.first_wait;
        Self::begin(
            spawner,
            command,
            policy,
            Phase::Start,
            Past { restarts: 0, next_wait: first_wait, last_end: None },
        )
    }

    /// Goes on with a program that another supervisor of this process has handed over. `command` is what a restart starts.
    ///
    /// A process id that is not a child of this process is never signalled: the program counts as ended, and is started.
    pub fn adopt(spawner: &Spawner, command: Command, policy: Policy, held: Held) -> io::Result<Self> {
        let Held { state, output } = held;
        let phase = match state.program {
            HeldProgram::Running { pid, since_ms } => {
                let unread = output.map(|pipe| Unread { pipe, line: state.unfinished_line.into_bytes() });
                Phase::Adopt { pid, since_ms, unread }
            }
            HeldProgram::BackingOff { until_ms, last_exit } => Phase::Wait { until_ms, last_exit },
        };
        let HeldState { restarts, next_wait_ms, last_end, .. } = state;
        let past = Past { restarts, next_wait: Duration::from_millis(next_wait_ms), last_end };
        Self::begin(spawner, command, policy, phase, past)
    }

    fn begin(
        spawner: &Spawner,
        command: Command,
        policy: Policy,
        phase: Phase,
        past: Past,
    ) -> io::Result<Self> {
        let Past { restarts, next_wait, last_end } = past;
        let (sender, status) = watch::channel(Status { state: State::Starting, restarts, last_end });
        // One is enough: a second order for the same program says nothing new.
        let (orders, received) = mpsc::channel(1);
        let (stop, leave) = (CancellationToken::new(), CancellationToken::new());
        let sink = Sink::open(&command.log)?;
        let dropped = sink.dropped();
        let run = Run {
            command,
            wait: Wait { next: next_wait, policy: policy.clone() },
            policy,
            sink,
            status: sender,
            stop: stop.clone(),
            leave: leave.clone(),
            orders: received,
            _spawner: spawner.clone(),
        };
        let task = spawner.run(run.until_stopped(phase));
        Ok(Self { status, stop, leave, orders, dropped, task })
    }

    /// The state now and every change of it. The channel closes when the supervisor has ended.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Log lines that were lost (disk full, or slower than the program talks) since the start.
    pub fn dropped_lines(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Ends the program `pid`, which runs and has not worked for the time `silent`, and starts it again after the usual wait. `why`
    /// completes "it was ended: ". Another program than `pid` is left alone.
    pub fn replace(&self, pid: u32, why: &str, silent: Duration) {
        let _ = self.orders.try_send(Order { pid, why: why.to_owned(), silent });
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

    /// Ends the supervision and leaves the program as it is, for [`Supervisor::adopt`] in this process, before or after it
    /// becomes another program. What the program said so far is in its log.
    ///
    /// Until then nobody watches the program; if this process ends, it ends too. Fails when the supervisor has panicked.
    pub async fn hand_over(mut self) -> io::Result<Held> {
        self.leave.cancel();
        let lost = || io::Error::other("the supervisor has ended");
        (&mut self.task).await.map_err(io::Error::other)?.ok_or_else(lost)
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// What a supervisor does next.
enum Phase {
    Start,
    Adopt { pid: u32, since_ms: i64, unread: Option<Unread> },
    Watch(Living),
    Wait { until_ms: i64, last_exit: Exit },
}

/// What was before this supervisor began.
struct Past {
    restarts: u32,
    next_wait: Duration,
    last_end: Option<End>,
}

/// A program that runs, and the task that reads its output.
struct Living {
    child: Child,
    since_ms: i64,
    reader: Option<JoinHandle<Option<Unread>>>,
    stop_reading: CancellationToken,
}

impl Living {
    fn age(&self) -> Duration {
        Duration::from_millis((now_ms() - self.since_ms).try_into().unwrap_or(0))
    }
}

/// What the supervisor's task owns.
struct Run {
    command: Command,
    policy: Policy,
    wait: Wait,
    sink: Sink,
    status: watch::Sender<Status>,
    stop: CancellationToken,
    leave: CancellationToken,
    orders: mpsc::Receiver<Order>,
    /// Keeps the thread until this has ended.
    _spawner: Spawner,
}

impl Run {
    /// Returns what it holds when it was told to leave, None when it was told to stop.
    async fn until_stopped(mut self, first: Phase) -> Option<Held> {
        let mut phase = first;
        let last_exit = loop {
            phase = match phase {
                Phase::Start => match self.start().await {
                    Ok(living) => Phase::Watch(living),
                    Err(exit) => self.ended(exit, Duration::ZERO),
                },
                Phase::Adopt { pid, since_ms, unread } => match Child::adopt(pid, self.command.stop) {
                    Ok(child) => Phase::Watch(self.watch(child, since_ms, unread)),
                    Err(e) => self.ended(
                        Exit::NotStarted(format!("process {pid} was handed over and is gone: {e}")),
                        Duration::ZERO,
                    ),
                },
                Phase::Watch(mut living) => tokio::select! {
                    () = living.child.leader_ended() => {
                        let exit = living.child.finish().await;
                        let lived = living.age();
                        self.end_of_life(living).await;
                        self.ended(exit, lived)
                    }
                    Some(order) = self.orders.recv() => {
                        if order.pid == living.child.pid() {
                            self.replace(living, order).await
                        } else {
                            Phase::Watch(living)
                        }
                    }
                    () = self.stop.cancelled() => {
                        let exit = living.child.stop(self.policy.grace).await;
                        self.end_of_life(living).await;
                        break Some(exit);
                    }
                    () = self.leave.cancelled() => {
                        let held = self.release(living).await;
                        self.sink.flush(Duration::from_secs(1)).await;
                        return Some(held);
                    }
                },
                Phase::Wait { until_ms, last_exit } => {
                    self.set(State::BackingOff { until_ms, last_exit: last_exit.clone() });
                    let left = Duration::from_millis((until_ms - now_ms()).try_into().unwrap_or(0));
                    // A clock that was set back must not make the wait longer.
                    let left = left.min(self.policy.longest_wait.max(self.policy.first_wait));
                    tokio::select! {
                        () = sleep(left) => {
                            self.status.send_modify(|status| {
                                status.state = State::Starting;
                                status.restarts += 1;
                            });
                            Phase::Start
                        }
                        () = self.stop.cancelled() => break None,
                        () = self.leave.cancelled() => {
                            self.sink.flush(Duration::from_secs(1)).await;
                            let program = HeldProgram::BackingOff { until_ms, last_exit };
                            return Some(self.held(program, None));
                        }
                    }
                }
            }
        };
        self.sink.flush(Duration::from_secs(1)).await;
        self.set(State::Stopped { last_exit });
        None
    }

    /// Starts the program, after the end of what an earlier run left.
    async fn start(&self) -> Result<Living, Exit> {
        let not_started = |e: &dyn std::error::Error| Exit::NotStarted(e.to_string());
        if let Some(path) = self.command.pid_file.clone() {
            // It may wait for the kernel, and other programs are supervised on this thread.
            let ended = spawn_blocking(move || leftover::end(&path)).await.map_err(|e| not_started(&e))?;
            match ended {
                Ok(0) => {}
                Ok(count) => self.sink.note(&format!("ended {count} processes of an earlier run")),
                Err(e) => return Err(not_started(&e)),
            }
        }
        let (child, output) = Child::start(&self.command).map_err(|e| not_started(&e))?;
        if let Some((path, file)) = self.command.pid_file.as_ref().zip(PidFile::of(child.pid()))
            && let Err(e) = file.write(path)
        {
            // It still dies with us; only its grandchildren could not be found after a `kill -9`.
            self.sink.note(&format!("cannot keep the process id: {e}"));
        }
        Ok(self.watch(child, now_ms(), Some(Unread { pipe: output.into(), line: Vec::new() })))
    }

    fn watch(&self, child: Child, since_ms: i64, unread: Option<Unread>) -> Living {
        let stop_reading = CancellationToken::new();
        let reader = unread.map(|unread| tokio::spawn(self.sink.reader(unread, stop_reading.clone())));
        self.set(State::Running { pid: child.pid(), since_ms });
        Living { child, since_ms, reader, stop_reading }
    }

    /// Ends a program that does not work.
    async fn replace(&mut self, mut living: Living, Order { why, silent, .. }: Order) -> Phase {
        let lived = living.age().saturating_sub(silent);
        let grace = self.policy.grace.min(LAST_GRACE);
        self.sink.note(&format!("ending the program: {why}"));
        let _ = living.child.stop(grace).await;
        self.end_of_life(living).await;
        self.ended(Exit::Replaced(why), lived)
    }

    /// After the program has ended: its last words, and its pid file.
    async fn end_of_life(&self, living: Living) {
        if let Some(reader) = living.reader {
            // A process that left the group may hold the pipe open, so not for long.
            let _ = timeout(Duration::from_millis(500), reader).await;
        }
        if let Some(path) = &self.command.pid_file {
            let _ = std::fs::remove_file(path);
        }
    }

    /// Notes an end that nobody asked for, and how long the wait before the next start is.
    fn ended(&mut self, exit: Exit, lived: Duration) -> Phase {
        let pause = self.wait.after(lived);
        tracing::warn!(program = %self.command.program.display(), %exit, ?pause, "the program ended");
        self.sink.note(&format!("the program {exit}; starting it again in {pause:?}"));
        let at_ms = now_ms();
        self.status.send_modify(|status| status.last_end = Some(End { at_ms, exit: exit.clone() }));
        let until_ms = at_ms + i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
        Phase::Wait { until_ms, last_exit: exit }
    }

    async fn release(&self, living: Living) -> Held {
        living.stop_reading.cancel();
        let unread = match living.reader {
            Some(reader) => reader.await.ok().flatten(),
            None => None,
        };
        self.held(HeldProgram::Running { pid: living.child.pid(), since_ms: living.since_ms }, unread)
    }

    fn held(&self, program: HeldProgram, unread: Option<Unread>) -> Held {
        let (output, line) = unread.map(|unread| (unread.pipe, unread.line)).unzip();
        let state = HeldState {
            program,
            restarts: self.status.borrow().restarts,
            next_wait_ms: self.wait.next.as_millis().try_into().unwrap_or(u64::MAX),
            unfinished_line: String::from_utf8_lossy(&line.unwrap_or_default()).into_owned(),
            last_end: self.status.borrow().last_end.clone(),
        };
        Held { state, output }
    }

    fn set(&self, state: State) {
        self.status.send_modify(|status| status.state = state);
    }
}

/// The wait before a restart: doubling, bounded, and short again after a healthy life.
struct Wait {
    policy: Policy,
    next: Duration,
}

impl Wait {
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
        let mut wait = Wait { next: policy.first_wait, policy };
        let waits: Vec<u128> = (0..9).map(|_| wait.after(Duration::ZERO).as_millis()).collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]);
        assert_eq!(wait.after(Duration::from_secs(60)).as_millis(), 500);
        assert_eq!(wait.after(Duration::from_secs(59)).as_millis(), 1000);
    }
}

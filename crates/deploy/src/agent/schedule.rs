//! The schedule: operations that begin by themselves, each as a process of its own.
//!
//! A run is `mainstay OPERATION --json` in its own session with a file as its output. So it does not end with this agent, whose
//! program or process it may replace, and it takes the deployment's lock like any other command. What is remembered of the runs is
//! in `run/schedule.json`, for the next agent.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cronexpr::Crontab;
use host::leftover::PidFile;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::timetable::{self, Decision, Past};
use crate::control::protocol::{LastRun, ScheduleEntry, Scheduled};
use crate::error::Error;
use crate::state::ended_runs::{self, EndedRun};
use crate::world::World;

/// The version of the file.
const FORMAT: u32 = 1;

/// How often a run that goes on is looked at.
const WATCH: Duration = Duration::from_secs(1);

/// How long the schedule sleeps at most: the clock may be set.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// What is kept in the file.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Memory {
    format: u32,
    entries: BTreeMap<String, Remembered>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Remembered {
    #[serde(flatten)]
    past: Past,
    last: Option<LastRun>,
    /// The process of a run that has not ended.
    running: Option<PidFile>,
}

/// The schedule of one agent.
pub(super) struct Schedule {
    world: World,
    inner: Mutex<Inner>,
    changed: Notify,
}

#[derive(Default)]
struct Inner {
    entries: Vec<(ScheduleEntry, Crontab)>,
    memory: Memory,
}

impl Schedule {
    /// An empty schedule, with what an earlier agent remembered.
    pub(super) fn new(world: &World) -> Self {
        let text = std::fs::read(file(world)).unwrap_or_default();
        let memory = serde_json::from_slice::<Memory>(&text).ok().filter(|memory| memory.format == FORMAT);
        let memory = memory.unwrap_or(Memory { format: FORMAT, ..Memory::default() });
        let inner = Inner { entries: Vec::new(), memory };
        Self { world: world.clone(), inner: Mutex::new(inner), changed: Notify::new() }
    }

    /// Replaces the entries. What is remembered of an entry stays while its expression does.
    ///
    /// # Errors
    /// An expression is wrong; nothing is replaced then.
    pub(super) fn set(&self, entries: Vec<ScheduleEntry>) -> Result<(), Error> {
        let read = |entry: ScheduleEntry| timetable::read(&entry.cron).map(|cron| (entry, cron));
        let entries = entries.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let mut inner = self.inner();
        let now = Timestamp::now().as_millisecond();
        for (entry, _) in &entries {
            let new = || Past { cron: entry.cron.clone(), decided: now, missed: 0, skipped: 0 };
            let memory = &mut inner.memory.entries;
            let remembered = memory.entry(entry.name.clone());
            let remembered =
                remembered.or_insert_with(|| Remembered { past: new(), last: None, running: None });
            if remembered.past.cron != entry.cron {
                remembered.past = new();
            }
        }
        inner.memory.entries.retain(|name, remembered| {
            remembered.running.is_some() || entries.iter().any(|(entry, _)| entry.name == *name)
        });
        inner.entries = entries;
        self.keep(&inner);
        drop(inner);
        self.changed.notify_one();
        Ok(())
    }

    /// The entries, as they were set.
    pub(super) fn entries(&self) -> Vec<ScheduleEntry> {
        self.inner().entries.iter().map(|(entry, _)| entry.clone()).collect()
    }

    /// Every entry with its next and its last run.
    pub(super) fn status(&self) -> Vec<Scheduled> {
        let inner = self.inner();
        let status = |(entry, cron): &(ScheduleEntry, Crontab)| {
            let remembered = inner.memory.entries.get(&entry.name);
            let decided = remembered.map_or(0, |remembered| remembered.past.decided);
            Scheduled {
                entry: entry.clone(),
                next: timetable::next(entry, cron, decided),
                last: remembered.and_then(|remembered| remembered.last.clone()),
                running: remembered.is_some_and(|remembered| remembered.running.is_some()),
                missed: remembered.map_or(0, |remembered| remembered.past.missed),
                skipped: remembered.map_or(0, |remembered| remembered.past.skipped),
            }
        };
        inner.entries.iter().map(status).collect()
    }

    /// Begins what is due, for ever.
    pub(super) async fn keep_time(&self) {
        loop {
            let sleep = self.tick(Timestamp::now().as_millisecond());
            tokio::select! {
                () = tokio::time::sleep(sleep) => {}
                () = self.changed.notified() => {}
            }
        }
    }

    /// Ends what has ended, begins what is due, and says how long nothing is to be done.
    fn tick(&self, now: i64) -> Duration {
        let mut inner = self.inner();
        let Inner { entries, memory } = &mut *inner;
        let mut sleep = LONGEST_SLEEP;
        let mut changed = false;
        for (name, remembered) in &mut memory.entries {
            let Some(process) = &remembered.running else { continue };
            if let Some(exit) = process.ended() {
                changed = true;
                remembered.running = None;
                if let Some(last) = &mut remembered.last {
                    last.ended = Some(now);
                    last.exit = exit.as_ref().map(|exit| exit.code());
                    self.write_down(name, last);
                    tracing::info!(operation = ?last.arguments, exit = last.exit, "a scheduled run has ended");
                }
            } else {
                sleep = sleep.min(WATCH);
            }
        }
        for (entry, cron) in entries.iter() {
            let Some(remembered) = memory.entries.get_mut(&entry.name) else { continue };
            let runs = remembered.running.is_some();
            let missed = remembered.past.missed;
            let decision = timetable::decide(entry, cron, &mut remembered.past, runs, now);
            let missed = remembered.past.missed - missed;
            if missed > 0 {
                tracing::warn!(entry = entry.name, missed, "no agent was there to begin scheduled runs");
            }
            changed |= decision != Decision::Wait;
            match decision {
                Decision::Wait | Decision::Missed { .. } => {}
                Decision::Skip { .. } => {
                    tracing::warn!(entry = entry.name, "left out: the run before it is still running");
                }
                Decision::Run { due } => {
                    let (arguments, ended) = (entry.arguments.clone(), None);
                    let mut last = LastRun { due, started: now, ended, exit: None, failure: None, arguments };
                    match self.begin(entry) {
                        Ok(process) => remembered.running = Some(process),
                        Err(error) => {
                            tracing::error!(entry = entry.name, %error, "a scheduled run cannot begin");
                            last.ended = Some(now);
                            last.failure = Some(error.what);
                            self.write_down(&entry.name, &last);
                        }
                    }
                    remembered.last = Some(last);
                    sleep = sleep.min(WATCH);
                }
            }
            if let Some(next) = timetable::next(entry, cron, remembered.past.decided) {
                sleep = sleep.min(Duration::from_millis((next - now).max(1).unsigned_abs()));
            }
        }
        if changed {
            self.keep(&inner);
        }
        sleep
    }

    /// Starts the process of a run.
    fn begin(&self, entry: &ScheduleEntry) -> Result<PidFile, Error> {
        let World { layout, mainstay, env, .. } = &self.world;
        let output = layout.log(crate::LogPart::Schedule);
        host::Rotating::new(host::Log::at(&output)).make_room();
        let own = ["leave-session", "--"].map(OsString::from).into_iter().chain([mainstay.into()]);
        let operation = entry.arguments.iter().map(OsString::from);
        let dir = ["--json".into(), "--dir".into(), layout.root().into()];
        let daemon = host::daemon::Daemon {
            program: mainstay.clone(),
            args: own.chain(operation).chain(dir).collect(),
            env: env.clone(),
            cwd: "/".into(),
            output,
        };
        let child = daemon.start()?;
        tracing::info!(entry = entry.name, pid = child.id(), "a scheduled run begins");
        PidFile::of(child.id()).ok_or_else(|| Error::not_ready("its process has gone"))
    }

    /// Puts a run that has ended into the history.
    fn write_down(&self, name: &str, last: &LastRun) {
        let run = EndedRun {
            name: name.to_owned(),
            started: last.started,
            ended: last.ended.unwrap_or(last.started),
            exit: last.exit,
            failure: last.failure.clone(),
        };
        if let Err(error) = ended_runs::add(&self.world.layout.ended_runs(), run) {
            tracing::warn!(%error, "a scheduled run is not in the history");
        }
    }

    /// Writes the file. What cannot be kept is forgotten with this agent, and the runs go on.
    fn keep(&self, inner: &Inner) {
        let path = file(&self.world);
        let text = serde_json::to_vec(&inner.memory).unwrap_or_default();
        if let Err(error) = host::disk::atomic_write(&path, &text, 0o600, None) {
            tracing::warn!(%error, "the last runs cannot be kept");
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn file(world: &World) -> PathBuf {
    world.layout.run().join("schedule.json")
}

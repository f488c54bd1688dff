//! The limits of a process of a function with everything that it started: they hold as long as it lives, during a call and between two.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use host::guest::Watch;
use tokio::time::interval;

use super::bounds::{FILES_MAX, PROCESSES_MAX};
use super::failure::Failure;

/// The time between two looks at what a process uses during a call.
const LOOK: Duration = Duration::from_millis(100);
/// Each how many looks its files are looked at.
const FILES: u32 = 5;
/// Each how many looks it is looked at at all between two calls.
const IDLE: u32 = 10;

/// What a process may use, and whether it has used more.
#[derive(Debug)]
pub(super) struct Limits {
    /// Bytes of memory.
    memory: u64,
    /// The directory that it writes in.
    work: PathBuf,
    is_busy: AtomicBool,
    broken: Mutex<Option<Failure>>,
}

impl Limits {
    /// For a process that starts, which counts as busy.
    pub(super) fn new(memory: u64, work: PathBuf) -> Arc<Self> {
        Arc::new(Self { memory, work, is_busy: AtomicBool::new(true), broken: Mutex::default() })
    }

    /// Says whether it works on a call.
    pub(super) fn busy(&self, is_busy: bool) {
        self.is_busy.store(is_busy, Ordering::Relaxed);
    }

    /// The limit that it broke. It is ended then.
    pub(super) fn broken(&self) -> Option<Failure> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks until the process ends, and ends it if it uses more than it may. `between_calls` is told what it broke when no call is there
    /// to be told.
    pub(super) async fn keep(self: Arc<Self>, mut watch: Watch, between_calls: impl FnOnce(&Failure)) {
        let mut tick = interval(LOOK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        for look in 0_u32.. {
            let seen = watch.clone();
            tokio::select! {
                () = watch.ended() => return,
                _ = tick.tick() => {}
            }
            let is_busy = self.is_busy.load(Ordering::Relaxed);
            if !is_busy && !look.is_multiple_of(IDLE) {
                continue;
            }
            let this = self.clone();
            let found =
                tokio::task::spawn_blocking(move || this.excess(&seen, look.is_multiple_of(FILES))).await;
            let Ok(Some(failure)) = found else { continue };
            if !self.is_busy.load(Ordering::Relaxed) {
                between_calls(&failure);
            }
            *self.broken.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
            watch.end();
            return;
        }
    }

    /// What it uses more of than it may.
    fn excess(&self, watch: &Watch, with_files: bool) -> Option<Failure> {
        let (usage, limit) = (watch.usage(), self.memory);
        if usage.memory > limit {
            return Some(Failure::Memory { used: usage.memory, limit });
        }
        if usage.processes > PROCESSES_MAX {
            return Some(Failure::Processes(usage.processes));
        }
        let named = if with_files { host::guest::size_of(&self.work) } else { 0 };
        let used = named.saturating_add(usage.nameless);
        (used > FILES_MAX).then_some(Failure::Files { used, limit: FILES_MAX })
    }
}

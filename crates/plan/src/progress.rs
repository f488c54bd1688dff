//! How far a step has come.

use serde::{Deserialize, Serialize};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::mpsc;

/// Reports from inside a running action to the engine's reader.
///
/// Cheap to clone and free to move to another thread. A courtesy, never a record: reports come at most ten
/// times a second, and are dropped rather than waited for when the reader is slow.
#[derive(Debug, Clone)]
pub struct Progress {
    reports: mpsc::Sender<Report>,
    begun: Instant,
    /// Milliseconds after `begun` before which no further amount is sent.
    not_before: Arc<AtomicU64>,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Bytes, printed as sizes.
    Bytes,
    /// Things: files, rows, checks.
    Items,
}

#[derive(Debug)]
pub(crate) enum Report {
    Amount { done: u64, total: Option<u64>, unit: Unit },
    Said(String),
    Waiting { text: String, ms: u64 },
}

const INTERVAL: Duration = Duration::from_millis(100);
const WAITING_REPORTS: usize = 64;

impl Progress {
    pub(crate) fn channel() -> (Self, mpsc::Receiver<Report>) {
        let (reports, inbox) = mpsc::channel(WAITING_REPORTS);
        (Self { reports, begun: Instant::now(), not_before: Arc::default() }, inbox)
    }

    /// A progress nobody reads, for calling an action without an engine.
    pub fn silent() -> Self {
        Self::channel().0
    }

    /// `done` of `total` so far. `None`: how much there will be is not known.
    pub fn at(&self, done: u64, total: impl Into<Option<u64>>, unit: Unit) {
        let total = total.into();
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let complete = total.is_some_and(|total| done >= total);
        if complete || now >= self.not_before.load(Ordering::Relaxed) {
            let next = now.saturating_add(INTERVAL.as_millis() as u64);
            self.not_before.store(next, Ordering::Relaxed);
            self.send(Report::Amount { done, total, unit });
        }
    }

    /// What is being done now, as a short sentence.
    pub fn say(&self, text: impl Into<String>) {
        self.send(Report::Said(text.into()));
    }

    /// What the step waits for, as a sentence, and for how long already: told also where no progress is shown.
    pub fn waits(&self, text: impl Into<String>, waited: Duration) {
        let ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
        self.send(Report::Waiting { text: text.into(), ms });
    }

    fn send(&self, report: Report) {
        // Full or closed: the report is not worth a wait.
        let _ = self.reports.try_send(report);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_loop_sends_its_first_and_its_last_amount() {
        let (progress, mut inbox) = Progress::channel();
        for done in 0..=1_000 {
            progress.at(done, 1_000, Unit::Items);
        }
        let mut seen = Vec::new();
        while let Ok(Report::Amount { done, .. }) = inbox.try_recv() {
            seen.push(done);
        }
        assert_eq!((seen.first(), seen.last()), (Some(&0), Some(&1_000)));
        assert!(seen.len() < 100, "{} reports are not throttled", seen.len());
    }
}

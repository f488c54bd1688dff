//! Collects the checks of a run while it runs.

use std::future::Future;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use url::Url;

use crate::diagnosis::diagnosis;
use crate::report::{Check, Outcome};
use crate::symptom::Fault;

/// What a check is called and which requirement it tests.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    pub name: &'static str,
    pub title: &'static str,
    pub clause: Option<&'static str>,
}

/// A check that the following ones need has failed; holds its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stop(pub &'static str);

impl Stop {
    /// Why the following checks are skipped.
    pub(crate) fn why(self) -> String {
        format!("needs `{}`", self.0)
    }
}

/// A check's result before it is recorded.
pub(crate) struct Timed<T> {
    result: Result<T, Fault>,
    took: Duration,
}

impl<T> Timed<T> {
    /// What was seen, if it failed.
    pub(crate) fn fault(&self) -> Option<&Fault> {
        self.result.as_ref().err()
    }
}

/// Runs a check without recording it yet.
pub(crate) async fn timed<T>(work: impl Future<Output = Result<T, Fault>>) -> Timed<T> {
    let start = Instant::now();
    let result = work.await;
    Timed { result, took: start.elapsed() }
}

/// Collects checks, and shows each to the caller as it ends.
pub(crate) struct Log<'e> {
    site: Url,
    inner: Mutex<Inner<'e>>,
}

struct Inner<'e> {
    checks: Vec<Check>,
    notes: Vec<(&'static str, String)>,
    screenshots: Vec<(&'static str, PathBuf)>,
    events: Box<dyn FnMut(&Check) + Send + 'e>,
}

impl<'e> Log<'e> {
    pub(crate) fn new(site: Url, events: impl FnMut(&Check) + Send + 'e) -> Self {
        let inner = Inner {
            checks: Vec::new(),
            notes: Vec::new(),
            screenshots: Vec::new(),
            events: Box::new(events),
        };
        Self { site, inner: Mutex::new(inner) }
    }

    /// Runs a check and records how it ended.
    pub(crate) async fn check<T>(
        &self,
        kind: &'static Kind,
        work: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Stop> {
        self.settle(kind, timed(work).await)
    }

    /// Records a check that ran at the same time as another.
    pub(crate) fn settle<T>(&self, kind: &'static Kind, work: Timed<T>) -> Result<T, Stop> {
        let (outcome, result) = match work.result {
            Ok(value) => (Outcome::Ok, Ok(value)),
            Err(fault) => {
                tracing::info!(check = kind.name, "{fault}");
                (Outcome::Failed(diagnosis(&fault, &self.site)), Err(Stop(kind.name)))
            }
        };
        self.record(kind, outcome, work.took);
        result
    }

    /// Records a check as ok, with a remark.
    pub(crate) fn ok(&self, kind: &'static Kind, note: String) {
        self.note(kind, note);
        self.record(kind, Outcome::Ok, Duration::ZERO);
    }

    /// Records a check that could not be run.
    pub(crate) fn skip(&self, kind: &'static Kind, why: impl Into<String>) {
        self.record(kind, Outcome::Skipped { why: why.into() }, Duration::ZERO);
    }

    /// Records a check of what the deployment's settings switch off.
    pub(crate) fn off(&self, kind: &'static Kind, why: impl Into<String>) {
        self.record(kind, Outcome::Off { why: why.into() }, Duration::ZERO);
    }

    /// Adds a remark to a check that is still running.
    pub(crate) fn note(&self, kind: &'static Kind, text: impl Into<String>) {
        self.inner().notes.push((kind.name, text.into()));
    }

    /// Adds the screenshot to a check that is still running.
    pub(crate) fn screenshot(&self, kind: &'static Kind, path: PathBuf) {
        self.inner().screenshots.push((kind.name, path));
    }

    /// Whether a check was recorded, ok or not.
    pub(crate) fn has(&self, kind: &'static Kind) -> bool {
        self.inner().checks.iter().any(|check| check.name == kind.name)
    }

    /// The name of the first failed check.
    pub(crate) fn first_failed(&self) -> Option<&'static str> {
        let inner = self.inner();
        let failed = |check: &&Check| matches!(check.outcome, Outcome::Failed(_));
        inner.checks.iter().find(failed).map(|check| check.name)
    }

    /// The checks in the order of `plan`.
    pub(crate) fn finish(self, plan: &[&'static Kind]) -> Vec<Check> {
        let inner = self.inner.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut checks = inner.checks;
        checks.sort_by_key(|check| plan.iter().position(|kind| kind.name == check.name));
        checks
    }

    fn record(&self, kind: &'static Kind, outcome: Outcome, took: Duration) {
        let mut inner = self.inner();
        let of_this = |name: &str| name == kind.name;
        let notes = inner.notes.extract_if(.., |(name, _)| of_this(name)).map(|(_, text)| text).collect();
        let screenshot =
            inner.screenshots.extract_if(.., |(name, _)| of_this(name)).map(|(_, path)| path).last();
        let check = Check {
            name: kind.name,
            title: kind.title,
            outcome,
            ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            clause: kind.clause,
            notes,
            screenshot,
        };
        (inner.events)(&check);
        inner.checks.push(check);
    }

    fn inner(&self) -> MutexGuard<'_, Inner<'e>> {
        // A panic in the caller's printer must not lose the report.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! How the last backup, check and drill of a deployment ended, for `status`.

use jiff::Timestamp;
use plan::Lock;
use serde::Serialize;

use crate::state::backups::choice::Choice;
use crate::state::backups::record::{Attempt, Record, Work};
use crate::world::World;

/// How the last backups of a deployment ended.
#[derive(Debug, Clone, Serialize)]
pub struct Backups {
    /// What is written down.
    #[serde(flatten)]
    pub record: Record,
    /// What failed and has not succeeded since.
    pub failing: Vec<FailingBackup>,
    /// Whether `status --check` fails for it.
    pub watched: bool,
}

/// A backup, check or drill that failed last.
#[derive(Debug, Clone, Serialize)]
pub struct FailingBackup {
    /// Which of them, in words.
    pub work: &'static str,
    /// When it began.
    pub began: Timestamp,
    /// Why.
    pub why: String,
}

/// How the last backups ended. What cannot be read is left out: the command that needs it says why.
pub(crate) fn backups(world: &World) -> Option<Backups> {
    let record = Record::read(&world.layout).ok().filter(|record| *record != Record::default())?;
    // What still runs has not failed.
    let runs = Lock::present_holder(&world.layout.lock()).ok().flatten().map(|holder| holder.operation);
    let is_over =
        |work: Work, attempt: &Attempt| attempt.ended.is_some() || runs.as_deref() != Some(work.operation());
    let failing = record.failures().into_iter().filter(|(work, attempt, _)| is_over(*work, attempt));
    let failing =
        failing.map(|(work, attempt, why)| FailingBackup { work: work.word(), began: attempt.began, why });
    let failing = failing.collect();
    let watched = Choice::of(world, None).is_ok_and(|choice| choice.watch);
    Some(Backups { record, failing, watched })
}

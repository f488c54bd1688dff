//! A repository of backups that has lost parts is made fit for new snapshots.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use backup::Watch;
use plan::{Progress, Step, Undo, Unit};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Action, endable, step};
use crate::error::Error;
use crate::state::backups::access::{Access, Elsewhere, told};
use crate::world::World;

/// What the last one came to, in `run`.
pub(crate) const MENDED: &str = "mended.json";

/// What a repair did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mended {
    /// Packs that are gone.
    pub missing: Vec<String>,
    /// Files of the repository that were not what was written, and are below `damaged` there now.
    pub set_aside: Vec<String>,
    /// The snapshots that were found to have lost data.
    pub lost: Vec<LostSnapshot>,
    /// How many snapshots have lost nothing.
    pub whole: usize,
    /// The snapshots that were removed, in full.
    pub removed: Vec<String>,
}

/// A snapshot that has lost data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostSnapshot {
    /// The id that it had, in full.
    pub was: String,
    /// The id of what is left of it; `None` = nothing is.
    pub snapshot: Option<String>,
    /// When it was taken.
    pub taken: jiff::Timestamp,
    /// Files that it had.
    pub files: u64,
    /// Files of it that are whole.
    pub left: u64,
}

impl From<backup::Lost> for LostSnapshot {
    fn from(lost: backup::Lost) -> Self {
        let backup::Lost { was, id, time, had, left } = lost;
        Self { was, snapshot: id, taken: time, files: had, left }
    }
}

/// Makes the indexes of the repository name what is there, and marks the snapshots that have lost data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mending {
    /// Where the repository is.
    pub location: String,
    /// Whether every pack is read.
    pub reads_all: bool,
    /// Whether the snapshots that have lost data are removed.
    pub forgets: bool,
    /// Whether a lock that another host left in the repository is taken over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub takes_over: bool,
}

impl Mending {
    pub(crate) fn step(self, ms: u64) -> Step<Action> {
        let undo = match self.forgets {
            true => Undo::impossible("a snapshot that was removed is gone"),
            false => Undo::Nothing,
        };
        let removed = if self.forgets { ", and remove the snapshots that have lost data" } else { "" };
        let title = format!("Make the indexes in {} name what is there{removed}", self.location);
        step("mending", title, undo, ms, self)
    }

    pub(super) async fn apply(&self, world: &World, progress: &Progress) -> Result<Value, Error> {
        let ends = Arc::new(AtomicBool::new(false));
        let watch = Shown { progress: progress.clone(), ends: Arc::clone(&ends) };
        let (world, this) = (world.clone(), self.clone());
        let work = move || {
            let repository = Access::of(&world, &Elsewhere::default())?.open()?;
            let writer = repository.writer("backup repair", this.takes_over).map_err(told)?;
            let mut repaired = repository.repair(&writer, this.reads_all, &watch).map_err(told)?;
            let damaged = repository.snapshots().map_err(told)?.into_iter().filter(|one| one.damaged);
            let damaged: Vec<String> = damaged.map(|one| one.id).collect();
            let removed = if this.forgets { damaged } else { Vec::new() };
            repository.forget(&writer, &removed).map_err(told)?;
            let lost = std::mem::take(&mut repaired.lost).into_iter().map(LostSnapshot::from).collect();
            let backup::Repaired { missing, set_aside, whole, .. } = repaired;
            let mended = Mended { missing, set_aside, lost, whole, removed };
            let report = serde_json::to_value(&mended).unwrap_or_default();
            let text = report.to_string();
            host::disk::atomic_write(&world.layout.run().join(MENDED), text.as_bytes(), 0o600, None)?;
            Ok(report)
        };
        endable(work, || ends.store(true, Ordering::Relaxed)).await
    }

    pub(super) async fn undo(&self, _: &World, _: Option<&Value>) -> Result<(), Error> {
        Ok(())
    }
}

struct Shown {
    progress: Progress,
    ends: Arc<AtomicBool>,
}

impl Watch for Shown {
    fn bytes(&self, done: u64, total: Option<u64>) {
        self.progress.at(done, total, Unit::Bytes);
    }

    fn cancelled(&self) -> bool {
        self.ends.load(Ordering::Relaxed)
    }
}

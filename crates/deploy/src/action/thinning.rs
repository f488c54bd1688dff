//! Snapshots that are not kept, and the space of what no snapshot needs.

use std::sync::Arc;

use backup::Watch;
use plan::{Progress, Step, Undo, Unit};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Action, blocking, step};
use crate::error::Error;
use crate::state::backups::access::{Access, Elsewhere, told};
use crate::world::World;

/// Takes the right to write to the repository, and gives it back: what cannot be written to is told before anything is removed there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepositoryLock {
    /// Where the repository is.
    pub location: String,
    /// Whether a lock that another host left in the repository is taken over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub takes_over: bool,
}

impl RepositoryLock {
    pub(crate) fn step(self) -> Step<Action> {
        let title = format!("Look whether {} can be written to", self.location);
        step("repository-lock", title, Undo::Nothing, 300, self)
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let (world, this) = (world.clone(), self.clone());
        blocking(move || {
            let repository = Access::of(&world, &Elsewhere::default())?.open()?;
            repository.writer("backup prune", this.takes_over).map(drop).map_err(told)
        })
        .await
        .map(|()| Value::Null)
    }

    pub(super) async fn undo(&self, _: &World, _: Option<&Value>) -> Result<(), Error> {
        Ok(())
    }
}

/// Removes snapshots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forgetting {
    /// Their ids, in full.
    pub snapshots: Vec<String>,
    /// Whether a lock that another host left in the repository is taken over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub takes_over: bool,
}

impl Forgetting {
    pub(crate) fn step(self) -> Step<Action> {
        let short: Vec<&str> = self.snapshots.iter().map(|id| &id[..id.len().min(8)]).collect();
        let title = format!("Remove the snapshots {}", short.join(", "));
        step("forgetting", title, Undo::impossible("a snapshot that was removed is gone"), 500, self)
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let (world, this) = (world.clone(), self.clone());
        blocking(move || {
            let repository = Access::of(&world, &Elsewhere::default())?.open()?;
            // After a kill some of them are gone already.
            let there = repository.snapshots().map_err(told)?;
            let left: Vec<String> =
                there.into_iter().map(|one| one.id).filter(|id| this.snapshots.contains(id)).collect();
            let writer = repository.writer("backup prune", this.takes_over).map_err(told)?;
            repository.forget(&writer, &left).map_err(told)
        })
        .await
        .map(|()| Value::Null)
    }

    pub(super) async fn undo(&self, _: &World, _: Option<&Value>) -> Result<(), Error> {
        Ok(())
    }
}

/// Frees the space of what no snapshot needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freeing {
    /// Also what somebody may still be reading.
    pub at_once: bool,
    /// Whether a lock that another host left in the repository is taken over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub takes_over: bool,
}

impl Freeing {
    pub(crate) fn step(self) -> Step<Action> {
        step("freeing", "Free the space of what no snapshot needs", Undo::Nothing, 2000, self)
    }

    /// What cannot be freed now is freed next time: no snapshot that was removed comes back for it.
    pub(super) async fn apply(&self, world: &World, progress: &Progress) -> Result<Value, Error> {
        let (world, this, watch) = (world.clone(), self.clone(), Shown(progress.clone()));
        blocking(move || {
            let free = || {
                let repository = Access::of(&world, &Elsewhere::default())?.open()?;
                let writer = repository.writer("backup prune", this.takes_over).map_err(told)?;
                let watch: Arc<dyn Watch> = Arc::new(watch);
                repository.prune(&writer, this.at_once, &watch).map_err(told)
            };
            let freed: Result<backup::Pruned, Error> = free();
            let report = match &freed {
                Ok(pruned) => json!({"freed": pruned.freed, "later": pruned.later}),
                Err(error) => json!({"failure": error.what}),
            };
            let text = report.to_string();
            host::disk::atomic_write(&world.layout.run().join(FREED), text.as_bytes(), 0o600, None)?;
            Ok(report)
        })
        .await
    }

    pub(super) async fn undo(&self, _: &World, _: Option<&Value>) -> Result<(), Error> {
        Ok(())
    }
}

/// What the last one came to, in `run`.
pub(crate) const FREED: &str = "freed.json";

struct Shown(Progress);

impl Watch for Shown {
    fn bytes(&self, done: u64, total: Option<u64>) {
        self.0.at(done, total, Unit::Bytes);
    }
}

//! The end of a restore: what was fetched and not used goes.

use plan::{Progress, Step, Undo};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Action, blocking, step};
use crate::error::Error;
use crate::world::World;

/// Removes `restoring`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchedCopy {
    /// The directory below `set-aside` that has what was there before.
    pub into: String,
}

impl FetchedCopy {
    pub(crate) fn step(self) -> Step<Action> {
        step("fetched-copy", "Remove what is left in restoring", Undo::Nothing, 50, self)
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let restoring = world.layout.restoring();
        blocking(move || Ok(host::disk::remove_tree(&restoring)?)).await.map(|()| Value::Null)
    }

    pub(super) async fn undo(&self, _: &World, _: Option<&Value>) -> Result<(), Error> {
        Ok(())
    }
}

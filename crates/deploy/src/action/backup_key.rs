//! The key of the backups.

use backup::Repository;
use plan::{Progress, Step, Undo};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Action, blocking, step};
use crate::error::Error;
use crate::state::backups::access::{Access, Elsewhere};
use crate::state::backups::key::make;
use crate::world::World;

/// Makes the key of the backups; in a plan only where there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupKey {}

impl BackupKey {
    pub(crate) fn step() -> Step<Action> {
        step("backup-key", "Make backup.key, the key of the backups", Undo::by("Remove it"), 10, Self {})
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let layout = world.layout.clone();
        blocking(move || make(&layout)).await.map(|()| Value::Null)
    }

    /// A repository that could not be removed needs its key.
    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        let world = world.clone();
        blocking(move || {
            let access = Access::of(&world, &Elsewhere::default());
            let is_free = access
                .is_ok_and(|access| Repository::exists(access.store().as_ref()).is_ok_and(|exists| !exists));
            match is_free {
                true => Ok(host::disk::remove_file(&world.layout.backup_key())?),
                false => Ok(()),
            }
        })
        .await
    }
}

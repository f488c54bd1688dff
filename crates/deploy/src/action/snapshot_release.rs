//! The release that a snapshot has with it.

use plan::{Progress, Step, Undo};
use release::ReleaseId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::removal::rename;
use super::{Action, blocking, step};
use crate::error::Error;
use crate::state::restoring::RELEASES;
use crate::world::World;

/// Moves a release that was fetched to where releases are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotRelease {
    /// Which.
    pub release: ReleaseId,
}

impl SnapshotRelease {
    pub(crate) fn step(self) -> Step<Action> {
        let title = format!("Install {} from the snapshot", self.release);
        step("snapshot-release", title, Undo::by("Move it back"), 10, self)
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let (from, to) = self.paths(world);
        blocking(move || {
            if let Some(parent) = to.parent() {
                crate::place::machine::make_dir(parent, 0o755, None)?;
            }
            rename(&from, &to)
        })
        .await
        .map(|()| Value::Null)
    }

    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        let (from, to) = self.paths(world);
        blocking(move || rename(&to, &from)).await
    }

    fn paths(&self, world: &World) -> (std::path::PathBuf, std::path::PathBuf) {
        let name = self.release.to_string();
        let fetched = world.layout.restoring().join(RELEASES).join(&name);
        (fetched, world.layout.releases().join(name))
    }
}

//! `VERSION` in a container's volume: which server last used it.

use std::path::PathBuf;

use plan::{Progress, Step, Undo};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use version::Version;

use super::{Action, blocking, step};
use crate::error::{Error, Exit};
use crate::world::World;

/// Writes the version that uses the volume from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeVersion {
    /// The server's.
    pub version: Version,
    /// What the file said; `None` = there was none.
    pub before: Option<String>,
}

impl VolumeVersion {
    pub(crate) fn step(self) -> Step<Action> {
        let undo = if self.before.is_some() { "Put it back" } else { "Remove it" };
        step("volume-version", "Write the server's version into VERSION", Undo::by(undo), 10, self)
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let (path, text) = (path(world)?, format!("{}\n", self.version));
        blocking(move || Ok(host::disk::atomic_write(&path, text.as_bytes(), 0o644, None)?))
            .await
            .map(|()| Value::Null)
    }

    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        let (path, before) = (path(world)?, self.before.clone());
        blocking(move || match before {
            Some(text) => Ok(host::disk::atomic_write(&path, text.as_bytes(), 0o644, None)?),
            None => Ok(host::disk::remove_file(&path)?),
        })
        .await
    }
}

fn path(world: &World) -> Result<PathBuf, Error> {
    let path = world.layout.volume_version();
    path.ok_or_else(|| Error::new(Exit::Bug, "only a container's volume says which server used it"))
}

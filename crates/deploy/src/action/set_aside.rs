//! What is left of a deployment, moved away so that an empty one can begin. Nothing is deleted.

use std::path::PathBuf;

use container_contract::VOLUME;
use plan::{Progress, Step, Undo};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::removal::rename;
use super::{Action, blocking, step};
use crate::error::Error;
use crate::place::machine::make_dir;
use crate::world::World;

/// Moves files and directories of the deployment into `set-aside`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetAside {
    /// Their names below the deployment's directory.
    pub names: Vec<String>,
    /// Names in a container's volume, beside the deployment's directory.
    pub volume: Vec<String>,
    /// The directory below `set-aside` that they are moved into.
    pub into: String,
}

impl SetAside {
    pub(crate) fn step(self) -> Step<Action> {
        let names = self.names.iter().chain(&self.volume).map(String::as_str).collect::<Vec<_>>();
        // Without the time, so that the same plan has the same title.
        let title = format!("Move aside into set-aside: {}", names.join(", "));
        step("set-aside", title, Undo::by("Move them back"), 20, self)
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let moves = self.moves(world);
        blocking(move || {
            moves.iter().try_for_each(|(from, to)| {
                if let Some(dir) = to.parent() {
                    make_dir(dir, 0o700, None)?;
                }
                rename(from, to)
            })
        })
        .await
        .map(|()| Value::Null)
    }

    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        let (moves, all) = (self.moves(world), world.layout.set_aside());
        let into = all.join(&self.into);
        blocking(move || {
            moves.iter().rev().try_for_each(|(from, to)| rename(to, from))?;
            // Only where they are empty; what else is there stays.
            for dir in [into.join("run"), into.join("volume"), into.join("data"), into.clone(), all] {
                let _ = std::fs::remove_dir(dir);
            }
            Ok(())
        })
        .await
    }

    /// From where to where.
    fn moves(&self, world: &World) -> Vec<(PathBuf, PathBuf)> {
        let (root, into) = (world.layout.root(), world.layout.set_aside().join(&self.into));
        let own = self.names.iter().map(|name| (root.join(name), into.join(name)));
        let volume = PathBuf::from(VOLUME);
        let files = self.volume.iter().map(|name| (volume.join(name), into.join("volume").join(name)));
        own.chain(files).collect()
    }
}

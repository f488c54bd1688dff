//! Databases that the deployment has left, and that nobody needs any more.

use std::path::PathBuf;

use plan::{Progress, Step, Undo};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::removal::rename;
use super::{Action, blocking, size, step};
use crate::error::Error;
use crate::place::machine::make_dir;
use crate::state::kept_database::OldDatabase;
use crate::world::World;

/// Moves them to where what is not needed is deleted, after the plan is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OldDatabases {
    /// Their directories below `set-aside`.
    pub names: Vec<String>,
    /// The directory that they are moved into; each plan has its own.
    pub aside: String,
}

impl OldDatabases {
    pub(crate) fn of(names: Vec<String>) -> Self {
        Self { names, aside: format!("{:016x}", rand::random::<u64>()) }
    }

    pub(crate) fn step(self, all: &[OldDatabase]) -> Step<Action> {
        let words = |old: &OldDatabase| {
            format!("{} of {:.0} ({}, {})", old.name, old.kept.at, old.kept.from, size(old.bytes))
        };
        let words = all.iter().map(words).collect::<Vec<_>>().join("; ");
        let title = format!("Move aside, to be deleted for good after this plan: {words}");
        step("old-databases", title, Undo::by("Move them back"), 20, self)
    }

    /// Every directory: where it is, and where it is moved to.
    fn moves(&self, world: &World) -> (PathBuf, Vec<(PathBuf, PathBuf)>) {
        let (from, aside) = (world.layout.set_aside(), world.layout.unneeded().join(&self.aside));
        let moves = self.names.iter().map(|name| (from.join(name), aside.join(name))).collect();
        (aside, moves)
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let (aside, moves) = self.moves(world);
        blocking(move || {
            make_dir(&aside, 0o700, None)?;
            moves.iter().try_for_each(|(from, to)| rename(from, to))
        })
        .await
        .map(|()| Value::Null)
    }

    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        let (aside, moves) = self.moves(world);
        blocking(move || {
            moves.iter().rev().try_for_each(|(from, to)| rename(to, from))?;
            let _ = std::fs::remove_dir(&aside);
            let _ = aside.parent().map(std::fs::remove_dir);
            Ok(())
        })
        .await
    }
}

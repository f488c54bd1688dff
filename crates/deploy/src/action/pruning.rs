//! Releases that nobody needs any more.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use plan::{Progress, Step, Undo};
use release::ReleaseId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::removal::rename;
use super::{Action, blocking, step};
use crate::error::Error;
use crate::place::machine::make_dir;
use crate::world::World;

/// Moves releases to where what is not needed is deleted, after the plan is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pruning {
    /// Which.
    pub releases: Vec<ReleaseId>,
    /// Those of which the state that was kept for `rollback` goes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<ReleaseId>,
    /// The directory that they are moved into; each plan has its own.
    pub aside: String,
}

impl Pruning {
    pub(crate) fn of(releases: Vec<ReleaseId>, states: Vec<ReleaseId>) -> Self {
        Self { releases, states, aside: format!("{:016x}", rand::random::<u64>()) }
    }

    pub(crate) fn step(self) -> Step<Action> {
        let states =
            self.states.iter().map(|state| format!("the state of {state} that is kept for `rollback`"));
        let names: Vec<String> = self.releases.iter().map(ToString::to_string).chain(states).collect();
        let title = format!("Move aside, to be deleted for good after this plan: {}", names.join(", "));
        step("pruning", title, Undo::by("Move them back"), 20, self)
    }

    /// Every release: where it is, and where it is moved to.
    fn moves(&self, world: &World) -> (PathBuf, Vec<(PathBuf, PathBuf)>) {
        let aside = world.layout.unneeded().join(&self.aside);
        let releases = world.layout.releases();
        let names = self.releases.iter().map(ToString::to_string);
        let moves = names.map(|name| (releases.join(&name), aside.join(&name))).collect();
        (aside, moves)
    }

    /// Every kept state: where it is, and where it is moved to.
    fn moves_of_states(&self, world: &World) -> Vec<(PathBuf, PathBuf)> {
        let aside = world.layout.unneeded().join(&self.aside);
        let names = self.states.iter().map(ToString::to_string);
        names.map(|name| (world.layout.rollback().join(&name), aside.join(format!("state-{name}")))).collect()
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let ((aside, moves), states) = (self.moves(world), self.moves_of_states(world));
        blocking(move || {
            make_dir(&aside, 0o700, None)?;
            states.iter().try_for_each(|(from, to)| rename(from, to))?;
            moves.iter().try_for_each(|(from, to)| {
                // A directory that is read-only cannot be moved to another one.
                mode(from, 0o755)?;
                rename(from, to)
            })
        })
        .await
        .map(|()| Value::Null)
    }

    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        let ((aside, moves), states) = (self.moves(world), self.moves_of_states(world));
        blocking(move || {
            states.iter().try_for_each(|(from, to)| rename(to, from))?;
            moves.iter().rev().try_for_each(|(from, to)| {
                rename(to, from)?;
                mode(from, 0o555)
            })?;
            let _ = std::fs::remove_dir(&aside);
            let _ = aside.parent().map(std::fs::remove_dir);
            Ok(())
        })
        .await
    }
}

fn mode(path: &Path, mode: u32) -> Result<(), Error> {
    if path.symlink_metadata().is_err() {
        return Ok(());
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
        .map_err(|error| Error::path("change", path, &error))
}

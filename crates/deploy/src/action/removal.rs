//! Taking a deployment away, in a way that can be taken back.

use std::path::{Path, PathBuf};

use plan::{Progress, Step, Undo};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Action, blocking, step};
use crate::error::{Error, reason};
use crate::place::machine::make_dir;
use crate::world::World;

/// Moves entries of the directory aside; what is aside is deleted only after the plan is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    /// Names at the top of the deployment's directory.
    pub names: Vec<String>,
    /// The directory below `run/aside` that they are moved into. Each plan has its own, so that nothing is in the way there.
    pub aside: String,
}

impl Removal {
    /// `user` is a system user that is deleted after the plan, too.
    pub(crate) fn step(self, user: Option<&str>) -> Step<Action> {
        let user = user.map_or_else(String::new, |user| format!("; and the system user {user}"));
        let names = self.names.join(", ");
        let title = format!("Move aside, to be deleted for good after this plan: {names}{user}");
        step("removal", title, Undo::by("Move them back"), 20, self)
    }

    /// The removal of these names, into a directory that nobody else uses.
    pub(crate) fn of(names: Vec<String>) -> Self {
        Self { names, aside: format!("{:016x}", rand::random::<u64>()) }
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let (names, root, aside) = (self.names.clone(), world.layout.root().to_owned(), self.place(world));
        blocking(move || {
            make_dir(&aside, 0o700, None)?;
            names.iter().try_for_each(|name| rename(&root.join(name), &aside.join(name)))
        })
        .await
        .map(|()| Value::Null)
    }

    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        let (names, root, aside) = (self.names.clone(), world.layout.root().to_owned(), self.place(world));
        blocking(move || names.iter().rev().try_for_each(|name| rename(&aside.join(name), &root.join(name))))
            .await
    }

    fn place(&self, world: &World) -> PathBuf {
        world.layout.aside().join(&self.aside)
    }
}

/// Moves what is there and never onto something else; what has been moved already stays where it is.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    if from.symlink_metadata().is_err() {
        return Ok(());
    }
    if to.symlink_metadata().is_ok() {
        return Err(Error::not_ready(format!(
            "cannot move {} to {}: something is there already",
            from.display(),
            to.display()
        ))
        .hint("look at both, keep the right one, then run the command again"));
    }
    std::fs::rename(from, to)
        .map_err(|error| Error::not_ready(format!("cannot move {}: {}", from.display(), reason(&error))))
}

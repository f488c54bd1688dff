//! Taking a deployment away, in a way that can be taken back.

use std::path::{Path, PathBuf};

use plan::{Progress, Step, Undo};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Action, blocking, step};
use crate::error::{Error, reason};
use crate::place::layout::Layout;
use crate::place::machine::make_dir;
use crate::place::postgres::DIRECTORY;
use crate::world::World;

/// Moves entries of the directory aside; what is aside is deleted only after the plan is done.
///
/// The last act is to move all of them together to where they are deleted. So whoever finds something there, and no unfinished run, knows
/// that the deletion was interrupted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    /// Names at the top of the deployment's directory.
    pub names: Vec<String>,
    /// The directory below `run/aside` that they are moved into. Each plan has its own, so that nothing is in the way there.
    pub aside: String,
    /// Whether the deployment's data stays, so that a later `up` goes on with it.
    #[serde(default)]
    pub keeps_data: bool,
}

impl Removal {
    /// `users` are system users that are deleted after the plan, too.
    pub(crate) fn step(self, users: &[&str]) -> Step<Action> {
        let user: String = users.iter().map(|user| format!("; and the system user {user}")).collect();
        let holds_database = self.names.iter().any(|name| name == DIRECTORY);
        let database = if holds_database { " (with the whole database)" } else { "" };
        let goes = |name: &str| self.names.iter().any(|one| one == name);
        let backups = match (goes(Layout::REPOSITORY), goes(Layout::BACKUP_KEY)) {
            (true, _) => " (with all backups in it, and their key)",
            (false, true) => " (with the key of the backups, without which nobody restores them)",
            (false, false) => "",
        };
        let names = self.names.join(", ");
        let title =
            format!("Move aside, to be deleted for good after this plan: {names}{database}{backups}{user}");
        step("removal", title, Undo::by("Move them back"), 20, self)
    }

    /// The removal of these names, into a directory that nobody else uses.
    pub(crate) fn of(names: Vec<String>, keeps_data: bool) -> Self {
        Self { names, aside: format!("{:016x}", rand::random::<u64>()), keeps_data }
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let (names, root, aside) = (self.names.clone(), world.layout.root().to_owned(), self.place(world));
        let end = self.end(world);
        blocking(move || {
            if end.symlink_metadata().is_ok() {
                // A kill came after the last act.
                return Ok(());
            }
            make_dir(&aside, 0o700, None)?;
            names.iter().try_for_each(|name| rename(&root.join(name), &aside.join(name)))?;
            make_dir(end.parent().unwrap_or(&end), 0o700, None)?;
            rename(&aside, &end)
        })
        .await
        .map(|()| Value::Null)
    }

    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        let (names, root, aside) = (self.names.clone(), world.layout.root().to_owned(), self.place(world));
        let end = self.end(world);
        blocking(move || {
            rename(&end, &aside)?;
            // Only where it is empty: another removal may have been interrupted there.
            let _ = end.parent().map(std::fs::remove_dir);
            names.iter().rev().try_for_each(|name| rename(&aside.join(name), &root.join(name)))?;
            let _ = std::fs::remove_dir(&aside);
            let _ = aside.parent().map(std::fs::remove_dir);
            Ok(())
        })
        .await
    }

    /// Where they are deleted.
    fn end(&self, world: &World) -> PathBuf {
        let layout = &world.layout;
        let end = if self.keeps_data { layout.unneeded() } else { layout.deleting() };
        end.join(&self.aside)
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

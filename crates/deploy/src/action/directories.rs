//! The directories of a deployment.

use plan::{Progress, Step, Undo};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Action, blocking, step};
use crate::error::Error;
use crate::place::layout::Layout;
use crate::place::local_socket::DIRECTORY;
use crate::place::machine::{make_dir, owner};
use crate::world::World;

/// Makes the directories that are missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directories {
    /// Who owns the server's own ones; `None` = whoever runs the plan.
    pub user: Option<String>,
    /// Names below the root that were missing when the plan was made: only these are made, and only these undone.
    pub missing: Vec<String>,
}

impl Directories {
    pub(crate) fn step(self, layout: &Layout) -> Step<Action> {
        let title = format!("Create the directories in {}", layout.root().display());
        step("directories", title, Undo::by("Remove them; the logs stay"), 10, self)
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let (this, layout) = (self.clone(), world.layout.clone());
        blocking(move || this.make(&layout)).await.map(|()| Value::Null)
    }

    fn make(&self, layout: &Layout) -> Result<(), Error> {
        let owner = owner(self.user.as_deref())?;
        for name in &self.missing {
            let path = layout.root().join(name);
            let servers = layout.server_dirs().any(|servers| servers == name);
            let mode = match (servers, name == DIRECTORY) {
                (_, true) => 0o700,
                (true, _) => 0o750,
                (false, _) => 0o755,
            };
            make_dir(&path, mode, owner.filter(|_| servers))?;
        }
        Ok(())
    }

    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        let (this, root) = (self.clone(), world.layout.root().to_owned());
        // A directory holds what later steps made; theirs is undone by now, and what a server left behind goes with it. What explains
        // why it is undone stays.
        blocking(move || {
            let goes = this.missing.iter().rev().filter(|name| *name != Layout::LOGS);
            for name in goes {
                host::disk::remove_tree(&root.join(name))?;
            }
            if this.missing.iter().any(|name| name == Layout::LOGS) {
                // Only where nothing was said in it.
                let _ = std::fs::remove_dir(root.join(Layout::LOGS));
            }
            Ok(())
        })
        .await
    }
}

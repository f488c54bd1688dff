//! Modes of what others could read although it holds a secret.

use plan::{Progress, Step, Undo};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Action, blocking, step};
use crate::error::Error;
use crate::world::World;

/// Takes permissions away from files and directories.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closing {
    /// What is closed.
    pub entries: Vec<Entry>,
}

/// A file or directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its name below the deployment's directory; empty is the directory itself.
    pub name: String,
    /// Its mode before.
    pub before: u32,
    /// Its mode afterwards.
    pub mode: u32,
}

impl Closing {
    pub(crate) fn step(self) -> Step<Action> {
        let name = |entry: &Entry| match &*entry.name {
            "" => "the deployment's directory".to_owned(),
            name => name.to_owned(),
        };
        let names = self.entries.iter().map(name).collect::<Vec<_>>();
        let title = format!("Close to other users: {}", names.join(", "));
        step("modes", title, Undo::by("Give them their modes back"), 10, self)
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        self.set(world, |entry| entry.mode).await.map(|()| Value::Null)
    }

    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        self.set(world, |entry| entry.before).await
    }

    async fn set(&self, world: &World, mode: impl Fn(&Entry) -> u32) -> Result<(), Error> {
        let root = world.layout.root();
        let modes =
            self.entries.iter().map(|entry| (root.join(&entry.name), mode(entry))).collect::<Vec<_>>();
        blocking(move || {
            modes
                .iter()
                .filter(|(path, _)| path.exists())
                .try_for_each(|(path, mode)| Ok(host::disk::set_mode(path, *mode)?))
        })
        .await
    }
}

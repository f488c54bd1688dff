//! Owner and mode of what the server's user must be able to use.

use plan::{Progress, Step, Undo};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Action, blocking, step};
use crate::error::Error;
use crate::place::machine::Owner;
use crate::world::World;

/// Gives files and directories to the server's user, who can read and write them afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// Who gets them.
    pub user: String,
    /// Which.
    pub entries: Vec<Closed>,
}

/// A file or directory that the user cannot use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// Its name below the deployment's directory.
    pub name: String,
    /// User and group id that it belongs to before.
    pub owner: Owner,
    /// Its mode before.
    pub before: u32,
    /// Its mode afterwards.
    pub mode: u32,
}

impl Access {
    pub(crate) fn step(self) -> Step<Action> {
        let names = self.entries.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>().join(", ");
        let title = format!("Let user {} read and write: {names}", self.user);
        step("access", title, Undo::by("Give them back"), 10, self)
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let user = host::User::named(&self.user)?;
        self.each(world, move |entry| (entry.owner, (user.uid, user.gid), entry.mode)).await?;
        Ok(Value::Null)
    }

    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        // A user who is not known any more owns nothing that could be given back.
        let Ok(user) = host::User::named(&self.user) else { return Ok(()) };
        self.each(world, move |entry| ((user.uid, user.gid), entry.owner, entry.before)).await
    }

    /// `change` says from whom an entry goes to whom, and with which mode.
    async fn each(
        &self,
        world: &World,
        change: impl Fn(&Closed) -> (Owner, Owner, u32) + Send + 'static,
    ) -> Result<(), Error> {
        let (entries, root) = (self.entries.clone(), world.layout.root().to_owned());
        blocking(move || {
            entries.iter().try_for_each(|entry| {
                let (from, to, mode) = change(entry);
                Ok(host::pass_one(&root.join(&entry.name), from, to, mode)?)
            })
        })
        .await
    }
}

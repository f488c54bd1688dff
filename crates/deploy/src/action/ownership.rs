//! Whose the server's own directories are.

use plan::{Progress, Step, Undo};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Action, blocking, step};
use crate::error::Error;
use crate::place::machine::Owner;
use crate::world::World;

/// Gives the server's own directories, with everything in them, to another user. The server must not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ownership {
    /// Who gets them.
    pub user: String,
    /// Which.
    pub directories: Vec<Owned>,
}

/// A directory of the server's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owned {
    /// Its name below the deployment's directory.
    pub name: String,
    /// User and group id that it belongs to before.
    pub owner: Owner,
}

impl Ownership {
    pub(crate) fn step(self) -> Step<Action> {
        let title = format!("Give the server's files to user {}", self.user);
        step("ownership", title, Undo::by("Give them back"), 100, self)
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let user = host::User::named(&self.user)?;
        let (this, root) = (self.clone(), world.layout.root().to_owned());
        blocking(move || {
            let mut all = this.directories.iter();
            all.try_for_each(|one| {
                Ok(host::pass_tree(&root.join(&one.name), one.owner, (user.uid, user.gid))?)
            })
        })
        .await
        .map(|()| Value::Null)
    }

    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        // A user who is not known any more owns nothing that could be given back.
        let Ok(user) = host::User::named(&self.user) else { return Ok(()) };
        let (this, root) = (self.clone(), world.layout.root().to_owned());
        blocking(move || {
            let mut all = this.directories.iter();
            all.try_for_each(|one| {
                Ok(host::pass_tree(&root.join(&one.name), (user.uid, user.gid), one.owner)?)
            })
        })
        .await
    }
}

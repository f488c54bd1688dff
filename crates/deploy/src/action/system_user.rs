//! The unprivileged user that the server runs as.

use std::path::Path;

use plan::{Progress, Step, Undo};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Action, blocking, step};
use crate::error::Error;
use crate::state::server_user::is_anothers;
use crate::world::World;

/// Makes a system user; in a plan only when it did not exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemUser {
    /// Its name, and its group's.
    pub name: String,
    /// The directory below the deployment's that is its home; `None` = that one itself, which is the home of the server's user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<String>,
}

impl SystemUser {
    pub(crate) fn step(self) -> Step<Action> {
        let title = format!("Create the system user {}", self.name);
        let name = if self.home.is_some() { "database-user" } else { "system-user" };
        step(name, title, Undo::by("Delete the user"), 100, self)
    }

    fn home(&self, world: &World) -> std::path::PathBuf {
        let root = world.layout.root();
        self.home.as_ref().map_or_else(|| root.to_owned(), |below| root.join(below))
    }

    /// Whether another deployment has made the user for itself after the plan was made.
    pub(crate) fn is_lost(&self, world: &World) -> bool {
        is_anothers(&self.name, &self.home(world))
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let (this, home) = (self.clone(), self.home(world));
        blocking(move || this.make(&home)).await.map(Value::from)
    }

    /// Says whether the user was made here: by this try, or by one that a kill kept from telling, which is known by the home.
    fn make(&self, home: &Path) -> Result<bool, Error> {
        let account = host::account::create(&self.name, home)?;
        let ours = account.created || account.user.home == home;
        if !ours && is_anothers(&self.name, home) {
            let what = format!("user {} was made meanwhile, for {}", self.name, account.user.home.display());
            return Err(Error::not_ready(what).hint("run `mainstay up` again: it takes another name"));
        }
        Ok(ours)
    }

    pub(super) async fn undo(&self, world: &World, output: Option<&Value>) -> Result<(), Error> {
        let (name, home) = (self.name.clone(), self.home(world));
        let made = output.and_then(Value::as_bool);
        blocking(move || {
            // By its home: one of that name may have been made for another deployment since.
            let is_ours = host::User::named(&name).is_ok_and(|user| user.home == home);
            if made.unwrap_or(true) && is_ours { Ok(host::account::delete(&name)?) } else { Ok(()) }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::layout::Layout;

    #[tokio::test]
    async fn only_a_user_that_was_made_here_is_deleted() {
        if !rustix::process::geteuid().is_root() {
            // Only root makes users; without it there is none to delete.
            return;
        }
        let name = format!("ms-{}", std::process::id());
        let world =
            |root: &str| World::new(Layout::new(root), "/nowhere/mainstay".into(), "0.1.0", [].into());
        let (here, elsewhere) = (world("/nowhere/here"), world("/nowhere/else"));
        let action = SystemUser { name: name.clone(), home: None };
        let exists = || host::User::named(&name).is_ok();
        let create = |home: &str| host::account::create(&name, home.as_ref()).expect("a user");

        // Made while the plan waited, by somebody else.
        create("/nowhere/else");
        let made = action.make(here.layout.root()).expect("applied");
        action.undo(&here, Some(&made.into())).await.expect("undone");
        action.undo(&here, None).await.expect("undone");
        assert!(exists(), "it is not ours");

        // One of ours, for another deployment that was installed at the same time.
        let twin = SystemUser { name: format!("mainstay-t{}", std::process::id()), home: None };
        host::account::create(&twin.name, "/nowhere/else".as_ref()).expect("a user");
        let refused = twin.make(here.layout.root());
        host::account::delete(&twin.name).expect("deleted");
        assert!(refused.is_err_and(|refused| refused.what.contains("for /nowhere/else")));

        // Made by us, and told of; made by us, and killed before it was told of.
        let made = action.make(elsewhere.layout.root()).expect("applied again after a kill");
        action.undo(&elsewhere, Some(&made.into())).await.expect("undone");
        assert!(!exists());
        create("/nowhere/else");
        action.undo(&elsewhere, None).await.expect("undone");
        assert!(!exists());
    }
}

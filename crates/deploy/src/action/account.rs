//! An administrator's account, changed over the server's local channel.

use plan::{Progress, Step, Undo};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Action, step};
use crate::error::{Error, Exit};
use crate::local::LocalChannel;
use crate::world::World;

/// What happens to an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccountChange {
    /// It is made, as an administrator.
    Create,
    /// It gets another password, and a lock ends.
    Password,
    /// A lock by wrong passwords ends.
    Unlock,
}

/// Makes an administrator, sets a password, or ends a lock. The password is not in it: the command that asks for the change holds it in
/// memory, so a run that was interrupted goes on without one, or says that it cannot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// What happens.
    pub change: AccountChange,
    /// The user name.
    pub name: String,
    /// The mail address.
    pub email: String,
}

impl Account {
    pub(crate) fn step(self) -> Step<Action> {
        let name = &self.name;
        let (title, undo) = match self.change {
            AccountChange::Create => {
                (format!("Create the administrator `{name}` ({})", self.email), Undo::by("Deactivate it"))
            }
            AccountChange::Password => (format!("Set the password of `{name}`"), Undo::Nothing),
            AccountChange::Unlock => (format!("Unlock `{name}`"), Undo::Nothing),
        };
        step("account", title, undo, 500, self)
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let channel = channel(world).await?;
        let there = channel.named(&self.name).await?;
        match (self.change, there) {
            (AccountChange::Create, there) => {
                let account = match there.filter(|account| account.email.eq_ignore_ascii_case(&self.email)) {
                    Some(made_before_a_kill) => made_before_a_kill,
                    None => {
                        let made = channel.create(&self.name, &self.email, password(world)?).await?;
                        made.map_err(|refusal| refusal.error(&format!("create `{}`", self.name)))?
                    }
                };
                if !account.is_administrator() {
                    channel.set_roles(&account, "system_user system_admin").await?;
                }
                Ok(json!({ "id": account.id }))
            }
            (_, None) => Err(Error::new(Exit::Usage, format!("there is no account `{}`", self.name))),
            (AccountChange::Password, Some(account)) => {
                channel.set_password(&account, password(world)?).await.map(|()| Value::Null)
            }
            (AccountChange::Unlock, Some(account)) if channel.unlock(&account).await? => Ok(Value::Null),
            (AccountChange::Unlock, Some(_)) => {
                Err(Error::new(Exit::Refused, "this server unlocks an account only with a new password")
                    .hint(format!("set one: `mainstay admin reset-password {}`", self.name)))
            }
        }
    }

    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        if self.change != AccountChange::Create {
            return Ok(());
        }
        let channel = channel(world).await?;
        match channel.named(&self.name).await? {
            Some(account) if account.email.eq_ignore_ascii_case(&self.email) && account.is_active() => {
                channel.set_active(&account, false).await
            }
            _ => Ok(()),
        }
    }
}

fn password(world: &World) -> Result<&SecretString, Error> {
    world.new_password.as_ref().ok_or_else(|| {
        Error::new(Exit::Usage, "the command that was interrupted took its password with it")
            .hint("run the same command again, with a password")
    })
}

/// The way in.
///
/// # Errors
/// The server does not run, or has no local channel.
pub(crate) async fn channel(world: &World) -> Result<LocalChannel, Error> {
    let running = world
        .agent
        .status()
        .await?
        .is_some_and(|status| status.server().is_some_and(|server| server.pid.is_some()));
    if !running {
        return Err(Error::not_ready("the server does not run").hint("start it with `mainstay up`"));
    }
    LocalChannel::open(&world.layout).await?.ok_or_else(|| {
        Error::new(Exit::Refused, "this server has no local channel").hint(
            "releases have one from 5.24 on; one that an earlier Mainstay started gets it with the next `mainstay up`",
        )
    })
}

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
    /// It becomes an administrator.
    Promote,
    /// It is an administrator no more.
    Demote,
    /// It can sign in again.
    Activate,
    /// It cannot sign in any more.
    Deactivate,
}

/// Changes an account. A password is not in it: the command that asks for the change holds it in memory, so a run that was interrupted
/// goes on without one, or says that it cannot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// What happens.
    pub change: AccountChange,
    /// The user name.
    pub name: String,
    /// The mail address.
    pub email: String,
    /// The roles before, where they change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roles: Option<String>,
}

impl Account {
    /// What happens to whom.
    pub(crate) fn title(&self) -> String {
        let name = &self.name;
        match self.change {
            AccountChange::Create => format!("Create the administrator `{name}` ({})", self.email),
            AccountChange::Password => format!("Set the password of `{name}`"),
            AccountChange::Unlock => format!("Unlock `{name}`"),
            AccountChange::Promote => format!("Make `{name}` an administrator"),
            AccountChange::Demote => format!("Take the administrator's role from `{name}`"),
            AccountChange::Activate => format!("Activate `{name}`"),
            AccountChange::Deactivate => format!("Deactivate `{name}`"),
        }
    }

    pub(crate) fn step(self) -> Step<Action> {
        let undo = match self.change {
            AccountChange::Create | AccountChange::Activate => Undo::by("Deactivate it"),
            AccountChange::Deactivate => Undo::by("Activate it"),
            AccountChange::Promote | AccountChange::Demote => Undo::by("Give it the roles that it had"),
            AccountChange::Password | AccountChange::Unlock => Undo::Nothing,
        };
        step("account", self.title(), undo, 500, self)
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let channel = channel(world).await?;
        let there = channel.named(&self.name).await?;
        if self.change == AccountChange::Create {
            return self.create(world, &channel, there).await;
        }
        let account =
            there.ok_or_else(|| Error::new(Exit::Usage, format!("there is no account `{}`", self.name)))?;
        match self.change {
            AccountChange::Create => {}
            AccountChange::Password => channel.set_password(&account, password(world)?).await?,
            AccountChange::Unlock if channel.unlock(&account).await? => {}
            AccountChange::Unlock => {
                return Err(Error::new(
                    Exit::Refused,
                    "this server unlocks an account only with a new password",
                )
                .hint(finding::hint!("set one: `mainstay admin reset-password {}`", self.name)));
            }
            AccountChange::Promote | AccountChange::Demote => {
                channel
                    .set_roles(&account, &account.roles_with(self.change == AccountChange::Promote))
                    .await?;
            }
            AccountChange::Activate => channel.set_active(&account, true).await?,
            AccountChange::Deactivate => channel.set_active(&account, false).await?,
        }
        Ok(Value::Null)
    }

    async fn create(
        &self,
        world: &World,
        channel: &LocalChannel,
        there: Option<crate::local::Account>,
    ) -> Result<Value, Error> {
        let account = match there.filter(|account| account.email.eq_ignore_ascii_case(&self.email)) {
            Some(made_before_a_kill) => made_before_a_kill,
            None => {
                let made = channel.create(&self.name, &self.email, password(world)?).await?;
                made.map_err(|refusal| refusal.error(&format!("create `{}`", self.name)))?
            }
        };
        if !account.is_administrator() {
            channel.set_roles(&account, &account.roles_with(true)).await?;
        }
        Ok(json!({ "id": account.id }))
    }

    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        if matches!(self.change, AccountChange::Password | AccountChange::Unlock) {
            return Ok(());
        }
        let channel = channel(world).await?;
        let Some(account) = channel.named(&self.name).await? else { return Ok(()) };
        match self.change {
            AccountChange::Create if !account.email.eq_ignore_ascii_case(&self.email) => Ok(()),
            AccountChange::Create | AccountChange::Activate if account.is_active() => {
                channel.set_active(&account, false).await
            }
            AccountChange::Deactivate if !account.is_active() => channel.set_active(&account, true).await,
            AccountChange::Promote | AccountChange::Demote => match &self.roles {
                Some(roles) if *roles != account.roles => channel.set_roles(&account, roles).await,
                _ => Ok(()),
            },
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

//! `admin`: accounts of administrators, over the server's local channel. Nobody's password is needed, so it works whatever strangers or
//! administrators did to the accounts.

use plan::Plan;
use serde::Serialize;

use super::runner::{Looking, Operation};
use super::verify::not_installed;
use crate::action::{Account as Change, AccountChange, Action, accepted_address, channel, signs_in_by_name};
use crate::error::{Error, Exit};
use crate::local::{Account, LocalChannel};
use crate::state::config_file;
use crate::world::World;

/// A change of an account.
#[derive(Debug, Clone)]
pub struct ChangeAccount {
    /// What happens to it.
    pub change: AccountChange,
    /// The user name; `None` = the administrator that the installation made.
    pub name: Option<String>,
    /// The mail address of a new account.
    pub email: Option<String>,
}

/// What became of the account.
#[derive(Debug, Clone, Serialize)]
pub struct Changed {
    /// The user name.
    pub name: String,
    /// The mail address.
    pub email: String,
    /// What its owner signs in with: name or address, as the server allows.
    pub signs_in_with: String,
    /// Whether it is deactivated, so that nobody signs in with it.
    pub deactivated: bool,
}

impl Operation for ChangeAccount {
    const NAME: &'static str = "admin";
    type Seen = Change;
    type Report = Changed;

    async fn look(&self, world: &World, _: Looking<'_>) -> Result<Change, Error> {
        if !world.layout.current().exists() {
            return Err(not_installed(&world.layout));
        }
        let name = match &self.name {
            Some(name) => name.to_lowercase(),
            None => world.secrets()?.admin_name,
        };
        let channel = channel(world).await?;
        let found = channel.named(&name).await?;
        let email = match (self.change, found) {
            (AccountChange::Create, Some(_)) => {
                return Err(Error::new(Exit::Usage, format!("there is an account `{name}` already")).hint(
                    format!(
                        "choose another name, or set its password: `mainstay admin reset-password {name}`"
                    ),
                ));
            }
            (AccountChange::Create, None) => {
                let config = config_file::read(&world.layout.config())?;
                let usual = || accepted_address(&name, &format!("{name}@localhost"), &config);
                self.email.clone().unwrap_or_else(usual)
            }
            (_, Some(account)) => account.email,
            (_, None) => return Err(unknown(&channel, &name).await),
        };
        Ok(Change { change: self.change, name, email })
    }

    fn plan(&self, world: &World, change: &Change) -> Result<Plan<Action>, Error> {
        let title = format!("Change an account of {}", world.layout.root().display());
        Ok(Plan::new(Self::NAME, title, vec![change.clone().step()]))
    }

    async fn report(&self, world: &World, change: Change, _: bool) -> Result<Changed, Error> {
        let account = channel(world).await?.named(&change.name).await?;
        let signs_in_with = match signs_in_by_name(&config_file::read(&world.layout.config())?) {
            true => change.name.clone(),
            false => change.email.clone(),
        };
        let deactivated = account.is_some_and(|account| !account.is_active());
        Ok(Changed { name: change.name, email: change.email, signs_in_with, deactivated })
    }
}

async fn unknown(channel: &LocalChannel, name: &str) -> Error {
    let accounts = channel.accounts(false).await.unwrap_or_default();
    let near = settings::nearest(name, accounts.iter().map(|account| account.username.as_str()));
    let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    Error::new(Exit::Usage, format!("there is no account `{name}`{near}"))
        .hint("`mainstay admin list` shows the administrators")
}

/// The deployment's administrators, by name.
///
/// # Errors
/// The server does not run, or has no local channel.
pub async fn administrators(world: &World) -> Result<Vec<Account>, Error> {
    if !world.layout.current().exists() {
        return Err(not_installed(&world.layout));
    }
    channel(world).await?.accounts(true).await
}

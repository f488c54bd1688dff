//! `admin`: accounts, over the server's local channel. Nobody's password is needed, so it works whatever strangers or administrators did to
//! the accounts; nor are mainstay.toml, secrets.toml and config.json, so it works where they cannot be read.

use std::path::PathBuf;

use plan::Plan;
use serde::Serialize;

use super::runner::{Looking, Operation};
use super::verify::refuse_not_installed;
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

/// What a change decides from.
pub struct Seen {
    change: Change,
    /// The account is as it is to be.
    is_done: bool,
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
    /// Whether it is an administrator.
    pub administrator: bool,
    /// Whether anything had to be changed.
    pub changed: bool,
    /// The file that still holds the password which the installation made, and which does not work any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old_password_in: Option<PathBuf>,
}

impl Operation for ChangeAccount {
    const NAME: &'static str = "admin";
    type Seen = Seen;
    type Report = Changed;

    fn may_follow_another_build(&self) -> bool {
        true
    }

    async fn look(&self, world: &World, _: Looking<'_>) -> Result<Seen, Error> {
        refuse_not_installed(&world.layout)?;
        let channel = channel(world).await?;
        let name = match &self.name {
            Some(name) => name.to_lowercase(),
            None => of_installation(world, &channel).await?,
        };
        let found = channel.named(&name).await?;
        let (email, roles) = match (self.change, &found) {
            (AccountChange::Create, Some(_)) => {
                return Err(Error::new(Exit::Usage, format!("there is an account `{name}` already")).hint(
                    finding::hint!(
                        "choose another name; or set its password with `mainstay admin reset-password {}`, and make it an \
                         administrator with `mainstay admin promote {}`",
                        name,
                        name
                    ),
                ));
            }
            (AccountChange::Create, None) => {
                let config = config_file::read(&world.layout.config()).unwrap_or_default();
                let usual = || accepted_address(&name, &format!("{name}@localhost"), &config);
                (self.email.clone().unwrap_or_else(usual), None)
            }
            (_, Some(account)) => (account.email.clone(), Some(account.roles.clone())),
            (_, None) => return Err(unknown(&channel, &name).await),
        };
        if let Some(account) = &found
            && matches!(self.change, AccountChange::Demote | AccountChange::Deactivate)
        {
            refuse_last(&channel, account).await?;
        }
        let is_done = found.is_some_and(|account| match self.change {
            AccountChange::Promote => account.is_administrator(),
            AccountChange::Demote => !account.is_administrator(),
            AccountChange::Activate => account.is_active(),
            AccountChange::Deactivate => !account.is_active(),
            AccountChange::Create | AccountChange::Password | AccountChange::Unlock => false,
        });
        let roles = roles.filter(|_| matches!(self.change, AccountChange::Promote | AccountChange::Demote));
        Ok(Seen { change: Change { change: self.change, name, email, roles }, is_done })
    }

    fn plan(&self, world: &World, seen: &Seen) -> Result<Plan<Action>, Error> {
        let title = format!("{} in {}", seen.change.title(), world.layout.root().display());
        let step = (!seen.is_done).then(|| seen.change.clone().step());
        Ok(Plan::new(Self::NAME, title, step.into_iter().collect()))
    }

    async fn report(&self, world: &World, seen: Seen, changed: bool) -> Result<Changed, Error> {
        let Change { name, email, .. } = seen.change;
        let account = channel(world).await?.named(&name).await?;
        let signs_in_with =
            match config_file::read(&world.layout.config()).map(|config| signs_in_by_name(&config)) {
                Ok(true) => name.clone(),
                Ok(false) => email.clone(),
                // Which of both the server takes, only config.json says.
                Err(_) => format!("{name} or {email}"),
            };
        let of_secrets =
            || world.secrets().is_ok_and(|secrets| secrets.admin_name.eq_ignore_ascii_case(&name));
        let is_old = self.change == AccountChange::Password && of_secrets();
        Ok(Changed {
            deactivated: account.as_ref().is_some_and(|account| !account.is_active()),
            administrator: account.as_ref().is_some_and(Account::is_administrator),
            old_password_in: is_old.then(|| world.layout.secrets()),
            name,
            email,
            signs_in_with,
            changed,
        })
    }
}

/// The name of the administrator that the installation made; where secrets.toml cannot be read, of the only one that there is.
async fn of_installation(world: &World, channel: &LocalChannel) -> Result<String, Error> {
    let error = match world.secrets() {
        Ok(secrets) => return Ok(secrets.admin_name),
        Err(error) => error,
    };
    let mut names: Vec<_> =
        channel.accounts(true).await?.into_iter().map(|account| account.username).collect();
    if names.len() == 1 {
        return Ok(names.remove(0));
    }
    Err(Error::new(Exit::Usage, format!("which account the installation made is not known: {}", error.what))
        .hint(format!(
            "name the account, as in `mainstay admin reset-password NAME`; administrators: {}",
            names.join(", ")
        )))
}

/// Refuses to leave a deployment without anybody who could administer it.
async fn refuse_last(channel: &LocalChannel, account: &Account) -> Result<(), Error> {
    let counts = |account: &Account| account.is_administrator() && account.is_active();
    let others = channel.accounts(true).await?;
    if !counts(account) || others.iter().any(|other| other.id != account.id && counts(other)) {
        return Ok(());
    }
    let name = &account.username;
    Err(Error::new(Exit::Refused, format!("`{name}` is the only administrator who can sign in")).hint(
        "make another one first, with `mainstay admin create NAME` or `mainstay admin promote NAME`; nothing has been changed",
    ))
}

async fn unknown(channel: &LocalChannel, name: &str) -> Error {
    let accounts = channel.accounts(false).await.unwrap_or_default();
    let near = settings::nearest(name, accounts.iter().map(|account| account.username.as_str()));
    let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    Error::new(Exit::Usage, format!("there is no account `{name}`{near}"))
        .hint("`mainstay admin list` shows the administrators, `mainstay admin list --all` every account")
}

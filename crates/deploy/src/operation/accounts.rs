//! `admin list`: the accounts, who of them administers, and who is kept from signing in.

use serde::Serialize;

use super::verify::refuse_not_installed;
use crate::action::channel;
use crate::error::Error;
use crate::local::{Account, AccountLock, LocalChannel};
use crate::state::config_file;
use crate::world::World;

/// An account, and what keeps it from signing in.
#[derive(Debug, Clone, Serialize)]
pub struct ListedAccount {
    /// The account.
    #[serde(flatten)]
    pub account: Account,
    /// Its locks by wrong passwords.
    pub locks: Vec<AccountLock>,
}

/// The administrators of a deployment, or all its accounts.
#[derive(Debug, Clone, Serialize)]
pub struct Accounts {
    /// By name.
    pub accounts: Vec<ListedAccount>,
    /// The administrator that the installation made, where it is none any more.
    pub demoted: Option<String>,
}

/// The deployment's administrators, or every account of it, by name.
///
/// # Errors
/// The server does not run, or has no local channel.
pub async fn accounts(world: &World, all: bool) -> Result<Accounts, Error> {
    refuse_not_installed(&world.layout)?;
    let channel = channel(world).await?;
    let accounts = channel.accounts(!all).await?;
    let locks = match channel.locks().await? {
        Some(locks) => locks,
        None => for_good(world, &accounts),
    };
    let listed = |account: Account| {
        let locks = locks.iter().filter(|lock| lock.user_id == account.id).cloned().collect();
        ListedAccount { account, locks }
    };
    let demoted = demoted(world, &channel).await?;
    Ok(Accounts { accounts: accounts.into_iter().map(listed).collect(), demoted })
}

/// The locks of a server that has one number of failures for each account, and ends no lock by itself.
fn for_good(world: &World, accounts: &[Account]) -> Vec<AccountLock> {
    let config = config_file::read(&world.layout.config()).unwrap_or_default();
    let most = config["ServiceSettings"]["MaximumLoginAttempts"].as_i64().unwrap_or(10);
    let locked = accounts.iter().filter(|account| account.failed_attempts >= most);
    locked.map(|account| AccountLock { user_id: account.id.clone(), address: None, until: None }).collect()
}

async fn demoted(world: &World, channel: &LocalChannel) -> Result<Option<String>, Error> {
    // Without its name nothing can be said of it.
    let Ok(secrets) = world.secrets() else { return Ok(None) };
    let account = channel.named(&secrets.admin_name).await?;
    Ok(account.filter(|account| !account.is_administrator()).map(|account| account.username))
}

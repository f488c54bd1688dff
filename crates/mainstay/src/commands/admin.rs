//! `mainstay admin`

use deploy::{AccountChange, AccountLock, ChangeAccount, Changed, Error, ListedAccount, World};
use finding::Exit;
use secrecy::{ExposeSecret as _, SecretString};
use tokio_util::sync::CancellationToken;

use super::secret_text;
use crate::cli::{self, Admin, Named};
use crate::printer::Printer;

/// No password is longer, in bytes: servers allow 72 characters.
const PASSWORD_LIMIT: u64 = 1024;

pub(super) async fn run(
    printer: Printer,
    world: &World,
    command: Admin,
    cancel: CancellationToken,
) -> Result<Exit, Error> {
    let of = |change: AccountChange, name: Option<String>| ChangeAccount { change, name, email: None };
    let named = |kind: AccountChange, Named { name, change }: Named| (of(kind, Some(name)), None, change);
    let (operation, password, change) = match command {
        Admin::List { all } => return list(printer, world, all).await,
        Admin::Create { name, email, password, change } => {
            (ChangeAccount { email, ..of(AccountChange::Create, Some(name)) }, Some(password), change)
        }
        Admin::ResetPassword { name, password, change } => {
            (of(AccountChange::Password, name), Some(password), change)
        }
        Admin::Unlock { name, change } => (of(AccountChange::Unlock, Some(name)), None, change),
        Admin::Promote(account) => named(AccountChange::Promote, account),
        Admin::Demote(account) => named(AccountChange::Demote, account),
        Admin::Activate(account) => named(AccountChange::Activate, account),
        Admin::Deactivate(account) => named(AccountChange::Deactivate, account),
    };
    let mut world = world.clone();
    let mut made = None;
    if let Some(password) = password.filter(|_| !change.plan) {
        let (text, is_made) = chosen(&password)?;
        made = is_made.then(|| text.clone());
        world.new_password = Some(text);
    }
    let changed = super::change(printer, &world, &operation, &change, None, cancel).await?;
    let Some(changed) = changed else { return Ok(Exit::Done) };
    let mut data = serde_json::to_value(&changed).unwrap_or_default();
    if let Some(password) = &made {
        data["password"] = password.expose_secret().into();
    }
    printer.data(&data);
    printer.show(&outcome(operation.change, &changed));
    if let Some(password) = &made {
        printer.show(&format!("Its password is  {}", password.expose_secret()));
    }
    for note in notes(operation.change, &changed) {
        printer.say(&format!("note: {note}"));
    }
    Ok(Exit::Done)
}

fn outcome(change: AccountChange, account: &Changed) -> String {
    let name = &account.name;
    let is = match change {
        AccountChange::Create | AccountChange::Password => {
            return format!("\n`{name}` signs in with  {}", account.signs_in_with);
        }
        AccountChange::Unlock => "unlocked",
        AccountChange::Promote => "an administrator",
        AccountChange::Demote => "no administrator",
        AccountChange::Activate => "active",
        AccountChange::Deactivate => "deactivated",
    };
    if account.changed { format!("\n`{name}` is {is} now") } else { format!("`{name}` is {is} already") }
}

/// What keeps the account from what somebody may expect of it now.
fn notes(change: AccountChange, account: &Changed) -> Vec<String> {
    let name = &account.name;
    let mut notes = Vec::new();
    if account.deactivated && change != AccountChange::Deactivate {
        notes.push(format!(
            "`{name}` is deactivated, so nobody can sign in with it; `mainstay admin activate {name}` changes that"
        ));
    }
    if !account.administrator && matches!(change, AccountChange::Password | AccountChange::Activate) {
        notes.push(format!("`{name}` is no administrator; `mainstay admin promote {name}` makes it one"));
    }
    notes.extend(account.old_password_in.as_ref().map(|file| {
        format!(
            "the password in {} is the one that the installation made; it does not work any more",
            file.display()
        )
    }));
    notes
}

/// The password that was given, or a new one; and whether it is new.
fn chosen(password: &cli::Password) -> Result<(SecretString, bool), Error> {
    match &password.password_file {
        Some(file) => Ok((secret_text(file, PASSWORD_LIMIT, "password")?.into(), false)),
        None => Ok((settings::random_password(), true)),
    }
}

async fn list(printer: Printer, world: &World, all: bool) -> Result<Exit, Error> {
    let listed = deploy::accounts(world, all).await?;
    printer.data(&listed.accounts);
    let rows: Vec<[String; 4]> = listed.accounts.iter().map(row).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or_default();
    let (name, email, role) = (width(0), width(1), width(2));
    let line = |row: &[String; 4]| {
        let line = format!("{:<name$}  {:<email$}  {:<role$}  {}", row[0], row[1], row[2], row[3]);
        line.trim_end().to_owned()
    };
    let lines: Vec<String> = rows.iter().map(line).collect();
    let none = if all { "There is no account" } else { "There is no administrator" };
    printer.show(&if lines.is_empty() { none.to_owned() } else { lines.join("\n") });
    if let Some(name) = &listed.demoted {
        printer.say(&format!(
            "note: `{name}`, which the installation made, is no administrator any more; `mainstay admin promote {name}` makes it one"
        ));
    }
    Ok(Exit::Done)
}

/// Name, mail address, role, and what keeps it from signing in.
fn row(listed: &ListedAccount) -> [String; 4] {
    let account = &listed.account;
    let is = |role: &str| account.roles.split_whitespace().any(|one| one == role);
    let role = match account.is_administrator() {
        true => "administrator",
        false if is("system_guest") => "guest",
        false => "member",
    };
    let deactivated = (!account.is_active()).then(|| "deactivated".to_owned());
    let state: Vec<String> = deactivated.into_iter().chain(locks(&listed.locks)).collect();
    [account.username.clone(), account.email.clone(), role.to_owned(), state.join("; ")]
}

/// For whom wrong passwords lock an account, and until when.
fn locks(locks: &[AccountLock]) -> Option<String> {
    let last = locks.iter().max_by_key(|lock| lock.until.unwrap_or(i64::MAX))?;
    let of_all = locks.iter().find(|lock| lock.address.is_none());
    let addresses: Vec<&str> = locks.iter().filter_map(|lock| lock.address.as_deref()).collect();
    let whom = match (of_all, &addresses[..]) {
        (Some(AccountLock { until: None, .. }), _) => {
            return Some("locked until `mainstay admin unlock`".to_owned());
        }
        (Some(_), _) => "every address that nobody signed in from before".to_owned(),
        (None, [one]) => (*one).to_owned(),
        (None, many) => format!("{} addresses", many.len()),
    };
    let until = last.until.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    Some(format!("locked for {whom} until {}", finding::moment(until.unwrap_or_default())))
}

//! `mainstay admin`

use deploy::{Account, AccountChange, ChangeAccount, Error, World};
use finding::Exit;
use secrecy::{ExposeSecret as _, SecretString};
use tokio_util::sync::CancellationToken;

use super::secret_text;
use crate::cli::{self, Admin};
use crate::printer::Printer;

/// No password is longer, in bytes: servers allow 72 characters.
const PASSWORD_LIMIT: u64 = 1024;

pub(super) async fn run(
    printer: Printer,
    world: &World,
    command: Admin,
    cancel: CancellationToken,
) -> Result<Exit, Error> {
    let (operation, password, change) = match command {
        Admin::List => return list(printer, world).await,
        Admin::Create { name, email, password, change } => {
            let change_account = ChangeAccount { change: AccountChange::Create, name: Some(name), email };
            (change_account, Some(password), change)
        }
        Admin::ResetPassword { name, password, change } => {
            (ChangeAccount { change: AccountChange::Password, name, email: None }, Some(password), change)
        }
        Admin::Unlock { name, change } => {
            (ChangeAccount { change: AccountChange::Unlock, name: Some(name), email: None }, None, change)
        }
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
    printer.show(&match operation.change {
        AccountChange::Unlock => format!("\n`{}` is unlocked", changed.name),
        _ => format!("\n`{}` signs in with  {}", changed.name, changed.signs_in_with),
    });
    if let Some(password) = &made {
        printer.show(&format!("Its password is  {}", password.expose_secret()));
    }
    if changed.deactivated {
        printer.say(&format!("note: `{}` is deactivated, so nobody can sign in with it", changed.name));
    }
    Ok(Exit::Done)
}

/// The password that was given, or a new one; and whether it is new.
fn chosen(password: &cli::Password) -> Result<(SecretString, bool), Error> {
    match &password.password_file {
        Some(file) => Ok((secret_text(file, PASSWORD_LIMIT, "password")?.into(), false)),
        None => Ok((settings::random_password(), true)),
    }
}

async fn list(printer: Printer, world: &World) -> Result<Exit, Error> {
    let accounts = deploy::administrators(world).await?;
    printer.data(&accounts);
    let name = accounts.iter().map(|account| account.username.len()).max().unwrap_or_default();
    let row = |account: &Account| {
        let state = if account.is_active() { "" } else { "  deactivated" };
        format!("{:<name$}  {}{state}", account.username, account.email)
    };
    let rows: Vec<String> = accounts.iter().map(row).collect();
    printer.show(&if rows.is_empty() { "There is no administrator".to_owned() } else { rows.join("\n") });
    Ok(Exit::Done)
}

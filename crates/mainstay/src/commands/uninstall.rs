//! `mainstay uninstall`

use deploy::{Action, Consent, Error, Uninstall, Uninstalled, World};
use finding::Exit;
use plan::Plan;
use tokio_util::sync::CancellationToken;

use super::{caller, question};
use crate::cli;
use crate::printer::Printer;
use crate::terminal;

pub(super) async fn run(
    printer: Printer,
    world: &World,
    args: &cli::Uninstall,
    cancel: CancellationToken,
) -> Result<Exit, Error> {
    let dir = world.layout.root().display();
    let question = match args.keep_data {
        true => format!("This removes the deployment in {dir}, and keeps its data and its history. Go on?"),
        false => {
            let backups = deploy::backups_that_go(world).map(|what| format!(", {what}")).unwrap_or_default();
            format!(
                "This deletes the deployment in {dir} for good: its data, its settings, its history{backups}. Go on?"
            )
        }
    };
    let operation = Uninstall { keep_data: args.keep_data };
    if args.change.plan {
        super::change(printer, world, &operation, &args.change, None, cancel).await?;
        return Ok(Exit::Done);
    }
    let mut reader = terminal::reader(printer);
    let mut ask = |_: Option<&Plan<Action>>| question::agreed(printer, &question);
    let consent = if args.change.yes { Consent::Given } else { Consent::Ask(&mut ask) };
    let caller = caller(&args.change, &mut *reader, consent, cancel)?;
    match Box::pin(deploy::uninstall(world, &operation, caller)).await? {
        Some(gone) => {
            printer.data(&gone);
            if let Some(why) = &gone.unrecorded {
                printer.say(&format!("note: this could not be recorded: {why}"));
            }
            printer.show(&summary(&gone));
        }
        None => printer.show("Nothing has been changed"),
    }
    Ok(Exit::Done)
}

fn summary(gone: &Uninstalled) -> String {
    let (dir, kept) = (gone.dir.display(), gone.kept.join(", "));
    let mut lines = Vec::new();
    if gone.resumed {
        lines.push("An `uninstall` that was interrupted while it deleted is finished now".to_owned());
    }
    match (gone.removed.is_empty(), gone.kept.is_empty()) {
        (_, true) if gone.foreign.is_empty() => lines.push(format!("\nRemoved {dir}")),
        (_, true) => lines.push(format!("\nRemoved the deployment in {dir}")),
        (true, false) => lines.push(format!("Nothing to remove: {dir} has nothing but {kept}")),
        (false, false) => {
            lines.push(format!("\nRemoved {} from {dir}", gone.removed.join(", ")));
            lines.push(format!("Kept there: {kept}"));
        }
    }
    if !gone.foreign.is_empty() {
        lines.push(format!("Left there, because it is not Mainstay's: {}", gone.foreign.join(", ")));
    }
    let secrets = gone.kept.iter().any(|name| name == "secrets.toml");
    lines.extend(gone.database.as_ref().map(|address| match secrets {
        true => format!(
            "The database {address} is not Mainstay's and stays as it is; a later `mainstay up` can use it only with {}",
            gone.dir.join("secrets.toml").display()
        ),
        false => format!("The database {address} is not Mainstay's and stays as it is"),
    }));
    if secrets && gone.database.is_none() && !gone.kept.iter().any(|name| name == "config") {
        lines.push(
            "No config.json says whether a database on a server needs secrets.toml; remove it by hand where none does"
                .to_owned(),
        );
    }
    lines.extend(gone.user.as_ref().map(|user| {
        let why = gone.user_stays.as_deref().unwrap_or("somebody may need it");
        format!("The system user {user} stays, because {why}; `userdel {user}` deletes it")
    }));
    lines.extend(gone.database_user_stays.as_ref().map(|(user, why)| {
        format!("The system user {user} stays, because {why}; `userdel {user}` deletes it")
    }));
    let removed = [&gone.user_removed, &gone.database_user_removed];
    lines.extend(removed.into_iter().flatten().map(|user| format!("The system user {user} is deleted")));
    lines.join("\n")
}

//! `mainstay uninstall`

use deploy::{Error, World};
use tokio_util::sync::CancellationToken;

use super::{agreed, caller, show_plan};
use crate::cli;
use crate::exit::Exit;
use crate::printer::Printer;
use crate::terminal;

pub(super) async fn run(
    printer: Printer,
    world: &World,
    args: &cli::Uninstall,
    cancel: CancellationToken,
) -> Result<Exit, Error> {
    let plan = deploy::planned_uninstall(world, args.keep_data).await?;
    if args.change.plan {
        return Ok(show_plan(printer, &plan));
    }
    let what =
        if args.keep_data { "the deployment, but not its data," } else { "the deployment and all its data" };
    let question = format!("This removes {what} in {}. Go on?", world.layout.root().display());
    if !agreed(printer, &question, args.yes)? {
        printer.show("Nothing has been changed");
        return Ok(Exit::Done);
    }
    let mut reader = terminal::reader(printer);
    let gone = deploy::uninstall(world, args.keep_data, caller(&args.change, &mut *reader, cancel)?).await?;
    printer.data(&gone);
    printer.show(&format!("\nRemoved {}", gone.dir.display()));
    if !gone.kept.is_empty() {
        printer.show(&format!("Kept {}", gone.kept.join(", ")));
    }
    if let Some(address) = gone.database {
        printer.show(&format!("The database {address} is not Mainstay's and stays as it is"));
    }
    if let Some(user) = gone.user {
        printer.show(&format!(
            "The system user {user} stays, in case another deployment runs as it; `userdel {user}` removes it"
        ));
    }
    Ok(Exit::Done)
}

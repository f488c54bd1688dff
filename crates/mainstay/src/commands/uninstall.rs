//! `mainstay uninstall`

use deploy::{Error, Uninstall, Uninstalled, World};
use finding::Exit;
use tokio_util::sync::CancellationToken;

use crate::cli;
use crate::printer::Printer;

pub(super) async fn run(
    printer: Printer,
    world: &World,
    args: &cli::Uninstall,
    cancel: CancellationToken,
) -> Result<Exit, Error> {
    let what =
        if args.keep_data { "the deployment, but not its data," } else { "the deployment and all its data" };
    let question = format!("This removes {what} in {}. Go on?", world.layout.root().display());
    let operation = Uninstall { keep_data: args.keep_data };
    let gone = super::change(printer, world, &operation, &args.change, Some(&question), cancel).await?;
    if let Some(gone) = gone {
        printer.data(&gone);
        printer.show(&summary(&gone));
    }
    Ok(Exit::Done)
}

fn summary(gone: &Uninstalled) -> String {
    let mut lines = vec![format!("\nRemoved {}", gone.dir.display())];
    if !gone.kept.is_empty() {
        lines.push(format!("Kept {}", gone.kept.join(", ")));
    }
    let database = gone.database.as_ref();
    lines.extend(
        database.map(|address| format!("The database {address} is not Mainstay's and stays as it is")),
    );
    lines.extend(gone.user.as_ref().map(|user| {
        format!(
            "The system user {user} stays, in case another deployment runs as it; `userdel {user}` removes it"
        )
    }));
    lines.join("\n")
}

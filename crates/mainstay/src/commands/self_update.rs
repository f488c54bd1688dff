//! `mainstay self-update`

use deploy::{Error, SelfUpdate, World};
use finding::Exit;
use tokio_util::sync::CancellationToken;

use crate::cli;
use crate::printer::Printer;

pub(super) async fn run(
    printer: Printer,
    world: &World,
    args: cli::SelfUpdate,
    cancel: CancellationToken,
) -> Result<Exit, Error> {
    let operation = SelfUpdate { to: args.to, from: args.from, back: args.back };
    let way = if operation.back { "forward again" } else { "back" };
    let updated = super::change(printer, world, &operation, &args.change, None, cancel).await?;
    let Some(updated) = updated else { return Ok(Exit::Done) };
    printer.data(&updated);
    let program = updated.program.display();
    if !updated.changed {
        printer
            .show(&format!("{program} is Mainstay {} already; nothing had to be changed", updated.version));
        return Ok(Exit::Done);
    }
    let tested = if updated.verified { ", and the deployment is verified" } else { "" };
    printer.show(&format!(
        "\n{program} is Mainstay {} now; it was {}{tested}\n\nNext: `mainstay up` brings the deployment to what the new version makes of it; \
         `mainstay self-update --back` goes {way}",
        updated.version, updated.from
    ));
    Ok(Exit::Done)
}

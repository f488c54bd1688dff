//! `mainstay restart`

use deploy::{Error, Restart, World};
use finding::Exit;
use tokio_util::sync::CancellationToken;

use crate::cli;
use crate::printer::Printer;

pub(super) async fn run(
    printer: Printer,
    world: &World,
    args: cli::Restart,
    cancel: CancellationToken,
) -> Result<Exit, Error> {
    let operation = Restart { part: args.part };
    if let Some(restarted) = super::change(printer, world, &operation, &args.change, None, cancel).await? {
        printer.data(&restarted);
        printer.show(&match restarted.verified {
            true => {
                let were = if restarted.part == "apps" { "were" } else { "was" };
                format!("\nThe {} {were} restarted, and the deployment is verified", restarted.part)
            }
            false => format!("\n{} was restarted, and answers", restarted.part),
        });
    }
    Ok(Exit::Done)
}

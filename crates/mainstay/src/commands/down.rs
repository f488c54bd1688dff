//! `mainstay down`

use deploy::{Down, Error, World};
use finding::Exit;
use tokio_util::sync::CancellationToken;

use crate::cli;
use crate::printer::Printer;

pub(super) async fn run(
    printer: Printer,
    world: &World,
    args: &cli::Down,
    cancel: CancellationToken,
) -> Result<Exit, Error> {
    if let Some(stopped) = super::change(printer, world, &Down, &args.change, None, cancel).await? {
        printer.data(&serde_json::json!({ "changed": stopped }));
        printer.show(if stopped {
            "\nStopped. Start it again with `mainstay up`"
        } else {
            "Nothing runs here"
        });
    }
    Ok(Exit::Done)
}

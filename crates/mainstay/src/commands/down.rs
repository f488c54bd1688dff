//! `mainstay down`

use deploy::{Error, World};
use tokio_util::sync::CancellationToken;

use super::{caller, show_plan};
use crate::cli;
use crate::exit::Exit;
use crate::printer::Printer;
use crate::terminal;

pub(super) async fn run(
    printer: Printer,
    world: &World,
    args: &cli::Down,
    cancel: CancellationToken,
) -> Result<Exit, Error> {
    if args.change.plan {
        return Ok(show_plan(printer, &deploy::planned_down(world).await?));
    }
    let mut reader = terminal::reader(printer);
    let stopped = deploy::down(world, caller(&args.change, &mut *reader, cancel)?).await?;
    printer.data(&serde_json::json!({ "changed": stopped }));
    printer.show(if stopped { "\nStopped. Start it again with `mainstay up`" } else { "Nothing runs here" });
    Ok(Exit::Done)
}

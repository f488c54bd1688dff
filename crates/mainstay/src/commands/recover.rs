//! `mainstay recover`, which the agent begins

use deploy::{Error, Recover, World};
use finding::Exit;
use tokio_util::sync::CancellationToken;

use crate::cli;
use crate::printer::Printer;

pub(super) async fn run(
    printer: Printer,
    world: &World,
    args: cli::Recover,
    cancel: CancellationToken,
) -> Result<Exit, Error> {
    let Some(recovered) = super::change(printer, world, &Recover, &args.change, None, cancel).await? else {
        return Ok(Exit::Done);
    };
    printer.data(&recovered);
    let (run, operation) = match (recovered.run, &recovered.operation) {
        (Some(run), Some(operation)) => (run, operation),
        _ => {
            printer.show("Nothing was interrupted");
            return Ok(Exit::Done);
        }
    };
    printer.show(&match (recovered.finished, &recovered.tested) {
        (true, _) => format!("Run {run}, `{operation}`, was interrupted, and is finished now"),
        (false, Some(tested)) => {
            format!("Run {run}, `{operation}`, was interrupted, and is taken back: {tested}")
        }
        (false, None) => format!("Run {run}, `{operation}`, was interrupted, and is taken back"),
    });
    Ok(Exit::Done)
}

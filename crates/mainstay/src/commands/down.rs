//! `mainstay down`

use deploy::{Boot, Consent, Down, Error, World};
use finding::Exit;
use tokio_util::sync::CancellationToken;

use super::{caller, question};
use crate::cli;
use crate::printer::Printer;
use crate::terminal;

pub(super) async fn run(
    printer: Printer,
    world: &World,
    args: &cli::Down,
    cancel: CancellationToken,
) -> Result<Exit, Error> {
    if args.change.plan {
        super::change(printer, world, &Down, &args.change, None, cancel).await?;
        return Ok(Exit::Done);
    }
    if let Some(deleted) = deploy::deleted_database(&world.layout) {
        printer.say(&format!("warning: {}. To save it: {}", deleted.what(), deleted.hint()));
        if let Some(question) = deleted.question().filter(|_| !args.change.yes)
            && !question::agreed(printer, question)?
        {
            printer.show("Nothing has been changed");
            return Ok(Exit::Done);
        }
    }
    let mut reader = terminal::reader(printer);
    let stopped = caller(&args.change, &mut *reader, Consent::Given, cancel)?;
    let stopped = deploy::down(world, stopped, args.change.yes).await?;
    printer.data(&stopped);
    if let Some(why) = &stopped.unrecorded {
        printer.say(&format!("note: the history has no record of this stop: {why}"));
    }
    printer.show(match stopped.changed {
        true => "\nStopped. Start it again with `mainstay up`",
        false => "Nothing runs here",
    });
    if let Some(Boot { starts: true, unit: Some(unit), .. }) = &stopped.boot {
        printer.show(&format!(
            "It comes back when the machine starts; `systemctl disable {unit}` prevents that"
        ));
    }
    Ok(Exit::Done)
}

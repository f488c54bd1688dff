//! `mainstay rollback`

use std::time::{Duration, Instant};

use deploy::{Error, Rollback, World};
use finding::Exit;
use tokio_util::sync::CancellationToken;

use crate::cli;
use crate::printer::Printer;

pub(super) async fn run(
    printer: Printer,
    world: &World,
    args: cli::Rollback,
    cancel: CancellationToken,
) -> Result<Exit, Error> {
    let operation = Rollback {
        to: args.to,
        wait: Some(Duration::from_secs(args.wait)),
        without_snapshot: args.without_snapshot,
    };
    let mut question = None;
    if !args.change.plan && !args.change.yes {
        let (asked, loss) = operation.account(world).await?;
        for line in loss.lines() {
            printer.say(&line);
        }
        question = Some(asked);
    }
    let began = Instant::now();
    let rolled_back =
        super::change(printer, world, &operation, &args.change, question.as_deref(), cancel).await?;
    let Some(rolled_back) = rolled_back else { return Ok(Exit::Done) };
    printer.data(&rolled_back);
    for warning in &rolled_back.warnings {
        printer.say(&format!("warning: {warning}"));
    }
    for line in rolled_back.lost.lines() {
        printer.say(&line);
    }
    let (way, other) = if rolled_back.forward { ("forward", "back") } else { ("back", "forward") };
    printer.show(&format!(
        "\nMattermost went {way} from {} to {} and is verified, in {:.1} s\n\nThe state that it left is kept in {}\n\nNext: `mainstay status`; \
         `mainstay rollback` goes {other} to {} again, as it was",
        rolled_back.from,
        rolled_back.release,
        began.elapsed().as_secs_f64(),
        rolled_back.kept.display(),
        rolled_back.from,
    ));
    Ok(Exit::Done)
}

//! `mainstay backup drill`

use deploy::{Consent, Drill, Drilled, Error, World};
use finding::Exit;
use indicatif::DecimalBytes;
use tokio_util::sync::CancellationToken;

use super::caller;
use crate::cli;
use crate::printer::Printer;
use crate::terminal;

pub(super) async fn run(
    printer: Printer,
    world: &World,
    args: &cli::BackupDrill,
    cancel: CancellationToken,
) -> Result<Exit, Error> {
    let operation = Drill { snapshot: args.snapshot.clone() };
    if args.change.plan {
        super::change(printer, world, &operation, &args.change, None, cancel).await?;
        return Ok(Exit::Done);
    }
    let mut reader = terminal::reader(printer);
    let caller = caller(&args.change, &mut *reader, Consent::Given, cancel)?;
    if let Some(drilled) = Box::pin(deploy::drill(world, &operation, caller)).await? {
        printer.data(&drilled);
        printer.show(&summary(&drilled));
    }
    Ok(Exit::Done)
}

fn summary(drilled: &Drilled) -> String {
    let age = jiff::SignedDuration::from_secs(drilled.lost_seconds);
    let newest = drilled.newest_message.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    let newest = newest.map_or_else(|| "none".to_owned(), |at| format!("of {}", finding::moment(at)));
    let since = match drilled.messages_since {
        None => "; the deployment's database cannot be asked what came since".to_owned(),
        Some(count) => format!("; {} since", finding::counted(count, "message", "messages")),
    };
    let lines = [
        format!(
            "\nSnapshot {} restores: {} came up on it and passed the acceptance test",
            &drilled.snapshot[..8],
            drilled.release
        ),
        String::new(),
        format!("  Database       {}, as in the snapshot", finding::counted(drilled.rows, "row", "rows")),
        format!(
            "  Files          {} ({}), each compared by its hash",
            drilled.files,
            DecimalBytes(drilled.bytes)
        ),
        format!(
            "  Lost at worst  what came after {}, {age:#} before the drill (RPO)",
            finding::moment(drilled.lost_since)
        ),
        format!("  Newest message {newest}{since}"),
        format!("  Restored in    {:.1} s (RTO)", drilled.recovered_ms as f64 / 1000.0),
        String::new(),
        "The scratch deployment is removed".to_owned(),
    ];
    lines.join("\n")
}

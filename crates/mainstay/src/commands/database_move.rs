//! `mainstay database move`, `upgrade` and `prune`

use std::path::Path;
use std::time::{Duration, Instant};

use deploy::{Creation, Error, MoveDatabase, MoveWay, MovedDatabase, PruneDatabases, UpgradeDatabase, World};
use finding::{Exit, counted};
use tokio_util::sync::CancellationToken;

use crate::cli;
use crate::printer::Printer;

/// The word for a PostgreSQL that Mainstay runs.
const MANAGED: &str = "managed";

pub(super) async fn run(
    printer: Printer,
    world: &World,
    args: cli::MoveDatabase,
    cancel: CancellationToken,
) -> Result<Exit, Error> {
    let address = args.to.as_deref().filter(|to| *to != MANAGED);
    let declared;
    let world = match address {
        None => world,
        Some(text) if text.contains("://") => {
            return Err(Error::new(
                Exit::Usage,
                "`--to` takes no address: every user of the machine can read the password on a command line",
            )
            .hint("write the address into a file that only you can read, and name that file; or `-`, and give it on stdin"));
        }
        Some("-") => {
            declared = deploy::with_database_address(world, Path::new("/dev/stdin"))?;
            &declared
        }
        Some(file) => {
            declared = deploy::with_database_address(world, Path::new(file))?;
            &declared
        }
    };
    let operation = MoveDatabase {
        to_managed: args.to.as_deref() == Some(MANAGED),
        to_address: address.is_some(),
        way: MoveWay { repair: args.repair, leave_out: args.leave_out },
        wait: Some(Duration::from_secs(args.wait)),
        creation: args.create_database.map(|file| file.map_or(Creation::Variable, Creation::File)),
        install_packages: args.install_packages,
    };
    let began = Instant::now();
    let Some(moved) = super::change(printer, world, &operation, &args.change, None, cancel).await? else {
        return Ok(Exit::Done);
    };
    printer.data(&moved);
    for warning in &moved.warnings {
        printer.say(&format!("warning: {warning}"));
    }
    printer.show(&summary(&moved, began.elapsed().as_secs_f64()));
    Ok(Exit::Done)
}

fn summary(moved: &MovedDatabase, seconds: f64) -> String {
    let Some(what) = moved.moved.as_ref().filter(|_| moved.changed) else {
        return format!("The data is in {} already; nothing has been changed", moved.to);
    };
    let rows = counted(what.rows(), "row", "rows");
    let tables = counted(what.tables.len() as u64, "table", "tables");
    let mut text = format!(
        "\nThe data is in {} now: {rows} of {tables} from {}, the same on both sides; verified, in {seconds:.1} s",
        moved.to, what.from
    );
    for line in &what.repaired {
        text.push_str(&format!("\nrepaired: {line}"));
    }
    let kept = match &moved.kept {
        Some(kept) => format!(
            "the old database is kept in {}, untouched; `mainstay database prune` deletes it",
            kept.display()
        ),
        None => format!("the old database stays where it is: {}", what.from),
    };
    text.push_str(&format!(
        "\n\nNext: `mainstay backup create`, because older snapshots are of the old database; {kept}"
    ));
    text
}

pub(super) async fn upgrade(
    printer: Printer,
    world: &World,
    operation: &UpgradeDatabase,
    change: &cli::Change,
    cancel: CancellationToken,
) -> Result<Exit, Error> {
    let began = Instant::now();
    let Some(upgraded) = super::change(printer, world, operation, change, None, cancel).await? else {
        return Ok(Exit::Done);
    };
    printer.data(&upgraded);
    let (from, to) = (upgraded.from, upgraded.to);
    let text = match (&upgraded.moved, &upgraded.kept) {
        (Some(moved), Some(kept)) if upgraded.changed => format!(
            "\nThe database runs on PostgreSQL {to}, before on {from}: {} compared; verified, in {:.1} s\n\nNext: `mainstay status`; the \
             old cluster is kept in {}, untouched; `mainstay database prune` deletes it",
            counted(moved.rows(), "row", "rows"),
            began.elapsed().as_secs_f64(),
            kept.display()
        ),
        _ => format!("The database is of PostgreSQL {to} already; nothing has been changed"),
    };
    printer.show(&text);
    Ok(Exit::Done)
}

pub(super) async fn prune(
    printer: Printer,
    world: &World,
    change: &cli::Change,
    cancel: CancellationToken,
) -> Result<Exit, Error> {
    let question = "This deletes old databases for good: after it, only a backup brings them back. Go on?";
    let operation = PruneDatabases {};
    let Some(pruned) = super::change(printer, world, &operation, change, Some(question), cancel).await?
    else {
        return Ok(Exit::Done);
    };
    printer.data(&pruned);
    if pruned.removed.is_empty() {
        printer.show("There is no old database");
    }
    for old in &pruned.removed {
        printer.show(&format!("Deleted {}: {}, of {:.0}", old.name, old.kept.from, old.kept.at));
    }
    Ok(Exit::Done)
}

//! `mainstay upgrade`

use std::time::{Duration, Instant};

use deploy::{Compared, Error, KeptDatabase, Upgrade, World};
use finding::Exit;
use tokio_util::sync::CancellationToken;

use crate::cli;
use crate::printer::Printer;

/// More releases are on no way that the table knows.
const MOST_STOPS: usize = 20;

pub(super) async fn run(
    printer: Printer,
    world: &World,
    args: cli::Upgrade,
    cancel: CancellationToken,
) -> Result<Exit, Error> {
    let operation = Upgrade {
        to: args.to,
        edition: args.edition,
        release: args.release,
        wait: Some(Duration::from_secs(args.wait)),
        without_copy: args.without_copy,
        without_snapshot: args.without_snapshot,
        every_extended: args.every_esr,
        all_or_nothing: args.all_or_nothing,
        accepts_loss: args.accept_loss,
        may_lose: args.may_lose,
    };
    if args.rehearse {
        return super::rehearse::run(printer, world, operation, &args.change, cancel).await;
    }
    let began = Instant::now();
    let mut from = None;
    for _ in 0..MOST_STOPS {
        let upgraded = super::change(printer, world, &operation, &args.change, None, cancel.clone()).await?;
        let Some(upgraded) = upgraded else { return Ok(Exit::Done) };
        printer.data(&upgraded);
        for line in settings::in_lines(&upgraded.notices) {
            printer.say(&line);
        }
        for line in upgraded.compared.iter().flat_map(Compared::in_lines) {
            printer.say(&line);
        }
        for warning in &upgraded.warnings {
            printer.say(&format!("warning: {warning}"));
        }
        match upgraded.kept.as_ref().map(|kept| kept.database) {
            Some(KeptDatabase::Unchanged) => {
                printer.say("the release leaves the database as it is: only the program was exchanged");
            }
            Some(KeptDatabase::Nothing) => {
                printer.say("nothing of the database is kept: `mainstay rollback` cannot bring it back");
            }
            _ => {}
        }
        let from = from.get_or_insert_with(|| upgraded.from.clone());
        if upgraded.release != upgraded.to {
            printer.say(&format!("{} is verified; the way goes on to {}", upgraded.release, upgraded.to));
            continue;
        }
        let back = match (&upgraded.left, upgraded.kept.as_ref().map(|kept| kept.database)) {
            (Some(left), _) => format!(
                "; the old database is kept in {}, untouched: `mainstay database prune` deletes it; `mainstay rollback` does not go back over the move",
                left.display()
            ),
            (None, None | Some(KeptDatabase::Nothing)) => String::new(),
            (None, Some(_)) => "; `mainstay rollback` goes back to the release before, with the data that it had, until the next upgrade".to_owned(),
        };
        printer.show(&match upgraded.changed || *from != upgraded.release {
            true => format!(
                "\nMattermost is upgraded from {from} to {} and verified, in {:.1} s\n\nNext: `mainstay status`{back}",
                upgraded.release,
                began.elapsed().as_secs_f64(),
            ),
            false => format!("{} is installed; there is nothing newer on its way", upgraded.release),
        });
        return Ok(Exit::Done);
    }
    Err(Error::new(Exit::Bug, "the way to that release does not end"))
}

//! `mainstay upgrade`

use std::time::{Duration, Instant};

use deploy::{Error, Upgrade, World};
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
    };
    let began = Instant::now();
    let mut from = None;
    for _ in 0..MOST_STOPS {
        let upgraded = super::change(printer, world, &operation, &args.change, None, cancel.clone()).await?;
        let Some(upgraded) = upgraded else { return Ok(Exit::Done) };
        printer.data(&upgraded);
        for line in settings::in_lines(&upgraded.notices) {
            printer.say(&line);
        }
        for warning in &upgraded.warnings {
            printer.say(&format!("warning: {warning}"));
        }
        let from = from.get_or_insert_with(|| upgraded.from.clone());
        if upgraded.release != upgraded.to {
            printer.say(&format!("{} is verified; the way goes on to {}", upgraded.release, upgraded.to));
            continue;
        }
        printer.show(&match upgraded.changed || *from != upgraded.release {
            true => format!(
                "\nMattermost is upgraded from {from} to {} and verified, in {:.1} s\n\nNext: `mainstay status`; the old release stays in \
                 `mainstay release list` until `mainstay release prune`",
                upgraded.release,
                began.elapsed().as_secs_f64(),
            ),
            false => format!("{} is installed; there is nothing newer on its way", upgraded.release),
        });
        return Ok(Exit::Done);
    }
    Err(Error::new(Exit::Bug, "the way to that release does not end"))
}

//! `mainstay logs`

use std::collections::VecDeque;

use deploy::{Error, LogPart, World};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use tokio_util::sync::CancellationToken;

use super::apps;
use crate::cli::{Logs, Part};
use crate::log_line::{LogLine, printable};
use crate::printer::Printer;
use crate::since::moment;
use finding::Exit;

/// How many lines are shown unless somebody says another number.
const LINES: usize = 50;

/// Words by which a line of the server's log is about its database.
const ABOUT_DATABASE: [&str; 6] = ["database", "sqlite", "postgres", "mysql", "sqlstore", "migration"];

pub(super) async fn run(
    printer: Printer,
    world: &World,
    args: &Logs,
    cancel: CancellationToken,
) -> Result<Exit, Error> {
    let now = Zoned::now();
    let since = args.since.as_deref().map(|text| moment(text, &now)).transpose();
    let since = since.map_err(|why| Error::new(Exit::Usage, format!("--since: {why}")))?;
    // A database that is not Mainstay's keeps its log elsewhere: here are the server's lines about it.
    let is_managed = deploy::is_managed(&world.layout);
    let filtered = args.part == Part::Database && !is_managed;
    let counted = if since.is_some() { usize::MAX } else { LINES };
    let most = args.lines.map_or(counted, |lines| usize::try_from(lines).unwrap_or(usize::MAX));
    let part = match args.part {
        Part::Apps => {
            let how = apps::Shown { lines: most, since, follow: args.follow };
            return apps::logs_of_all(printer, &world.layout.apps(), how, cancel).await;
        }
        Part::Database if is_managed => LogPart::Database,
        Part::Server | Part::Database => LogPart::Server,
        Part::Edge => LogPart::Edge,
        Part::Agent => LogPart::Agent,
        Part::Schedule => LogPart::Schedule,
    };
    if filtered {
        printer.say(&format!("note: {}", about_database(world)));
    }
    let show = Show { printer, zone: now.time_zone().clone() };
    let path = world.layout.log(part);
    let wanted = |text: &str| !filtered || is_about_database(text);

    // What is filtered is read from the beginning: how many lines there are is known only then.
    let all = since.is_some() || filtered;
    let mut lines = host::follow(&path, if all { usize::MAX } else { most }, cancel)?;
    let mut last = VecDeque::new();
    let mut reached = since.is_none();
    while let Some(text) = lines.ready()? {
        // A line without a time belongs to the one before it.
        reached = reached || is_since(&text, since);
        if reached && wanted(&text) {
            last.push_back(text);
            if last.len() > most {
                last.pop_front();
            }
        }
    }
    let nothing = last.is_empty();
    for text in last {
        show.line(&text);
    }
    if nothing && most > 0 {
        printer.say(&format!("note: {}", why_empty(world, args, part, since)?));
    }
    if !args.follow {
        return Ok(Exit::Done);
    }
    while let Some(text) = lines.next().await? {
        if wanted(&text) {
            show.line(&text);
        }
    }
    Ok(Exit::Done)
}

/// Shows a line: as it is with `--json`, readable otherwise.
struct Show {
    printer: Printer,
    zone: TimeZone,
}

impl Show {
    fn line(&self, text: &str) {
        if self.printer.json {
            self.printer.raw(text);
            return;
        }
        let readable = LogLine::read(text).map(|line| line.shown(&self.zone));
        self.printer.raw(&readable.unwrap_or_else(|| printable(text)));
    }
}

fn is_since(text: &str, since: Option<Timestamp>) -> bool {
    let at = LogLine::read(text).and_then(|line| line.at);
    at.is_some_and(|at| since.is_none_or(|since| at >= since))
}

fn is_about_database(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ABOUT_DATABASE.iter().any(|word| text.contains(word))
}

fn about_database(world: &World) -> String {
    let what = match deploy::database_address(world).filter(|address| !address.starts_with("sqlite:")) {
        Some(address) => format!("{address} is not Mainstay's, and its log is on its own server"),
        None => "this deployment's database is a file and keeps no log of its own".to_owned(),
    };
    format!(
        "{what}; these are the lines of the server's log about its database. `mainstay database status` tells how it is"
    )
}

/// Why there is nothing to show.
///
/// # Errors
/// There is no deployment.
fn why_empty(world: &World, args: &Logs, part: LogPart, since: Option<Timestamp>) -> Result<String, Error> {
    let path = world.layout.log(part);
    if !world.layout.logs().exists() {
        let dir = world.layout.root().display();
        return Err(Error::not_ready(format!("there is no deployment in {dir}, so there are no logs"))
            .hint("install one with `mainstay up`, or name its directory with `--dir`"));
    }
    let has_lines = path.metadata().is_ok_and(|file| file.len() > 0);
    let shown = path.display();
    Ok(match (args.part, since) {
        (_, Some(since)) if has_lines => format!("{shown} has no such line since {}", finding::moment(since)),
        (Part::Database, _) if part == LogPart::Database => {
            format!("{shown} is empty: PostgreSQL has not been started yet; `mainstay up` does it")
        }
        (Part::Database, None) if has_lines => format!("{shown} has no line about the database"),
        (Part::Edge, _) => format!("{shown} is empty: no request has come since the edge opened"),
        (Part::Schedule, _) => format!(
            "{shown} is empty: no scheduled operation has run; `mainstay status` shows when the next one does"
        ),
        (Part::Server | Part::Database, _) => {
            format!("{shown} is empty: the server has not been started yet; `mainstay up` does it")
        }
        (Part::Agent | Part::Apps, _) => {
            format!("{shown} is empty: the agent has not run yet; `mainstay up` starts it")
        }
    })
}

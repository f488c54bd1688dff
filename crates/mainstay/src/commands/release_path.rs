//! `mainstay release path`

use deploy::Error;
use finding::Exit;
use release::{
    Bearing, Cache, Capabilities, Catalogue, Channel, Circumstances, Edition, Leg, ReleaseId, Store,
};
use serde_json::{Value, json};

use super::{layout, variables};
use crate::cli::{Common, ReleasePath};
use crate::printer::Printer;

/// How large a config.json may be, in bytes.
const CONFIG_LIMIT: u64 = 8 << 20;

pub(super) fn run(printer: Printer, common: &Common, args: &ReleasePath) -> Result<Exit, Error> {
    let catalogue = Catalogue::known(&Cache::at(super::world(common)?.cache));
    let (from, to) = (from(args)?, to(args, &catalogue)?);
    let assumed = oldest_postgres(&from);
    let store = args.database.map_or(assumed, |stored| stored.0);
    let legs = release::journey(&from, &to, store, args.every_esr, &catalogue)
        .map_err(|none| Error::new(Exit::Refused, none.to_string()).hint(none.hint()))?;
    let config = config(common, args)?;
    let circumstances = Circumstances { edition: to.edition, store, config: config.as_ref() };
    let notes = release::notes(&from, &to, circumstances);

    printer.data(&json!({
        "from": from.to_string(), "to": to.to_string(), "legs": legs, "as_of": catalogue.date,
        "notes": notes.iter().map(|(note, bearing)| json!({
            "since": note.since(), "what": note.what, "stops_the_server": note.stops_the_server, "bearing": bearing,
        })).collect::<Vec<_>>(),
    }));
    printer.show(&format!("From {from} to {to}{}", assumption(args, store)));
    if legs.is_empty() {
        printer.show("Nothing is to be done");
    }
    for (number, leg) in legs.iter().enumerate() {
        printer.show(&format!("  {}. {}", number + 1, in_words(leg)));
    }
    if !notes.is_empty() {
        printer.show("\nWhat changes");
    }
    for (note, bearing) in &notes {
        let mark = if note.stops_the_server { "! " } else { "  " };
        let depends = if *bearing == Bearing::Depends { " (where that is set)" } else { "" };
        printer.show(&format!("{mark}{:<7} {}{depends}", note.since().to_string(), note.what));
    }
    printer.show("\nMake a backup before each of them: only a backup brings back what a release has changed");
    Ok(Exit::Done)
}

fn from(args: &ReleasePath) -> Result<ReleaseId, Error> {
    let text = &args.from;
    // Where the edition is not said, it makes no difference but for the built-in server.
    let named = if text.contains('-') { text.parse() } else { format!("{text}-{}", Edition::Team).parse() };
    named.map_err(|error: release::ReleaseError| Error::new(Exit::Usage, error.to_string()))
}

fn to(args: &ReleasePath, catalogue: &Catalogue) -> Result<ReleaseId, Error> {
    let usage = |error: release::ReleaseError| Error::new(Exit::Usage, error.to_string());
    if args.to.contains('-') {
        return args.to.parse().map_err(usage);
    }
    let channel: Channel = args.to.parse().map_err(usage)?;
    let today = jiff::Zoned::now().date();
    let offer = catalogue.find(&channel, args.edition, today).ok_or_else(|| {
        Error::new(Exit::Usage, format!("{} is no release line that is known", args.to)).hint(format!(
            "`mainstay release lines` has those of {}; or say the whole version",
            catalogue.date
        ))
    })?;
    Ok(ReleaseId { version: offer.version, edition: args.edition })
}

/// The oldest that it starts on; the built-in server's own SQLite.
fn oldest_postgres(from: &ReleaseId) -> Store {
    match from.edition {
        Edition::Builtin => Store::Sqlite,
        _ => Store::Postgres(Capabilities::of(from).postgres_minimum / 10_000),
    }
}

fn assumption(args: &ReleasePath, store: Store) -> String {
    match (args.database, store) {
        (None, Store::Postgres(major)) => {
            format!(", on PostgreSQL {major}, the oldest that it starts on (say another with `--database`)")
        }
        (None, _) => ", on SQLite (say another with `--database`)".to_owned(),
        (Some(_), _) => String::new(),
    }
}

/// The config.json that was named, or the deployment's, where it can be read.
fn config(common: &Common, args: &ReleasePath) -> Result<Option<Value>, Error> {
    let path = match &args.config {
        Some(path) => path.clone(),
        None => match layout(common, &variables()) {
            Ok(layout) if layout.config().is_file() => layout.config(),
            _ => return Ok(None),
        },
    };
    let unusable = |why: String| {
        Error::new(Exit::Settings, format!("{} cannot be used: {why}", path.display()))
            .hint("name a config.json with `--config FILE`")
    };
    let content =
        host::disk::read_guarded(&path, CONFIG_LIMIT).map_err(|error| unusable(error.to_string()))?;
    serde_json::from_slice(&content.bytes).map(Some).map_err(|error| unusable(error.to_string()))
}

fn in_words(leg: &Leg) -> String {
    match leg {
        Leg::Release { version, why } if why.is_empty() => format!("start {version}"),
        Leg::Release { version, why } => format!("start {version}, and wait until it is up: it {why}"),
        Leg::Postgres { to, why } => format!("bring PostgreSQL to {to} while the server is stopped: {why}"),
        Leg::Mysql { to, why } => format!("bring MySQL to {to} while the server is stopped: {why}"),
        Leg::MoveToPostgres { to, why } => {
            format!("move the data to PostgreSQL {to} or later while the server is stopped: {why}")
        }
    }
}

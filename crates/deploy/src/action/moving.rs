//! The rows of the old database, moved into the tables of the new one.

use std::time::Duration;

use database::transfer::{self, Tally, Way};
use plan::{Progress, Step, Undo, Unit};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::file::Kept;
use super::{Action, blocking, step};
use crate::error::{Error, Exit};
use crate::place::machine::make_dir;
use crate::state::config_file;
use crate::state::kept_database::{self, LeftDatabase, MovedTable};
use crate::state::location::{self, Location};
use crate::state::moving::{Moving as Wanted, source};
use crate::world::World;

/// How long one question to a database may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Rows that are moved in a second, for an estimate.
const SPEED: u64 = 20_000;

/// Moves all rows, counts and hashes them on both sides, and writes down what was moved. The old database is read only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moving {
    /// How many there were when the plan was made.
    pub rows: u64,
    /// Whether what does not fit is made to.
    pub repair: bool,
    /// Tables, and columns as TABLE.COLUMN, that stay behind.
    pub leave_out: Vec<String>,
    /// The directory below `set-aside` with what is kept of the old database.
    pub into: String,
}

impl Moving {
    pub(crate) fn of(wanted: &Wanted) -> Self {
        let Way { repair, leave_out } = wanted.way.clone();
        Self { rows: wanted.rows, repair, leave_out, into: wanted.into.clone() }
    }

    pub(crate) fn step(self, from: &Location, to: &Location) -> Step<Action> {
        let rows = finding::counted(self.rows, "row", "rows");
        let title = format!("Move {rows} from {from} into {to}, and compare them");
        let ms = 300 + self.rows * 1000 / SPEED;
        let undo = Undo::by("Use the old database again, which was not changed");
        Step { snapshot: true, ..step("move", title, undo, ms, self) }
    }

    pub(super) async fn apply(&self, world: &World, progress: &Progress) -> Result<Value, Error> {
        let layout = &world.layout;
        let to = location::of_config(world)?;
        // The step before has replaced it.
        let old = config_file::read(&Kept::place(world, super::configuration::CONFIG))?;
        let from = location::deployed(&old, layout);
        let found = from.as_ref().and_then(|from| Some((from, source(from, layout)?)));
        let Some((from, source)) = found else {
            return Err(Error::new(
                Exit::Bug,
                "the old config.json names no database that rows can be moved out of",
            ));
        };
        let way = Way { repair: self.repair, leave_out: self.leave_out.clone() };
        let progress = progress.clone();
        let told = move |done, total: u64| progress.at(done, total.max(done), Unit::Items);
        let moved =
            transfer::run(&source, &to, &way, PATIENCE, told).await.map_err(|error| failed(&error))?;
        let table = |(name, Tally { rows, sum }): (String, Tally)| {
            (name, MovedTable { rows, hash: format!("{sum:032x}") })
        };
        let rows = moved.rows();
        let repaired = moved.repaired.iter().map(transfer::Unfit::repaired).collect();
        let tables = moved.tables.into_iter().map(table).collect();
        let record = LeftDatabase { repaired, ..LeftDatabase::new(from.to_string(), to.to_string(), tables) };
        let (layout, into) = (layout.clone(), self.into.clone());
        blocking(move || {
            make_dir(&layout.set_aside().join(&into), 0o700, None)?;
            record.write(&layout, &into)
        })
        .await?;
        Ok(json!({ "rows": rows }))
    }

    /// The tables themselves are taken back by whoever made them.
    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        let (layout, into) = (world.layout.clone(), self.into.clone());
        blocking(move || {
            host::disk::remove_file(&kept_database::path(&layout, &into))?;
            // Only where they are empty.
            let _ = std::fs::remove_dir(layout.set_aside().join(&into));
            let _ = std::fs::remove_dir(layout.set_aside());
            Ok(())
        })
        .await
    }
}

fn failed(error: &transfer::Error) -> Error {
    if let transfer::Error::Server(failure) = error {
        return crate::state::database_failure::refused(failure);
    }
    let failed = Error::not_ready(error.to_string());
    match error.remedy() {
        Some(remedy) => failed.hint(remedy),
        None => failed,
    }
}

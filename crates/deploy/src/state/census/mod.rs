//! What people have, counted before and after a release changes their database: rows, columns, uploaded files.

mod compare;
mod expected;
mod files;

use std::time::Duration;

use database::Catalogue;
use database::dump::Rows;
use serde::{Deserialize, Serialize};

pub use compare::Compared;
pub(crate) use compare::{compare, loss};
use expected::NOT_COMPARED;
use files::Files;

use crate::error::{Error, Exit};
use crate::place::layout::Layout;
use crate::state::{config_file, location};
use crate::world::World;

/// How long reading the shape of the database may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long rows are counted, and how long files are looked at: people wait meanwhile. What there is no time for is named.
const TIME: Duration = Duration::from_secs(30);

/// What people have at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Census {
    /// Tables, columns, indexes, and the migrations that have run.
    pub catalogue: Catalogue,
    /// Rows by table.
    pub rows: Rows,
    /// Tables that were not counted, because there was no time, or no right to read them.
    pub uncounted: Vec<String>,
    /// The uploaded files.
    pub files: Files,
    /// Whether an interrupted acceptance test has left something, which the next one removes.
    pub leftovers: bool,
}

/// Counts what the deployment has. `before` = the census to compare with, which says how many files were looked at.
///
/// # Errors
/// The database or config.json cannot be read.
pub(crate) async fn census(world: &World, before: Option<&Census>) -> Result<Census, Error> {
    let layout = &world.layout;
    let config = config_file::read(&layout.config())?;
    let source = location::source(&config, layout).ok_or_else(|| {
        let what = format!("{}: `SqlSettings.DataSource` names no database", layout.config().display());
        Error::new(Exit::Settings, what)
    })?;
    let catalogue = database::catalogue(&source, PATIENCE).await?;
    let without: Vec<&str> = NOT_COMPARED.iter().map(|(table, _)| *table).collect();
    let counted = database::counted(&source, &without, TIME).await?;
    let knows_files =
        catalogue.tables.get("fileinfo").is_some_and(|table| table.columns.contains_key("size"));
    let files = match config_file::files_elsewhere(&config) {
        Some(driver) => Files::unknown(&format!("the uploaded files, which are elsewhere (`{driver}`)")),
        None if knows_files => {
            let rows = database::file_rows(&source, PATIENCE).await?;
            let (root, until) = (layout.data(), before.and_then(|before| before.files.until.clone()));
            let looked =
                tokio::task::spawn_blocking(move || Files::look(rows, &root, until.as_deref(), TIME)).await;
            looked.map_err(|error| Error::new(Exit::Bug, error.to_string()))?
        }
        None => Files::default(),
    };
    Ok(Census {
        catalogue,
        rows: counted.rows,
        uncounted: counted.uncounted,
        files,
        leftovers: has_leftovers(layout),
    })
}

/// Whether an interrupted acceptance test has left accounts or teams.
fn has_leftovers(layout: &Layout) -> bool {
    layout.left_by_test().exists()
}

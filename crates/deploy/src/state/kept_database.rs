//! A database that the deployment has left, kept below `set-aside` until `database prune`; and what was moved out of it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Exit};
use crate::place::layout::{FILE_LIMIT, Layout};

/// The version of the file's format.
const FORMAT: u32 = 1;

/// Its name in the directory of what is kept.
const RECORD: &str = "kept-database.json";

/// The rows of a table, the same on both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovedTable {
    /// How many.
    pub rows: u64,
    /// What they are, in hexadecimal; nothing where only their number was compared.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hash: String,
}

/// What is known of a database that was left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftDatabase {
    /// The version of the format.
    pub format: u32,
    /// Where the data was.
    pub from: String,
    /// Where it is since.
    pub to: String,
    /// When it was moved.
    pub at: Timestamp,
    /// What was moved, by table.
    pub tables: BTreeMap<String, MovedTable>,
    /// What was changed on the way, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repaired: Vec<String>,
}

impl LeftDatabase {
    /// One that is left now.
    pub(crate) fn new(from: String, to: String, tables: BTreeMap<String, MovedTable>) -> Self {
        Self { format: FORMAT, from, to, at: Timestamp::now(), tables, repaired: Vec::new() }
    }

    /// Its rows.
    pub fn rows(&self) -> u64 {
        self.tables.values().map(|table| table.rows).sum()
    }

    /// The one in a directory below `set-aside`; `None` where that holds something else.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn read(layout: &Layout, into: &str) -> Result<Option<Self>, Error> {
        let path = path(layout, into);
        let content = match host::disk::read_guarded(&path, FILE_LIMIT) {
            Ok(content) => content,
            Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let record = serde_json::from_slice(&content.bytes)
            .map_err(|error| Error::not_ready(format!("{}:{}: {error}", path.display(), error.line())))?;
        Ok(Some(record))
    }

    /// Writes it.
    pub(crate) fn write(&self, layout: &Layout, into: &str) -> Result<(), Error> {
        let mut text =
            serde_json::to_vec_pretty(self).map_err(|error| Error::new(Exit::Bug, error.to_string()))?;
        text.push(b'\n');
        Ok(host::disk::atomic_write(&path(layout, into), &text, 0o600, None)?)
    }

    /// All that are kept, by their directories.
    pub(crate) fn all(layout: &Layout) -> Result<Vec<(String, Self)>, Error> {
        let entries = std::fs::read_dir(layout.set_aside()).into_iter().flatten().flatten();
        let mut names: Vec<String> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        let read = |name: String| Self::read(layout, &name).map(|found| found.map(|found| (name, found)));
        names.into_iter().filter_map(|name| read(name).transpose()).collect()
    }
}

/// An old database, and where it is.
#[derive(Debug, Clone, Serialize)]
pub struct OldDatabase {
    /// Its directory below `set-aside`.
    pub name: String,
    /// Bytes that it takes.
    pub bytes: u64,
    /// What is known of it.
    #[serde(flatten)]
    pub kept: LeftDatabase,
}

/// Where it is written.
pub(crate) fn path(layout: &Layout, into: &str) -> PathBuf {
    layout.set_aside().join(into).join(RECORD)
}

/// The name of a new directory below `set-aside`.
pub(crate) fn fresh_name() -> String {
    Timestamp::now().strftime("%Y%m%dT%H%M%S.%3fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The golden file is never edited: a newer program reads what an older one wrote.
    #[test]
    fn the_first_format_is_read_for_ever() {
        let dir = tempfile::tempdir().expect("a directory");
        let layout = Layout::new(dir.path());
        assert_eq!(LeftDatabase::all(&layout).expect("none"), []);
        let golden = include_str!("../../tests/golden/kept-database-1.json");
        std::fs::create_dir_all(layout.set_aside().join("other")).expect("made");
        std::fs::create_dir_all(layout.set_aside().join("one")).expect("made");
        std::fs::write(path(&layout, "one"), golden).expect("written");
        let [(name, kept)] = &LeftDatabase::all(&layout).expect("read")[..] else { panic!("one") };
        assert_eq!((&**name, kept.rows(), &*kept.tables["posts"].hash), ("one", 5, "0f"));
        kept.write(&layout, "one").expect("written");
        assert_eq!(std::fs::read_to_string(path(&layout, "one")).expect("text"), golden);
    }
}

//! What an upgrade kept for `rollback`: the release before it, and the state that its data was in.

use std::path::PathBuf;

use jiff::Timestamp;
use release::ReleaseId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use settings::Memory;

use crate::error::{Error, Exit};
use crate::place::layout::{FILE_LIMIT, Layout};
use crate::state::config_file;

/// The format of a record that this version writes.
pub(crate) const FORMAT: u32 = 1;

/// The names in the directory of a kept state.
pub(crate) const RECORD: &str = "kept.json";
/// What was remembered of config.json.
pub(crate) const DECLARED: &str = "declared.json";
/// The copy of directories, as `run/before` had it.
pub(crate) const COPY: &str = "copy";
/// What was copied, beside the copy.
pub(crate) const COPIED: &str = "copied.json";
/// What is remembered of config.json now, among what is kept for an undo. The step that writes config.json keeps another one.
pub(crate) const PRESENT: &str = "declared.present.json";
/// How the name of a state ends that is being kept.
pub(crate) const BEGUN: &str = ".part";

/// What is kept of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeptDatabase {
    /// A copy of its files.
    Copy,
    /// A dump.
    Dump,
    /// Nothing is needed: the next release did not change it.
    Unchanged,
    /// Nothing, because nothing could be kept.
    Nothing,
}

/// A state that can come back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptState {
    /// The format of its JSON.
    pub format: u32,
    /// The release that the state is of.
    pub release: ReleaseId,
    /// The release that came after it.
    pub next: ReleaseId,
    /// When people were let in to the next release: what they did after that is not in it.
    pub until: Timestamp,
    /// What is kept of the database.
    pub database: KeptDatabase,
}

impl KeptState {
    /// Its directory.
    pub(crate) fn directory(&self, layout: &Layout) -> PathBuf {
        layout.rollback().join(self.release.to_string())
    }

    /// Whether it is a newer release that a rollback left: coming back to it is going forward.
    pub(crate) fn is_newer(&self) -> bool {
        self.release.version > self.next.version
    }
}

/// Every state that is kept, the newest first.
///
/// # Errors
/// The directory or a record cannot be read.
pub(crate) fn kept_states(layout: &Layout) -> Result<Vec<KeptState>, Error> {
    let directory = layout.rollback();
    let entries = match std::fs::read_dir(&directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|error| Error::path("read", &directory, &error))?,
    };
    let mut states = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| Error::path("read", &directory, &error))?.path();
        let record = path.join(RECORD);
        if path.to_string_lossy().ends_with(BEGUN) || record.symlink_metadata().is_err() {
            continue;
        }
        let text = host::disk::read_named(&record, FILE_LIMIT)
            .map_err(|error| Error::path("read", &record, &error))?;
        let wrong = |what: String| Error::not_ready(format!("{}: {what}", record.display()));
        let state: KeptState = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        if state.format > FORMAT {
            return Err(wrong(format!("it is of format {}, and this Mainstay knows {FORMAT}", state.format))
                .hint("use the newer Mainstay again"));
        }
        states.push(state);
    }
    states.sort_by_key(|state| std::cmp::Reverse(state.until));
    Ok(states)
}

/// The releases of which something is kept, whether it can be read or not.
pub(crate) fn kept_names(layout: &Layout) -> Vec<ReleaseId> {
    let entries = std::fs::read_dir(layout.rollback()).into_iter().flatten().flatten();
    let mut names: Vec<ReleaseId> =
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    names.sort();
    names
}

/// A state that comes back, looked at. Without `Debug`: its config.json holds secrets.
#[derive(Clone)]
pub(crate) struct Returning {
    /// Which.
    pub state: KeptState,
    /// Its config.json; `None` = the present one stays.
    pub config: Option<Value>,
    /// What was remembered of it.
    pub memory: Option<Memory>,
    /// Whether anything is remembered of the present one.
    pub remembers: bool,
    /// The kept states that are of no use after it.
    pub forgets: Vec<ReleaseId>,
}

impl Returning {
    /// Looks at a kept state.
    ///
    /// # Errors
    /// A file of it cannot be read, or is missing.
    pub(crate) fn look(layout: &Layout, state: KeptState) -> Result<Self, Error> {
        let directory = state.directory(layout);
        let later = |other: &KeptState| other.until >= state.until;
        let forgets = kept_states(layout)?.into_iter().filter(later).map(|other| other.release).collect();
        let (config, memory) = match state.database {
            KeptDatabase::Unchanged => (None, None),
            _ => {
                let config = config_file::read(&directory.join(COPY).join("config/config.json"))?;
                (Some(config), config_file::memory(&directory.join(DECLARED))?)
            }
        };
        Ok(Self { state, config, memory, remembers: layout.declared().exists(), forgets })
    }

    /// Whether the database goes back, too.
    pub(crate) fn replaces_database(&self) -> bool {
        self.state.database != KeptDatabase::Unchanged
    }
}

/// Refuses a state of which the database was not kept.
///
/// # Errors
/// It was not.
pub(crate) fn refuse_without_database(state: &KeptState) -> Result<(), Error> {
    if state.database != KeptDatabase::Nothing {
        return Ok(());
    }
    let KeptState { release, next, .. } = state;
    Err(Error::new(
        Exit::Refused,
        format!("the upgrade from {release} to {next} kept nothing of the database, and {release} cannot read what {next} has made of it"),
    )
    .hint("`mainstay backup list` shows snapshots that were made before; `mainstay restore SNAPSHOT --dir DIR --release FILE` makes a deployment of one; nothing has been changed"))
}

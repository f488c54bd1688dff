//! What the rehearsals of upgrades came to: `run/rehearsed.json`, format 1.

use std::collections::BTreeMap;

use database::{Held, SchemaDifference};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Exit};
use crate::place::layout::{FILE_LIMIT, Layout};

/// The version of the file.
const FORMAT: u32 = 1;

/// A rehearsal that passed the acceptance test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rehearsed {
    /// The release that runs.
    pub from: String,
    /// The release that was rehearsed.
    pub to: String,
    /// When it ended.
    pub at: Timestamp,
    /// The snapshot, in full.
    pub snapshot: String,
    /// When that was taken.
    pub taken: Timestamp,
    /// What it was measured: how long each step took on the copy, in ms.
    pub steps: BTreeMap<String, u64>,
    /// How long the migration took, in ms.
    pub migration_ms: u64,
    /// How long the server took from its start until it said that it is well, in ms.
    pub start_ms: u64,
    /// The lock of a table that was held the longest, and whether anybody looked: only PostgreSQL says it.
    pub longest_lock: Option<Held>,
    /// Whether locks were looked at.
    pub locks_watched: bool,
    /// How the shape of the database changes.
    pub schema: SchemaDifference,
    /// Rows, columns and files that were compared, in words, with what the release removes and what was not compared.
    pub compared: Vec<String>,
    /// Plugins that the release will not load, each with why.
    pub plugins: Vec<PluginTrouble>,
    /// Checks of the acceptance test that passed.
    pub checks: u64,
    /// Settings that are right and do not do what they say with that release.
    #[serde(default)]
    pub notices: Vec<String>,
    /// How long people would wait, in ms, as the plan predicts it from this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicted_ms: Option<u64>,
}

/// A plugin that a release will not load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginTrouble {
    /// Its id.
    pub id: String,
    /// Why.
    pub why: String,
}

/// A rehearsal that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedRehearsal {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub what: String,
}

/// What is written down of rehearsals.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Rehearsals {
    /// The version of the format.
    format: u32,
    /// The newest that passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed: Option<Rehearsed>,
    /// The newest, if it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<FailedRehearsal>,
}

impl Rehearsals {
    /// What is known; nothing where there is none, or it cannot be read: it is a prediction, and no more.
    pub(crate) fn read(layout: &Layout) -> Self {
        let text = host::disk::read_named(&layout.rehearsals(), FILE_LIMIT).unwrap_or_default();
        let read: Self = serde_json::from_slice(&text).unwrap_or_default();
        if read.format > FORMAT { Self::default() } else { read }
    }

    /// Writes down how one ended.
    ///
    /// # Errors
    /// The disk.
    pub(crate) fn note(layout: &Layout, ended: Result<&Rehearsed, &Error>) -> Result<(), Error> {
        let before = Self::read(layout);
        let now = match ended {
            Ok(passed) => Self { format: FORMAT, passed: Some(passed.clone()), failed: None },
            Err(error) => {
                let failed = FailedRehearsal { at: Timestamp::now(), what: error.what.clone() };
                Self { format: FORMAT, passed: before.passed, failed: Some(failed) }
            }
        };
        let mut text =
            serde_json::to_vec_pretty(&now).map_err(|error| Error::new(Exit::Bug, error.to_string()))?;
        text.push(b'\n');
        Ok(host::disk::atomic_write(&layout.rehearsals(), &text, 0o600, None)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_keeps_the_last_that_passed() {
        let dir = tempfile::tempdir().expect("a directory");
        let layout = Layout::new(dir.path());
        std::fs::create_dir_all(layout.run()).expect("made");
        assert_eq!(Rehearsals::read(&layout), Rehearsals::default());
        let (at, none) = (Timestamp::UNIX_EPOCH, BTreeMap::new());
        let passed = Rehearsed {
            from: "a".to_owned(),
            to: "b".to_owned(),
            at,
            snapshot: "s".to_owned(),
            taken: at,
            steps: none,
            migration_ms: 1,
            start_ms: 2,
            longest_lock: None,
            locks_watched: false,
            schema: SchemaDifference::default(),
            compared: Vec::new(),
            plugins: Vec::new(),
            checks: 3,
            notices: Vec::new(),
            predicted_ms: None,
        };
        Rehearsals::note(&layout, Ok(&passed)).expect("written");
        Rehearsals::note(&layout, Err(&Error::not_ready("no room"))).expect("written");
        let read = Rehearsals::read(&layout);
        assert_eq!(read.passed, Some(passed));
        assert_eq!(read.failed.expect("it failed").what, "no room");
    }
}

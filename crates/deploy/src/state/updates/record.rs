//! How the last update that began by itself ended, and what was told of it: `updates.json`, format 1. A failure stays until a person acts or
//! a newer release is out.

use std::collections::BTreeMap;

use finding::Hint;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::knowledge::{read_json, refuse_newer, write_json};
use crate::error::{Error, Exit};
use crate::place::layout::{FILE_LIMIT, Layout};

/// The version of the file.
const FORMAT: u32 = 1;
/// The most things of which it is remembered that they were told.
const MOST_TOLD: usize = 500;

/// What is remembered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    format: u32,
    /// The last update that began by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<UpdateAttempt>,
    /// What was told, and when.
    #[serde(default)]
    pub told: BTreeMap<String, Timestamp>,
    /// Why the last news did not reach somebody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_told: Vec<String>,
}

impl Default for Record {
    fn default() -> Self {
        Self { format: FORMAT, last: None, told: BTreeMap::new(), not_told: Vec::new() }
    }
}

/// An update that began by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UpdateAttempt {
    /// The release before.
    pub from: String,
    /// The version that it led to.
    pub to: version::Version,
    /// When it began.
    pub began: Timestamp,
    /// When it ended; `None`: it runs, or was killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailedUpdate>,
    /// When a person said that it may be tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumed: Option<Timestamp>,
}

/// Why an update failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FailedUpdate {
    /// What was wrong.
    pub what: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The exit code of the upgrade.
    pub exit: u8,
}

impl UpdateAttempt {
    /// Whether it keeps that release from being tried again. What was refused before its first step is tried in the next window.
    pub(crate) fn latches(&self) -> bool {
        let begun = match (&self.failure, self.ended) {
            (Some(failure), _) => !untouched(failure.exit),
            (None, ended) => ended.is_none(),
        };
        begun && self.resumed.is_none()
    }

    /// Why it failed, in words.
    pub fn why(&self) -> String {
        match &self.failure {
            Some(failure) => failure.what.clone(),
            None => "it did not come to its end".to_owned(),
        }
    }
}

/// Whether nothing was changed by what ended with this code.
fn untouched(exit: u8) -> bool {
    [Exit::Usage, Exit::Settings, Exit::NotReady, Exit::Refused, Exit::Busy]
        .iter()
        .any(|code| code.code() == exit)
}

impl Record {
    /// What is remembered; nothing where there is no file.
    ///
    /// # Errors
    /// It cannot be read, or a newer Mainstay wrote it.
    pub(crate) fn read(layout: &Layout) -> Result<Self, Error> {
        let lost = "only what was told, and how the last update by itself ended, is lost";
        let record: Self = read_json(&layout.update_record(), FILE_LIMIT, lost)?.unwrap_or_default();
        refuse_newer(&layout.update_record(), record.format, FORMAT)?;
        Ok(record)
    }

    /// Keeps it.
    ///
    /// # Errors
    /// The disk.
    pub(crate) fn keep(&self, layout: &Layout) -> Result<(), Error> {
        write_json(&layout.update_record(), self)
    }

    /// Remembers that these were told.
    pub(crate) fn tell(&mut self, keys: impl IntoIterator<Item = String>, at: Timestamp) {
        self.told.extend(keys.into_iter().map(|key| (key, at)));
        while self.told.len() > MOST_TOLD {
            let Some(oldest) = self.told.iter().min_by_key(|(_, at)| **at).map(|(key, _)| key.clone()) else {
                break;
            };
            self.told.remove(&oldest);
        }
    }

    /// The update that failed and waits for a person, unless its release is installed by now.
    pub(crate) fn latched(&self, installed: Option<&version::Version>) -> Option<&UpdateAttempt> {
        let last = self.last.as_ref().filter(|last| last.latches())?;
        installed.is_none_or(|installed| *installed < last.to).then_some(last)
    }
}

impl From<&Error> for FailedUpdate {
    fn from(error: &Error) -> Self {
        Self {
            what: finding::one_line(&error.what, 1000),
            hint: error.hint.as_ref().map(Hint::to_string),
            exit: error.exit.code(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> (tempfile::TempDir, Layout) {
        let dir = tempfile::tempdir().expect("a directory");
        let layout = Layout::new(dir.path());
        (dir, layout)
    }

    #[test]
    fn what_began_and_failed_latches_until_a_person_acts_or_the_release_is_there() {
        let attempt = |ended: bool, exit: Option<u8>, resumed: bool| UpdateAttempt {
            from: "11.7.15-team".to_owned(),
            to: version::Version::new(11, 7, 16),
            began: Timestamp::UNIX_EPOCH,
            ended: ended.then_some(Timestamp::UNIX_EPOCH),
            failure: exit.map(|exit| FailedUpdate { what: "x".to_owned(), hint: None, exit }),
            resumed: resumed.then_some(Timestamp::UNIX_EPOCH),
        };
        for (ended, exit, resumed, latches) in [
            (true, None, false, false),
            (true, Some(6), false, true),
            (true, Some(5), false, true),
            (true, Some(7), false, true),
            (true, Some(1), false, true),
            (true, Some(6), true, false),
            // Killed.
            (false, None, false, true),
            (false, None, true, false),
            // Nothing was begun.
            (true, Some(4), false, false),
            (true, Some(8), false, false),
            (true, Some(9), false, false),
        ] {
            let record = Record { last: Some(attempt(ended, exit, resumed)), ..Record::default() };
            assert_eq!(record.latched(None).is_some(), latches, "{ended} {exit:?} {resumed}");
            assert!(record.latched(Some(&version::Version::new(11, 7, 16))).is_none(), "it is installed");
        }
    }

    #[test]
    fn format_1_is_read_for_ever_and_what_was_told_is_bounded() {
        let (_dir, layout) = layout();
        let golden = include_str!("../../../tests/golden/updates-1.json");
        std::fs::write(layout.update_record(), golden).expect("written");
        let mut record = Record::read(&layout).expect("it is read");
        assert!(record.latched(None).is_some());
        assert_eq!(format!("{}\n", serde_json::to_string_pretty(&record).expect("JSON")), golden);
        record.tell((0..600).map(|number| format!("n{number}")), Timestamp::MAX);
        assert_eq!(record.told.len(), MOST_TOLD);
        assert!(!record.told.contains_key("MMSA-2026-00513"), "the oldest goes");
    }
}

//! `declared.json`: which values Mainstay declared last, and what they replaced.
//!
//! Without it nobody could tell a value that Mainstay wrote from one that the System Console wrote, and a line that is taken out
//! of `mainstay.toml` would stay in force for ever.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The newest format of the file. A change of the file's shape adds one to it, and [`Memory::parse`] reads every earlier one.
const FORMAT: u64 = 1;

/// What Mainstay declared last, by `Section.Key`. `Debug` shows the keys and no value: some are secrets.
#[derive(Clone, Default, PartialEq)]
pub struct Memory {
    keys: BTreeMap<String, Remembered>,
}

/// One key that Mainstay declared.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Remembered {
    /// The value that Mainstay wrote.
    pub(crate) declared: Value,
    /// The value that it replaced; `None` = there was none, or it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) before: Option<Value>,
}

/// The file as format 1 has it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Format1 {
    format: u64,
    keys: BTreeMap<String, Remembered>,
}

/// Why a text is no `declared.json` that this Mainstay can read. No message repeats a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MemoryError {
    /// A later Mainstay wrote it.
    #[error("it has format {0}, and this Mainstay reads formats up to {FORMAT}")]
    Newer(u64),
    /// It is damaged.
    #[error("line {line}: it is not what Mainstay writes")]
    Damaged {
        /// The line, counted from 1.
        line: usize,
    },
}

impl Memory {
    /// Reads the text of the file, in any format that it ever had.
    ///
    /// # Errors
    /// The text is damaged, or of a later format.
    pub fn parse(text: &str) -> Result<Self, MemoryError> {
        let damaged = |error: &serde_json::Error| MemoryError::Damaged { line: error.line().max(1) };
        let file: Value = serde_json::from_str(text).map_err(|error| damaged(&error))?;
        match file["format"].as_u64() {
            Some(1) => {
                // From the text and not from the data, so that an error has a line.
                let file: Format1 = serde_json::from_str(text).map_err(|error| damaged(&error))?;
                let keys = file.keys.into_iter().filter(|(path, _)| path.contains('.'));
                Ok(Self { keys: keys.collect() })
            }
            Some(newer) if newer > FORMAT => Err(MemoryError::Newer(newer)),
            _ => Err(MemoryError::Damaged { line: 1 }),
        }
    }

    /// The text of the file. It can hold secrets: mode 0600.
    pub fn to_json(&self) -> String {
        let file = Format1 { format: FORMAT, keys: self.keys.clone() };
        // Maps with text keys and JSON values can always be written.
        serde_json::to_string_pretty(&file).unwrap_or_default() + "\n"
    }

    pub(crate) fn insert(&mut self, section: &str, key: &str, remembered: Remembered) {
        self.forget(section, key);
        self.keys.insert(format!("{section}.{key}"), remembered);
    }

    pub(crate) fn get(&self, section: &str, key: &str) -> Option<&Remembered> {
        let path = format!("{section}.{key}");
        let found = self.keys.get(&path);
        found.or_else(|| self.entries().find(|(s, k, _)| same(section, key, s, k)).map(|(.., found)| found))
    }

    pub(crate) fn forget(&mut self, section: &str, key: &str) {
        self.keys.retain(|path, _| {
            path.split_once('.').is_none_or(|(have, below)| !same(section, key, have, below))
        });
    }

    /// Section, key and what is remembered of it.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, &str, &Remembered)> {
        self.keys.iter().filter_map(|(path, remembered)| {
            let (section, key) = path.split_once('.')?;
            Some((section, key, remembered))
        })
    }
}

fn same(section: &str, key: &str, other_section: &str, other_key: &str) -> bool {
    section.eq_ignore_ascii_case(other_section) && key.eq_ignore_ascii_case(other_key)
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.keys.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Format 1 as it was first written. Never change this file: it stands for what is on people's disks.
    const FORMAT_1: &str = include_str!("../tests/declared/format-1.json");

    #[test]
    fn format_1_is_read_for_ever_and_written_as_it_was() {
        let memory = Memory::parse(FORMAT_1).expect("format 1");
        let open = memory.get("teamsettings", "enableopenserver").expect("letters match without case");
        assert_eq!((&open.declared, &open.before), (&json!(true), &Some(json!(false))));
        let name = memory.get("TeamSettings", "SiteName").expect("a second key");
        assert_eq!((&name.declared, &name.before), (&json!("Our chat"), &None));
        assert_eq!(memory.to_json(), FORMAT_1);
    }

    #[test]
    fn what_cannot_be_read_is_refused_without_repeating_it() {
        let newer = FORMAT_1.replace("\"format\": 1", "\"format\": 2");
        assert_eq!(Memory::parse(&newer), Err(MemoryError::Newer(2)));
        let wrong = FORMAT_1.replace("\"declared\"", "\"hunter2\"");
        let error = Memory::parse(&wrong).expect_err("an unknown field");
        assert_eq!(error, MemoryError::Damaged { line: 5 });
        assert!(!error.to_string().contains("hunter2"), "{error}");
        for text in ["", "[]", "{}", "{\"format\": 0, \"keys\": {}}", "{\"format\": 1"] {
            assert!(matches!(Memory::parse(text), Err(MemoryError::Damaged { .. })), "{text}");
        }
    }

    #[test]
    fn debug_shows_no_value() {
        let mut memory = Memory::default();
        memory.insert("SqlSettings", "DataSource", Remembered { declared: "hunter2".into(), before: None });
        assert_eq!(format!("{memory:?}"), "{\"SqlSettings.DataSource\"}");
    }
}

//! What was read last of the makers' advisories and releases: `advisories.json`, format 1.

use std::io::ErrorKind;
use std::path::Path;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use updates::{Advisory, Published};

use crate::error::{Error, Exit};
use crate::place::layout::Layout;

/// The version of the file.
const FORMAT: u32 = 1;
/// The most that it may hold, in bytes.
const LIMIT: u64 = 16 << 20;
/// The most rows that are kept of one source, the newest.
const MOST_ROWS: usize = 5_000;

/// What is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Knowledge {
    format: u32,
    /// The makers' advisories.
    #[serde(default)]
    pub advisories: Of<Advisory>,
    /// Their releases.
    #[serde(default)]
    pub releases: Of<Published>,
}

impl Default for Knowledge {
    fn default() -> Self {
        Self { format: FORMAT, advisories: Of::default(), releases: Of::default() }
    }
}

/// What is known from one source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Of<T> {
    /// Where it was read last, and when; `None`: never.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub read: Option<Reading>,
    /// Why it could not be read since.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub failed: Option<FailedReading>,
    /// What was read.
    #[serde(default = "Vec::new")]
    pub rows: Vec<T>,
}

fn none<T>() -> Option<T> {
    None
}

impl<T> Default for Of<T> {
    fn default() -> Self {
        Self { read: None, failed: None, rows: Vec::new() }
    }
}

/// When and where a source was read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// The address or the file.
    pub source: String,
    /// When.
    pub at: Timestamp,
    /// The newest day in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<Date>,
    /// Rows that this version of Mainstay cannot read.
    #[serde(default)]
    pub unread: usize,
}

/// A reading that failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FailedReading {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub why: String,
}

/// A row of a source.
pub(crate) trait Dated {
    fn day(&self) -> Option<Date>;
}

impl Dated for Advisory {
    fn day(&self) -> Option<Date> {
        self.published
    }
}

impl Dated for Published {
    fn day(&self) -> Option<Date> {
        self.published
    }
}

impl<T: Dated> Of<T> {
    /// Takes what was read. An older copy than the one that is known does not replace it: a mirror may have stopped.
    ///
    /// # Errors
    /// It is older, in words.
    pub(crate) fn take(
        &mut self,
        source: String,
        (mut rows, unread): (Vec<T>, usize),
        at: Timestamp,
    ) -> Result<(), String> {
        let newest = rows.iter().filter_map(Dated::day).max();
        let known = self.read.as_ref().and_then(|read| read.newest);
        if let Some(known) = known
            && newest.is_none_or(|newest| newest < known)
        {
            let newest =
                newest.map_or_else(|| "has no day in it".to_owned(), |newest| format!("ends on {newest}"));
            let why = format!(
                "{source} {newest}, and what is known ends on {known}: it is an old copy, and is not used"
            );
            self.fail(why.clone(), at);
            return Err(why);
        }
        rows.sort_by_key(|row| std::cmp::Reverse(row.day()));
        rows.truncate(MOST_ROWS);
        *self = Self { read: Some(Reading { source, at, newest, unread }), failed: None, rows };
        Ok(())
    }

    /// Writes down that it could not be read.
    pub(crate) fn fail(&mut self, why: String, at: Timestamp) {
        self.failed = Some(FailedReading { at, why });
    }
}

impl Knowledge {
    /// What is known; nothing where there is no file.
    ///
    /// # Errors
    /// It cannot be read, or a newer Mainstay wrote it.
    pub(crate) fn read(layout: &Layout) -> Result<Self, Error> {
        let found = read_json::<Self>(
            &layout.advisories(),
            LIMIT,
            "it is read again by `mainstay security watch --once`",
        )?;
        let knowledge = found.unwrap_or_default();
        refuse_newer(&layout.advisories(), knowledge.format, FORMAT)?;
        Ok(knowledge)
    }

    /// Keeps it.
    ///
    /// # Errors
    /// The disk.
    pub(crate) fn keep(&self, layout: &Layout) -> Result<(), Error> {
        write_json(&layout.advisories(), self)
    }

    /// When both sources were read at the latest; `None`: one of them never was.
    pub(crate) fn read_at(&self) -> Option<Timestamp> {
        let at = |read: &Option<Reading>| read.as_ref().map(|read| read.at);
        at(&self.advisories.read).zip(at(&self.releases.read)).map(|(one, other)| one.min(other))
    }
}

/// A file of Mainstay's own; `None` where there is none.
pub(super) fn read_json<T: DeserializeOwned>(
    path: &Path,
    limit: u64,
    lost: &str,
) -> Result<Option<T>, Error> {
    let content = match host::disk::read_guarded(path, limit) {
        Ok(content) => content,
        Err(error) if error.source.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    serde_json::from_slice(&content.bytes).map(Some).map_err(|error| {
        Error::new(Exit::Settings, format!("{}:{}: {error}", path.display(), error.line()))
            .hint(format!("remove the file: {lost}"))
    })
}

pub(super) fn refuse_newer(path: &Path, format: u32, known: u32) -> Result<(), Error> {
    if format <= known {
        return Ok(());
    }
    let what = format!("{} has format {format}, which a newer Mainstay wrote", path.display());
    Err(Error::new(Exit::Refused, what).hint("use the newer Mainstay again"))
}

pub(super) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), Error> {
    let mut text =
        serde_json::to_vec_pretty(value).map_err(|error| Error::new(Exit::Bug, error.to_string()))?;
    text.push(b'\n');
    Ok(host::disk::atomic_write(path, &text, 0o600, None)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_copy_does_not_replace_a_newer_one() {
        let release = |day: &str| {
            let text = format!(r#"[{{"tag_name": "v11.7.15", "published_at": "{day}"}}]"#);
            updates::releases::read(text.as_bytes()).expect("a list")
        };
        let mut of = Of::<Published>::default();
        let at = Timestamp::UNIX_EPOCH;
        of.take("a".to_owned(), release("2026-11-05"), at).expect("taken");
        let refused = of.take("b".to_owned(), release("2026-11-04"), at).expect_err("refused");
        assert!(refused.contains("b ends on 2026-11-04") && refused.contains("an old copy"), "{refused}");
        let undated = of.take("c".to_owned(), release("never"), at).expect_err("refused");
        assert!(undated.contains("has no day"), "{undated}");
        assert_eq!(of.read.as_ref().map(|read| &*read.source), Some("a"));
        assert!(of.failed.is_some());
        of.take("d".to_owned(), release("2026-11-05"), at).expect("as new as that");
        assert!(of.failed.is_none());
    }

    #[test]
    fn format_1_is_read_for_ever() {
        let dir = tempfile::tempdir().expect("a directory");
        let layout = Layout::new(dir.path());
        assert_eq!(Knowledge::read(&layout).expect("none"), Knowledge::default());
        let golden = include_str!("../../../tests/golden/advisories-1.json");
        std::fs::write(layout.advisories(), golden).expect("written");
        let knowledge = Knowledge::read(&layout).expect("it is read");
        assert_eq!((knowledge.advisories.rows.len(), knowledge.releases.rows.len()), (1, 1));
        assert_eq!(format!("{}\n", serde_json::to_string_pretty(&knowledge).expect("JSON")), golden);
        std::fs::write(layout.advisories(), "{").expect("written");
        assert!(Knowledge::read(&layout).expect_err("damaged").what.contains("advisories.json:1"));
        std::fs::write(layout.advisories(), r#"{"format": 2}"#).expect("written");
        assert_eq!(Knowledge::read(&layout).expect_err("newer").exit, Exit::Refused);
    }
}

//! The uploaded files that the database names: whether each is there, in its size.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use database::FileRow;
use serde::{Deserialize, Serialize};

/// What is known of the uploaded files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Files {
    /// How many were looked at.
    pub looked_at: u64,
    /// How many there was no time for.
    pub not_looked_at: u64,
    /// The id of the last one that was looked at, in the order of their ids, where there was no time for the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Those that are not as the database says, each with what is wrong.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub flawed: BTreeMap<String, String>,
    /// Why they are not compared at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
}

impl Files {
    /// Nothing is known of them.
    pub(super) fn unknown(what: &str) -> Self {
        Self { unknown: Some(what.to_owned()), ..Self::default() }
    }

    /// Looks at the files of `rows` below `root`, up to the one with the id `until`, for `time`.
    pub(super) fn look(mut rows: Vec<FileRow>, root: &Path, until: Option<&str>, time: Duration) -> Self {
        let end = Instant::now() + time;
        rows.retain(|row| row.deleted == 0 && !row.path.is_empty());
        rows.sort_by(|one, other| one.id.cmp(&other.id));
        let wanted = rows.partition_point(|row| until.is_none_or(|until| row.id.as_str() <= until));
        let mut found = Self::default();
        for (at, row) in rows[..wanted].iter().enumerate() {
            // The clock is asked now and then: it costs as much as the look.
            if at % 256 == 255 && Instant::now() > end {
                found.until = rows.get(at.wrapping_sub(1)).map(|row| row.id.clone());
                break;
            }
            found.looked_at += 1;
            if let Some(flaw) = flaw(row, root) {
                found.flawed.insert(row.path.clone(), flaw);
            }
        }
        found.not_looked_at = (rows.len() as u64).saturating_sub(found.looked_at);
        found
    }
}

/// What is wrong with a file. The database names paths below the directory of files; one that leads out of it is not followed.
fn flaw(row: &FileRow, root: &Path) -> Option<String> {
    let path = Path::new(row.path.trim_start_matches("./").trim_start_matches('/'));
    if path.components().any(|part| part == std::path::Component::ParentDir) {
        return None;
    }
    match root.join(path).metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Some("it is missing".to_owned()),
        Err(error) => Some(finding::one_line(&error.to_string(), 100)),
        Ok(meta) if row.size >= 0 && meta.len() != row.size.unsigned_abs() => {
            Some(format!("it has {} bytes, and the database says {}", meta.len(), row.size))
        }
        Ok(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_missing_or_cut_is_named_and_a_deleted_one_is_not_missed() {
        let dir = tempfile::tempdir().expect("a directory");
        let row = |id: &str, size: i64, deleted: i64| FileRow {
            id: id.to_owned(),
            created: 1,
            deleted,
            path: format!("20261127/{id}"),
            thumbnail: String::new(),
            preview: String::new(),
            size,
        };
        std::fs::create_dir(dir.path().join("20261127")).expect("made");
        for name in ["a", "b"] {
            std::fs::write(dir.path().join("20261127").join(name), "12345").expect("written");
        }
        let rows = vec![row("c", 5, 0), row("b", 4, 0), row("a", 5, 0), row("d", 5, 1)];
        let look = |until| Files::look(rows.clone(), dir.path(), until, Duration::from_secs(5));
        let found = look(None);
        assert_eq!((found.looked_at, found.not_looked_at, &found.until), (3, 0, &None));
        assert_eq!(found.flawed["20261127/c"], "it is missing");
        assert_eq!(found.flawed["20261127/b"], "it has 5 bytes, and the database says 4");
        assert_eq!(found.flawed.len(), 2);
        let part = look(Some("b"));
        assert_eq!((part.looked_at, part.not_looked_at, part.flawed.len()), (2, 1, 1));
    }
}

//! Whether every uploaded file that the database knows is in a snapshot, and every file in it is known to the database.

use std::collections::BTreeSet;

use backup::Repository;
use database::FileRow;
use serde::Serialize;

use super::set::FILES;

/// No more names are listed.
const MOST: usize = 100;

/// What a comparison of database and snapshot came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CrossCheck {
    /// Rows of files that were uploaded before the snapshot was taken, and were not deleted.
    pub rows: u64,
    /// Uploaded files in the snapshot, with thumbnails and previews.
    pub objects: u64,
    /// How many files are missing in the snapshot.
    pub missing: u64,
    /// How many thumbnails and previews are.
    pub missing_previews: u64,
    /// How many files no row knows.
    pub unknown: u64,
    /// The first of them, each with what is wrong.
    pub list: Vec<String>,
}

impl CrossCheck {
    /// Whether every file is there.
    pub fn is_complete(&self) -> bool {
        self.missing == 0
    }

    fn name(&mut self, path: &str, what: &str) {
        if self.list.len() < MOST {
            self.list.push(format!("{path}: {what}"));
        }
    }
}

/// The files of a snapshot below the server's directory of files; none where the snapshot has no such folder.
pub(crate) fn uploads(repository: &Repository, id: &str) -> Result<BTreeSet<String>, backup::Error> {
    let folder = format!("{FILES}/");
    let all = repository.files(id, "")?.into_iter();
    Ok(all.filter_map(|(path, _)| path.strip_prefix(&folder).map(str::to_owned)).collect())
}

/// Compares. `objects` are the files of the snapshot below the server's directory; `taken` is its moment, in ms since the epoch.
pub(crate) fn cross_check(rows: &[FileRow], objects: &BTreeSet<String>, taken: i64) -> CrossCheck {
    let mut found = CrossCheck { objects: uploaded(objects).count() as u64, ..CrossCheck::default() };
    for row in rows.iter().filter(|row| row.deleted == 0 && row.created < taken && !row.path.is_empty()) {
        found.rows += 1;
        if !objects.contains(clean(&row.path)) {
            found.missing += 1;
            found.name(&row.path, &format!("missing; it is file {} in the database", row.id));
        }
        for path in [&row.thumbnail, &row.preview].into_iter().filter(|path| !path.is_empty()) {
            if !objects.contains(clean(path)) {
                found.missing_previews += 1;
                found.name(path, &format!("missing; it is the thumbnail or the preview of file {}", row.id));
            }
        }
    }
    let known: BTreeSet<&str> = rows
        .iter()
        .flat_map(|row| [&row.path, &row.thumbnail, &row.preview])
        .map(|path| clean(path))
        .collect();
    for path in uploaded(objects).filter(|path| !known.contains(path)) {
        found.unknown += 1;
        found.name(path, "no row of the database knows it");
    }
    found
}

fn clean(path: &str) -> &str {
    path.trim_start_matches("./").trim_start_matches('/')
}

/// The files that have rows: below a directory with a date as its name. Others are pictures of profiles
/// and teams, emoji, plugins, imports and exports.
fn uploaded(objects: &BTreeSet<String>) -> impl Iterator<Item = &str> {
    let is_upload = |path: &&str| {
        let first = path.split('/').next().unwrap_or_default();
        first.len() == 8 && first.bytes().all(|byte| byte.is_ascii_digit())
    };
    objects.iter().map(String::as_str).filter(is_upload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_and_what_nobody_knows_is_named() {
        let row = |id: &str, created: i64, deleted: i64, thumbnail: &str| FileRow {
            id: id.to_owned(),
            created,
            deleted,
            path: format!("20261127/{id}/a.png"),
            thumbnail: thumbnail.to_owned(),
            preview: String::new(),
            size: 1,
        };
        let rows = [
            row("there", 1, 0, "20261127/there/a_thumb.jpg"),
            row("gone", 1, 0, ""),
            row("deleted", 1, 2, ""),
            row("later", 10, 0, ""),
        ];
        let objects = [
            "20261127/there/a.png",
            "20261127/deleted/a.png",
            "20261127/nobody/a.png",
            "users/x/profile.png",
        ];
        let objects = objects.map(str::to_owned).into();
        let found = cross_check(&rows, &objects, 10);
        assert_eq!(
            (found.rows, found.objects, found.missing, found.missing_previews, found.unknown),
            (2, 3, 1, 1, 1)
        );
        assert!(!found.is_complete());
        assert_eq!(found.list.len(), 3);
        assert!(
            found.list.iter().any(|line| line.starts_with("20261127/gone/a.png: missing")),
            "{:?}",
            found.list
        );
    }
}

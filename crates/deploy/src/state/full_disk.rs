//! The disks of a deployment that have no room left: who looks for the cause of a failure is told which.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use plan::Journal;

use crate::error::Error;
use crate::place::layout::Layout;

/// With less free space than this, in bytes, writing fails soon or by now.
const LITTLE: u64 = 64 << 20;

/// With fewer free files than this, making one fails soon.
const FEW: u64 = 100;

/// What an operation writes besides the files that it is for, in bytes: the journal with what SQLite keeps beside it, the server's
/// database and log while it is tested, and the report.
const NEEDED: u64 = 8 << 20;

/// A sentence for each full file system that something of the deployment is on.
pub(crate) fn full_disks(layout: &Layout) -> Vec<String> {
    let full = places(layout).into_iter().filter_map(|place| in_words(&place));
    full.map(|full| format!("{full}; free some space there, or what the deployment writes is lost")).collect()
}

/// A directory on each file system that something of the deployment is on.
fn places(layout: &Layout) -> Vec<PathBuf> {
    let mut seen = BTreeSet::new();
    let places =
        [layout.root().to_owned(), layout.database(), layout.data(), layout.logs(), layout.releases()];
    let is_new = |place: &PathBuf| std::fs::metadata(place).is_ok_and(|meta| seen.insert(meta.dev()));
    places.into_iter().filter(is_new).collect()
}

/// Refuses to begin where there is no room to write what every operation writes. Whatever is written on a full disk fails with words of
/// its own, such as SQLite's `disk I/O error`.
///
/// # Errors
/// Which file system is full, what is free and what is needed.
pub(crate) fn refuse_full(layout: &Layout) -> Result<(), Error> {
    // What an interrupted run keeps for its undo is given up when the undo begins.
    let kept = |place: &PathBuf| if place == layout.root() { Journal::room(&layout.journal()) } else { 0 };
    let lacks = |place: &PathBuf| host::disk::free(place).is_ok_and(|free| free.bytes + kept(place) < NEEDED);
    let full = places(layout).into_iter().find(lacks).and_then(|place| in_words(&place));
    full.map_or(Ok(()), |full| {
        Err(Error::not_ready(format!("{full}, and {} MB are needed", NEEDED >> 20))
            .hint("free some space there, then run the command again; nothing has been changed"))
    })
}

/// An error with its cause, where a file system of the deployment became full meanwhile.
pub(crate) fn explained(layout: &Layout, error: Error) -> Error {
    match refuse_full(layout) {
        Err(full) if !error.what.contains(&full.what) => {
            let hint =
                error.hint.unwrap_or_else(|| "free some space there, then run the command again".into());
            Error { what: format!("{}. {}", full.what, error.what), hint: Some(hint), ..error }
        }
        _ => error,
    }
}

/// How full the file system of `path` is, where it is full.
pub(crate) fn in_words(path: &Path) -> Option<String> {
    let free = host::disk::free(path).ok()?;
    let mounted = host::disk::mount_point(path).ok()?;
    let of = match mounted == path {
        true => format!("the file system at {}", mounted.display()),
        false => format!("the file system at {}, which {} is on,", mounted.display(), path.display()),
    };
    let (mb, total) = (free.bytes >> 20, free.total >> 20);
    if free.bytes < LITTLE {
        return Some(format!("{of} is full: {mb} MB of {total} MB are free"));
    }
    let files = free.inodes.filter(|files| *files < FEW)?;
    Some(format!("{of} has room for {files} more files"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_with_room_is_not_named() {
        // A file system of the kernel's own has no room, and none is needed.
        assert!(in_words(Path::new("/proc")).is_some_and(|said| said.contains("at /proc")));
        let nothing = Layout::new("/no/such/deployment");
        assert_eq!(full_disks(&nothing), Vec::<String>::new());
    }
}

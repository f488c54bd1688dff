//! Removing a directory tree that others may be writing into.
//!
//! Every step goes through a directory descriptor and none follows a link: a service user who swaps a
//! directory for a link to `/etc` while root removes its data loses the link, not `/etc`.
use std::ffi::CStr;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, fchmod, openat, unlinkat};
use rustix::io::Errno;

use crate::disk::DiskError;

const OPEN: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::RDONLY).union(OFlags::CLOEXEC);

/// Removes `path` and, when it is a directory, all within; read-only directories too. Links are removed,
/// never followed. What is not there is removed already.
pub fn remove_tree(path: &Path) -> Result<(), DiskError> {
    let fail = |e: io::Error| DiskError::new("remove", path, e);
    match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(fail(e)),
        Ok(meta) if !meta.is_dir() => return fs::remove_file(path).map_err(fail),
        Ok(_) => {}
    }
    let dir = openat(CWD, path, OPEN, Mode::empty()).map_err(|e| fail(e.into()))?;
    empty(&dir).map_err(|e| fail(e.into()))?;
    fs::remove_dir(path).map_err(fail)
}

/// Removes everything in a directory.
fn empty(dir: &OwnedFd) -> Result<(), Errno> {
    // A release is unpacked read-only; its owner may still remove it.
    match fchmod(dir, Mode::RWXU) {
        Ok(()) | Err(Errno::PERM) => {}
        Err(e) => return Err(e),
    }
    // Listed first: removing while reading may skip entries.
    let names: Vec<_> = Dir::read_from(dir)?
        .filter(|entry| !matches!(entry, Ok(e) if e.file_name() == c"." || e.file_name() == c".."))
        .map(|entry| entry.map(|e| (e.file_name().to_owned(), e.file_type())))
        .collect::<Result<_, _>>()?;
    for (name, kind) in names {
        remove_at(dir.as_fd(), &name, kind)?;
    }
    Ok(())
}

fn remove_at(dir: BorrowedFd<'_>, name: &CStr, kind: FileType) -> Result<(), Errno> {
    if matches!(kind, FileType::Directory | FileType::Unknown) {
        match openat(dir, name, OPEN, Mode::empty()) {
            Ok(child) => {
                empty(&child)?;
                return gone(unlinkat(dir, name, AtFlags::REMOVEDIR));
            }
            // No directory (any more): what stands there now is unlinked below.
            Err(Errno::NOTDIR | Errno::LOOP) => {}
            Err(Errno::NOENT) => return Ok(()),
            Err(e) => return Err(e),
        }
    }
    gone(unlinkat(dir, name, AtFlags::empty()))
}

/// Somebody else removing it first is no failure.
fn gone(result: Result<(), Errno>) -> Result<(), Errno> {
    match result {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

//! Removes a directory tree while other processes may write in it.
//!
//! Works through directory descriptors and never follows a link. If a service user replaces a directory by a link to `/etc`
//! while root removes the data, the link is removed, and not `/etc`.
use std::ffi::CStr;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, fchmod, openat, unlinkat};
use rustix::io::Errno;

use crate::disk::DiskError;

const OPEN: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::RDONLY).union(OFlags::CLOEXEC);

/// Removes `path` and, if it is a directory, everything in it, including read-only directories. Links are removed and not
/// followed. It is not an error if there is nothing at `path`.
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
    // A release is read-only; its owner may still remove it.
    match fchmod(dir, Mode::RWXU) {
        Ok(()) | Err(Errno::PERM) => {}
        Err(e) => return Err(e),
    }
    // First list, then remove: a removal during the reading may skip entries.
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
            // Not a directory, or not any more: it is unlinked below.
            Err(Errno::NOTDIR | Errno::LOOP) => {}
            Err(Errno::NOENT) => return Ok(()),
            Err(e) => return Err(e),
        }
    }
    gone(unlinkat(dir, name, AtFlags::empty()))
}

/// It is not an error if another process has removed it.
fn gone(result: Result<(), Errno>) -> Result<(), Errno> {
    match result {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

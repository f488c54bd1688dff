//! Gives a directory tree to a user.
//!
//! Works through directory descriptors and never follows a link. Otherwise a user who may write in the tree could make root
//! give away another file.
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Uid, chownat, fchmod, fchown, fstat, openat,
};
use rustix::io::Errno;

use crate::disk::DiskError;

const OPEN: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::RDONLY).union(OFlags::CLOEXEC);

/// Whether [`own_tree`] would change nothing: the directory `path` is that user's and that group's, and closed to others.
pub fn is_owned(path: &Path, uid: u32, gid: u32) -> bool {
    let is_right = |top: &std::fs::Metadata| (top.uid(), top.gid()) == (uid, gid) && top.mode() & 0o027 == 0;
    std::fs::symlink_metadata(path).is_ok_and(|top| top.is_dir() && is_right(&top))
}

/// Gives the directory `path` and everything in it to user `uid` and group `gid`. Of the mode of `path` itself it clears all
/// permissions of others and the write permission of the group. Nothing changes if `path` itself is right already.
///
/// `path` itself is changed last, so that the call can be repeated after a kill. Returns whether anything was changed.
pub fn own_tree(path: &Path, uid: u32, gid: u32) -> Result<bool, DiskError> {
    let fail = |errno: Errno| DiskError::new("give away", path, errno.into());
    // Before it is opened: root without capabilities may not open it.
    if is_owned(path, uid, gid) {
        return Ok(false);
    }
    let dir = openat(CWD, path, OPEN, Mode::empty()).map_err(fail)?;
    let top = fstat(&dir).map_err(fail)?;
    let (mode, closed) = (top.st_mode & 0o7777, top.st_mode & 0o750);
    let mut changed = false;
    if (top.st_uid, top.st_gid) != (uid, gid) {
        own_within(&dir, uid, gid).map_err(fail)?;
        fchown(&dir, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))).map_err(fail)?;
        changed = true;
    }
    if mode != closed {
        fchmod(&dir, Mode::from_raw_mode(closed)).map_err(fail)?;
        changed = true;
    }
    Ok(changed)
}

/// Gives what belongs to user and group `from`, in the directory `path` and below, to user and group `to`. What belongs to somebody
/// else stays theirs: a hard link in the tree may lead to any file. A directory that is not there is no error.
///
/// Safe to run again after a part of it; the other way round it is its own undo.
pub fn pass_tree(path: &Path, from: (u32, u32), to: (u32, u32)) -> Result<(), DiskError> {
    let fail = |errno: Errno| DiskError::new("give away", path, errno.into());
    let dir = match openat(CWD, path, OPEN, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        dir => dir.map_err(fail)?,
    };
    pass_within(&dir, from, to).map_err(fail)?;
    let top = fstat(&dir).map_err(fail)?;
    if let Some((uid, gid)) = passed((top.st_uid, top.st_gid), from, to) {
        fchown(&dir, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))).map_err(fail)?;
    }
    Ok(())
}

/// The new owner of what belongs to `owner`; `None` = it stays.
fn passed((uid, gid): (u32, u32), from: (u32, u32), to: (u32, u32)) -> Option<(u32, u32)> {
    (uid == from.0).then_some((to.0, if gid == from.1 { to.1 } else { gid }))
}

fn pass_within(dir: &OwnedFd, from: (u32, u32), to: (u32, u32)) -> Result<(), Errno> {
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    let mut below: Vec<CString> = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let stat = match rustix::fs::statat(dir, name, flags) {
            Err(Errno::NOENT) => continue,
            stat => stat?,
        };
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            below.push(name.to_owned());
        }
        if let Some((uid, gid)) = passed((stat.st_uid, stat.st_gid), from, to) {
            match chownat(dir, name, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)), flags) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
    for name in below {
        match openat(dir.as_fd(), &*name, OPEN, Mode::empty()) {
            Ok(child) => pass_within(&child, from, to)?,
            Err(Errno::NOTDIR | Errno::LOOP | Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

fn own_within(dir: &OwnedFd, uid: u32, gid: u32) -> Result<(), Errno> {
    let mut below: Vec<CString> = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        match chownat(dir, name, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)), flags) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
        if matches!(entry.file_type(), FileType::Directory | FileType::Unknown) {
            below.push(name.to_owned());
        }
    }
    for name in below {
        match openat(dir.as_fd(), &*name, OPEN, Mode::empty()) {
            Ok(child) => own_within(&child, uid, gid)?,
            // Not a directory, or not any more.
            Err(Errno::NOTDIR | Errno::LOOP | Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

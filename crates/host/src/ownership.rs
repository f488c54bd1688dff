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

/// Gives the file or directory `path` itself to user and group `to`, with this mode, if it belongs to `from`, or to `to` already. What
/// belongs to somebody else, or is not there any more, stays as it is.
///
/// No link is followed, and a file with a second name is refused: it may be any file of the machine. Safe to run again.
pub fn pass_one(path: &Path, from: (u32, u32), to: (u32, u32), mode: u32) -> Result<(), DiskError> {
    let fail = |errno: Errno| DiskError::new("give away", path, errno.into());
    let file = match openat(CWD, path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        file => file.map_err(fail)?,
    };
    let stat = fstat(&file).map_err(fail)?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    match kind {
        FileType::Directory => {}
        FileType::RegularFile if stat.st_nlink == 1 => {}
        _ => {
            let why = std::io::Error::other("it is a link, or a file with a second name");
            return Err(DiskError::new("give away", path, why));
        }
    }
    let owner = (stat.st_uid, stat.st_gid);
    if owner != from && owner != to {
        return Ok(());
    }
    if owner != to {
        let (uid, gid) = (Some(Uid::from_raw(to.0)), Some(Gid::from_raw(to.1)));
        chownat(&file, c"", uid, gid, AtFlags::EMPTY_PATH).map_err(fail)?;
    }
    // After the owner, because a change of owner clears bits of the mode. A descriptor that only names a file has no other way.
    let way = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
    std::fs::set_permissions(way, permissions)
        .map_err(|error| DiskError::new("change the mode of", path, error))
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

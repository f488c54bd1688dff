//! A directory with everything in it: how large it is, and a copy of it. The directory may belong to somebody else, who may write in it
//! meanwhile: no link is followed, and only files and directories are copied.
use std::fs::{self, File, FileTimes};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown,
};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, openat, syncfs};

use crate::disk::DiskError;

/// The bytes of all files below a directory.
///
/// # Errors
/// A directory in it cannot be read.
pub fn size(root: &Path) -> Result<u64, DiskError> {
    let mut bytes = 0;
    walk(&open(root)?, root, Path::new(""), &mut |entry| {
        if entry.is_directory {
            return Ok(());
        }
        bytes += entry.file.metadata().map_err(|e| DiskError::new("read", &entry.path, e))?.len();
        Ok(())
    })?;
    Ok(bytes)
}

/// Which modes a copy has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Modes {
    /// The owner may write, the group may read. A directory without files is left out.
    Plain,
    /// Those of the original, without the bits that lend rights.
    Kept,
}

/// Copies all files below `root` to the same names below `to`, which gets the directories that are missing. What is made belongs to
/// `owner`. A file that is there already, with the same size and time, stays: a copy that was interrupted goes on. `each` hears the bytes of
/// every file.
///
/// # Errors
/// The disk refuses; a file has a second name and another owner than its directory, and might be one that its directory's owner may not read.
pub fn copy(
    root: &Path,
    to: &Path,
    owner: Option<(u32, u32)>,
    modes: Modes,
    mut each: impl FnMut(u64),
) -> Result<(), DiskError> {
    walk(&open(root)?, root, Path::new(""), &mut |Entry {
                                                      path,
                                                      below,
                                                      is_directory,
                                                      mut file,
                                                      dir_owner,
                                                  }| {
        let read = |e| DiskError::new("read", &path, e);
        let meta = file.metadata().map_err(read)?;
        if is_directory {
            return match modes {
                Modes::Plain => Ok(()),
                Modes::Kept => {
                    directories(to, &below, owner)?;
                    crate::disk::set_mode(&to.join(&below), meta.mode() & 0o777)
                }
            };
        }
        if meta.nlink() > 1 && meta.uid() != dir_owner {
            let why = "it has other names (hard links) and is not its directory's owner's";
            return Err(read(io::Error::other(why)));
        }
        let target = to.join(&below);
        each(meta.len());
        let modified = meta.modified().map_err(read)?;
        let is_there = |there: &fs::Metadata| {
            there.is_file()
                && there.len() == meta.len()
                && there.modified().is_ok_and(|time| time == modified)
        };
        if target.symlink_metadata().is_ok_and(|there| is_there(&there)) {
            return Ok(());
        }
        let write = |e| DiskError::new("write", &target, e);
        directories(to, below.parent().unwrap_or(Path::new("")), owner)?;
        let mut options = File::options();
        options.write(true).create(true).truncate(true).mode(0o640);
        let mut made =
            options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed()).open(&target).map_err(write)?;
        io::copy(&mut file, &mut made).map_err(write)?;
        if let Some((uid, gid)) = owner {
            fchown(&made, Some(uid), Some(gid)).map_err(write)?;
        }
        if modes == Modes::Kept {
            made.set_permissions(fs::Permissions::from_mode(meta.mode() & 0o777)).map_err(write)?;
        }
        // The last act: it says that the file is whole.
        made.set_times(FileTimes::new().set_modified(modified)).map_err(write)
    })?;
    let synced = File::open(to).and_then(|dir| Ok(syncfs(dir)?));
    synced.map_err(|e| DiskError::new("write", to, e))
}

/// Removes the files below `root` that `as_in` has not, and the directories that are empty then. What is in no copy stays: links, sockets.
///
/// # Errors
/// The disk refuses.
pub fn remove_others(root: &Path, as_in: &Path) -> Result<(), DiskError> {
    let mut names: Vec<_> = fs::read_dir(root)
        .and_then(Iterator::collect::<io::Result<Vec<_>>>)
        .map_err(|e| DiskError::new("read", root, e))?;
    names.sort_by_key(fs::DirEntry::file_name);
    for entry in names {
        let (path, model) = (entry.path(), as_in.join(entry.file_name()));
        let kind = entry.file_type().map_err(|e| DiskError::new("read", &path, e))?;
        if !kind.is_dir() && !kind.is_file() {
            continue;
        }
        let is_wanted = model.symlink_metadata().is_ok_and(|there| there.file_type() == kind);
        match (kind.is_dir(), is_wanted) {
            (true, true) => remove_others(&path, &model)?,
            (true, false) => crate::disk::remove_tree(&path)?,
            (false, true) => {}
            (false, false) => crate::disk::remove_file(&path)?,
        }
    }
    Ok(())
}

/// A file or directory that [`walk`] has found.
struct Entry {
    /// Its whole path, for messages.
    path: PathBuf,
    /// Its path below the root.
    below: PathBuf,
    is_directory: bool,
    file: File,
    /// The user that its directory belongs to.
    dir_owner: u32,
}

/// Calls `visit` with every directory and regular file below a directory, a directory before what is in it.
fn walk(
    dir: &OwnedFd,
    root: &Path,
    below: &Path,
    visit: &mut dyn FnMut(Entry) -> Result<(), DiskError>,
) -> Result<(), DiskError> {
    let path = root.join(below);
    let fail = |e: rustix::io::Errno| DiskError::new("read", &path, e.into());
    let dir_owner = rustix::fs::fstat(dir).map_err(fail)?.st_uid;
    let mut names = Vec::new();
    for entry in Dir::read_from(dir).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let name = entry.file_name().to_owned();
        if !matches!(name.to_bytes(), b"." | b"..") {
            names.push(name);
        }
    }
    names.sort();
    for name in names {
        let text = Path::new(std::ffi::OsStr::from_bytes(name.to_bytes())).to_owned();
        // Not a link, and no wait for a pipe.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = match openat(dir.as_fd(), &name, flags, Mode::empty()) {
            // A link, a socket, or gone since.
            Err(rustix::io::Errno::LOOP | rustix::io::Errno::NXIO | rustix::io::Errno::NOENT) => continue,
            Err(error) => return Err(DiskError::new("read", &path.join(&text), error.into())),
            Ok(opened) => opened,
        };
        let kind = FileType::from_raw_mode(rustix::fs::fstat(&opened).map_err(fail)?.st_mode);
        let below = below.join(&text);
        match kind {
            FileType::Directory => {
                let file = File::from(opened.try_clone().map_err(|e| DiskError::new("read", &path, e))?);
                let path = path.join(&text);
                visit(Entry { path, below: below.clone(), is_directory: true, file, dir_owner })?;
                walk(&opened, root, &below, visit)?;
            }
            FileType::RegularFile => {
                let (path, file) = (path.join(&text), File::from(opened));
                visit(Entry { path, below, is_directory: false, file, dir_owner })?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn open(root: &Path) -> Result<OwnedFd, DiskError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, root, flags, Mode::empty()).map_err(|e| DiskError::new("read", root, e.into()))
}

/// Makes the directories of `below` that are missing in `to`.
fn directories(to: &Path, below: &Path, owner: Option<(u32, u32)>) -> Result<(), DiskError> {
    let mut path = to.to_path_buf();
    for name in below.components() {
        path.push(name);
        let fail = |e| DiskError::new("make", &path, e);
        match fs::DirBuilder::new().mode(0o750).create(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            made => made.map_err(fail)?,
        }
        if let Some((uid, gid)) = owner {
            std::os::unix::fs::chown(&path, Some(uid), Some(gid)).map_err(fail)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn files_are_copied_and_links_are_not() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir_all(from.path().join("20260101/teams")).unwrap();
        fs::write(from.path().join("20260101/teams/a.png"), "12345").unwrap();
        fs::write(from.path().join("b"), "67").unwrap();
        symlink("/etc/passwd", from.path().join("link")).unwrap();
        symlink("/etc", from.path().join("directory")).unwrap();
        assert_eq!(size(from.path()).unwrap(), 7);
        for _ in 0..2 {
            let mut bytes = 0;
            copy(from.path(), to.path(), None, Modes::Plain, |size| bytes += size).unwrap();
            assert_eq!(bytes, 7);
        }
        assert_eq!(fs::read_to_string(to.path().join("20260101/teams/a.png")).unwrap(), "12345");
        let mut names: Vec<_> =
            fs::read_dir(to.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["20260101", "b"]);
        // Half a file is copied again.
        fs::write(to.path().join("b"), "6").unwrap();
        copy(from.path(), to.path(), None, Modes::Plain, |_| {}).unwrap();
        assert_eq!(fs::read_to_string(to.path().join("b")).unwrap(), "67");
    }

    #[test]
    fn a_copy_goes_back_over_what_became_of_the_original() {
        let (original, kept) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (root, kept) = (original.path(), kept.path());
        fs::create_dir_all(root.join("plugin/server")).unwrap();
        fs::write(root.join("plugin/server/program"), "old").unwrap();
        fs::set_permissions(root.join("plugin/server/program"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(root.join("plugin/empty")).unwrap();
        fs::set_permissions(root.join("plugin/empty"), fs::Permissions::from_mode(0o700)).unwrap();
        copy(root, kept, None, Modes::Kept, |_| {}).unwrap();
        fs::write(root.join("plugin/server/program"), "new and longer").unwrap();
        fs::write(root.join("plugin/more"), "more").unwrap();
        fs::create_dir_all(root.join("another/one")).unwrap();
        symlink("/etc", root.join("link")).unwrap();
        remove_others(root, kept).unwrap();
        copy(kept, root, None, Modes::Kept, |_| {}).unwrap();
        let program = root.join("plugin/server/program");
        assert_eq!(fs::read_to_string(&program).unwrap(), "old");
        assert_eq!(fs::metadata(&program).unwrap().mode() & 0o777, 0o755);
        let names: Vec<_> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        let links: Vec<_> = names.iter().filter(|name| *name == "link").collect();
        assert_eq!(
            (names.len(), links.len()),
            (2, 1),
            "a link is not copied, so it is not removed: {names:?}"
        );
        assert_eq!(fs::read_dir(root.join("plugin")).unwrap().count(), 2);
        assert_eq!(fs::metadata(root.join("plugin/empty")).unwrap().mode() & 0o777, 0o700);
    }
}

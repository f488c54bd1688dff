//! A directory with everything in it: how large it is, and a copy of it. The directory may belong to somebody else, who may write in it
//! meanwhile: no link is followed, and only files and directories are copied.
use std::fs::{self, File, FileTimes};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, fchown};
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
        bytes += entry.file.metadata().map_err(|e| DiskError::new("read", &entry.path, e))?.len();
        Ok(())
    })?;
    Ok(bytes)
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
    mut each: impl FnMut(u64),
) -> Result<(), DiskError> {
    walk(&open(root)?, root, Path::new(""), &mut |Entry { path, below, mut file, dir_owner }| {
        let read = |e| DiskError::new("read", &path, e);
        let meta = file.metadata().map_err(read)?;
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
        // The last act: it says that the file is whole.
        made.set_times(FileTimes::new().set_modified(modified)).map_err(write)
    })?;
    let synced = File::open(to).and_then(|dir| Ok(syncfs(dir)?));
    synced.map_err(|e| DiskError::new("write", to, e))
}

/// A file that [`walk`] has found.
struct Entry {
    /// Its whole path, for messages.
    path: PathBuf,
    /// Its path below the root.
    below: PathBuf,
    file: File,
    /// The user that its directory belongs to.
    dir_owner: u32,
}

/// Calls `visit` with every regular file below a directory.
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
            FileType::Directory => walk(&opened, root, &below, visit)?,
            FileType::RegularFile => {
                visit(Entry { path: path.join(&text), below, file: File::from(opened), dir_owner })?;
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
            copy(from.path(), to.path(), None, |size| bytes += size).unwrap();
            assert_eq!(bytes, 7);
        }
        assert_eq!(fs::read_to_string(to.path().join("20260101/teams/a.png")).unwrap(), "12345");
        let mut names: Vec<_> =
            fs::read_dir(to.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["20260101", "b"]);
        // Half a file is copied again.
        fs::write(to.path().join("b"), "6").unwrap();
        copy(from.path(), to.path(), None, |_| {}).unwrap();
        assert_eq!(fs::read_to_string(to.path().join("b")).unwrap(), "67");
    }
}

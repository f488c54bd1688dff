//! Free space, permissions and durable changes on disk.
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, StatVfsMountFlags, openat};
use rustix::io::Errno;
use rustix::process::geteuid;

pub use crate::tree::remove_tree;

/// Something could not be done to a path: what, where, why, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {}", path.display(), finding::disk::explained(source))]
pub struct DiskError {
    /// A verb: "write", "remove".
    pub action: &'static str,
    /// The file or directory.
    pub path: PathBuf,
    /// The kernel's error.
    pub source: io::Error,
}

impl DiskError {
    pub(crate) fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self { action, path: path.to_path_buf(), source }
    }
}

/// The free space of a file system for users other than root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Free {
    /// Bytes.
    pub bytes: u64,
    /// All bytes of the file system, used and free.
    pub total: u64,
    /// Files; `None` if the file system has no fixed number of them (btrfs).
    pub inodes: Option<u64>,
}

/// The free space of the file system that `path` is on, or will be on: the nearest existing parent decides.
pub fn free(path: &Path) -> Result<Free, DiskError> {
    let found = nearest(path);
    let stat = rustix::fs::statvfs(found).map_err(|e| DiskError::new("look at", found, e.into()))?;
    Ok(Free {
        bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
        total: stat.f_blocks.saturating_mul(stat.f_frsize),
        inodes: (stat.f_files > 0).then_some(stat.f_favail),
    })
}

/// Where the file system is mounted that `path` is on, or will be on.
pub fn mount_point(path: &Path) -> Result<PathBuf, DiskError> {
    let found = nearest(path);
    let fail = |e| DiskError::new("look at", found, e);
    let real = fs::canonicalize(found).map_err(fail)?;
    let device = |path: &Path| fs::metadata(path).map(|meta| meta.dev()).map_err(fail);
    let of = device(&real)?;
    let mut mounted = real.as_path();
    for above in real.ancestors().skip(1) {
        if device(above)? != of {
            break;
        }
        mounted = above;
    }
    Ok(mounted.to_owned())
}

/// The mount that a path is in, as the kernel lists it; `None` where it lists none. A directory of another place on the same disk
/// (a bind mount, a container's volume) is one, too.
pub fn listed_mount(path: &Path) -> Option<PathBuf> {
    let real = fs::canonicalize(nearest(path)).ok()?;
    innermost(&real, &fs::read_to_string("/proc/self/mountinfo").ok()?)
}

/// The fifth field of a line is the mount point, in which a space is `\040`.
fn innermost(real: &Path, mounts: &str) -> Option<PathBuf> {
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    let points = points.map(|point| PathBuf::from(point.replace("\\040", " ")));
    points.filter(|point| real.starts_with(point)).max_by_key(|point| point.components().count())
}

/// Properties of a file system that matter to a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mount {
    /// The kind of a network file system: SQLite's and PostgreSQL's locks are not reliable there.
    pub network: Option<&'static str>,
    /// Programs on it cannot be executed.
    pub noexec: bool,
    /// It is mounted read-only.
    pub read_only: bool,
}

/// The properties of the file system that `path` is on, or will be on.
pub fn mount(path: &Path) -> Result<Mount, DiskError> {
    let found = nearest(path);
    let fail = |e: rustix::io::Errno| DiskError::new("look at", found, e.into());
    let flags = rustix::fs::statvfs(found).map_err(fail)?.f_flag;
    let magic = rustix::fs::statfs(found).map_err(fail)?.f_type;
    Ok(Mount {
        network: network_kind(magic as u64 & 0xffff_ffff),
        noexec: flags.contains(StatVfsMountFlags::NOEXEC),
        read_only: flags.contains(StatVfsMountFlags::RDONLY),
    })
}

/// Magic numbers of linux/magic.h and of the drivers themselves.
fn network_kind(magic: u64) -> Option<&'static str> {
    Some(match magic {
        0x6969 => "nfs",
        0xff53_4d42 | 0xfe53_4d42 | 0x517b => "smb",
        0x00c3_6400 => "ceph",
        0x5346_414f | 0x6b41_4653 => "afs",
        0x0102_1997 => "9p",
        0x0bd0_0bd0 => "lustre",
        0x0116_1970 => "gfs2",
        0x7461_636f => "ocfs2",
        _ => return None,
    })
}

/// Prefixes of the temporary names that are renamed into place.
const STAGED_FILE: &str = ".new-";
const STAGED_LINK: &str = ".link-";
const PROBE: &str = ".probe-";

/// Whether it is a temporary name of [`atomic_write`], [`symlink_flip`] or [`probe`]. A kill during one of them leaves the
/// file behind; nobody needs it.
pub fn is_staged(name: &str) -> bool {
    let random = [STAGED_FILE, STAGED_LINK, PROBE].into_iter().find_map(|prefix| name.strip_prefix(prefix));
    // The number of random characters in a name of tempfile.
    random.is_some_and(|random| random.len() == 6 && random.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// A file's content, mode and owner, to restore it. It may be a secret: no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Content {
    /// All of it.
    pub bytes: Vec<u8>,
    /// Permission bits.
    pub mode: u32,
    /// User and group id.
    pub owner: (u32, u32),
}

/// Reads a file in a directory that another user may write in. That user could put a link or a pipe there, so that root
/// reads (and shows) another file, or waits for ever.
///
/// So no link is followed, and only a regular file of at most `limit` bytes is read. It must belong to the directory's
/// owner; or to root or the reader, without a second name, because a hard link keeps the owner.
pub fn read_guarded(path: &Path, limit: u64) -> Result<Content, DiskError> {
    let fail = |e| DiskError::new("read", path, e);
    let refuse = |what: String| Err(fail(io::Error::other(what)));
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match openat(CWD, path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::LOOP) => {
            return refuse(
                "it is a symbolic link, which Mainstay does not follow; put the file itself there".into(),
            );
        }
        Err(e) => return Err(fail(e.into())),
    };
    let meta = file.metadata().map_err(fail)?;
    if !meta.is_file() {
        return refuse("it is not a regular file; put one there".into());
    }
    let (dir, me) = (fs::metadata(parent(path)).map_err(fail)?.uid(), geteuid().as_raw());
    let own = [0, me].contains(&meta.uid());
    if dir != me && meta.uid() != dir && !(own && meta.nlink() == 1) {
        let (owner, linked) = (meta.uid(), if own { " and has other names (hard links)" } else { "" });
        return refuse(format!(
            "it belongs to user {owner}{linked}; put a copy there that belongs to user {dir}, the directory's owner"
        ));
    }
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(fail)?;
    if bytes.len() as u64 > limit {
        return refuse(format!("it is larger than {limit} bytes, which is the limit"));
    }
    Ok(Content { bytes, mode: meta.mode() & 0o777, owner: (meta.uid(), meta.gid()) })
}

/// Opens a file that a person named, to read it. A pipe or a device in the file system is refused: reading it may never end, and no
/// signal is heard meanwhile. What a shell passes on (`/dev/fd/3`, `/dev/stdin`) is read.
///
/// # Errors
/// It cannot be opened, or is no regular file.
pub fn open_named(path: &Path) -> io::Result<File> {
    let meta = fs::metadata(path)?;
    if meta.is_file() || meta.is_dir() || is_passed_on(path) {
        return File::open(path);
    }
    Err(io::Error::other(NOT_REGULAR))
}

const NOT_REGULAR: &str = "it is a pipe or a device, not a regular file";

/// Whether a path names what this process has open.
fn is_passed_on(path: &Path) -> bool {
    let places = ["/dev/fd", "/dev/stdin", "/dev/stdout", "/dev/stderr", "/proc/self/fd"];
    places.iter().any(|place| path.starts_with(place))
}

/// The file that a write to a path that a person named may replace. A link is followed. What is no regular file is refused: whoever
/// replaced `/dev/null` would take it from the whole machine.
///
/// # Errors
/// It is a directory, a pipe, a device, or what this process has open; it cannot be looked at.
pub fn replaceable(path: &Path) -> io::Result<PathBuf> {
    if is_passed_on(path) {
        return Err(io::Error::other("it stands for what this process has open; name a file"));
    }
    match fs::metadata(path) {
        Ok(meta) if meta.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(meta) if !meta.is_file() => Err(io::Error::other(NOT_REGULAR)),
        Ok(_) if path.is_symlink() => fs::canonicalize(path),
        Ok(_) => Ok(path.to_path_buf()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(path.to_path_buf()),
        Err(error) => Err(error),
    }
}

/// Writes a file that a person named, as [`atomic_write`] does, where [`replaceable`] allows it.
pub fn write_named(path: &Path, bytes: &[u8], mode: u32) -> Result<(), DiskError> {
    let file = replaceable(path).map_err(|error| DiskError::new("write", path, error))?;
    atomic_write(&file, bytes, mode, None)
}

/// Reads a file that a person named or edits, of at most `limit` bytes. Links are followed.
///
/// # Errors
/// As [`open_named`]; it is larger.
pub fn read_named(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_named(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::other(format!("it is larger than {limit} bytes, which is the limit")));
    }
    Ok(bytes)
}

/// Tries to write in a directory. Only this shows whether permissions, a read-only mount or a full disk prevent it.
pub fn probe(dir: &Path) -> Result<(), DiskError> {
    probe_with(dir, 4096)
}

/// The same with as many bytes as will be needed.
pub fn probe_with(dir: &Path, bytes: usize) -> Result<(), DiskError> {
    let fail = |e| DiskError::new("write in", dir, e);
    let mut file = tempfile::Builder::new().prefix(PROBE).tempfile_in(dir).map_err(fail)?;
    file.write_all(&vec![0; bytes]).and_then(|()| file.as_file().sync_all()).map_err(fail)?;
    file.close().map_err(fail)
}

/// Replaces a file. Every reader sees the old content or the new, also after a power cut.
/// `owner` is user and group id.
pub fn atomic_write(
    path: &Path,
    bytes: &[u8],
    mode: u32,
    owner: Option<(u32, u32)>,
) -> Result<(), DiskError> {
    let fail = |e| DiskError::new("write", path, e);
    let file = staged(path, bytes, mode, owner).map_err(fail)?;
    file.as_file().sync_all().map_err(fail)?;
    file.persist(path).map_err(|e| fail(e.error))?;
    sync_dir(parent(path))
}

/// Replaces `to` by a copy of `from`, with its mode, in the way of [`atomic_write`]; a link is not followed. Where the file system can,
/// both share their blocks. The bytes of the file.
pub fn copy(from: &Path, to: &Path, owner: Option<(u32, u32)>) -> Result<u64, DiskError> {
    let read = |e| DiskError::new("read", from, e);
    let mut original = open_named(from).map_err(read)?;
    let mode = original.metadata().map_err(read)?.permissions().mode() & 0o777;
    let fail = |e| DiskError::new("write", to, e);
    let mut file = staged(to, &[], 0o600, owner).map_err(fail)?;
    let bytes = io::copy(&mut original, file.as_file_mut()).map_err(fail)?;
    file.as_file().set_permissions(fs::Permissions::from_mode(mode)).map_err(fail)?;
    file.as_file().sync_all().map_err(fail)?;
    file.persist(to).map_err(|e| fail(e.error))?;
    sync_dir(parent(to))?;
    Ok(bytes)
}

/// Replaces a file that is not needed after a power cut, in one step and without waiting for the disk. Mode 0600.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
    let fail = |e| DiskError::new("write", path, e);
    staged(path, bytes, 0o600, None).map_err(fail)?.persist(path).map_err(|e| fail(e.error)).map(drop)
}

/// Writes the new content next to the old file.
fn staged(
    path: &Path,
    bytes: &[u8],
    mode: u32,
    owner: Option<(u32, u32)>,
) -> io::Result<tempfile::NamedTempFile> {
    let mut file = tempfile::Builder::new().prefix(STAGED_FILE).tempfile_in(parent(path))?;
    file.write_all(bytes)?;
    if let Some((uid, gid)) = owner {
        fchown(file.as_file(), Some(uid), Some(gid))?;
    }
    // After the owner, because a change of owner clears bits of the mode.
    file.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
    Ok(file)
}

/// Sets the permission bits of a file or directory. A link is not followed: in a directory of another user it could lead anywhere.
pub fn set_mode(path: &Path, mode: u32) -> Result<(), DiskError> {
    let fail = |e: Errno| DiskError::new("change the mode of", path, e.into());
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat(CWD, path, flags, Mode::empty()).map_err(fail)?;
    rustix::fs::fchmod(&file, Mode::from_raw_mode(mode)).map_err(fail)
}

/// Points the symbolic link `link` to `target`, in one step and durably. Creates it if there is none; refuses to replace
/// anything that is not a link.
pub fn symlink_flip(link: &Path, target: &Path) -> Result<(), DiskError> {
    let fail = |e| DiskError::new("point the link", link, e);
    if link.symlink_metadata().is_ok_and(|m| !m.is_symlink()) {
        return Err(fail(io::Error::new(io::ErrorKind::AlreadyExists, "it is not a symbolic link")));
    }
    let dir = parent(link);
    let fresh = tempfile::Builder::new().prefix(STAGED_LINK).tempdir_in(dir).map_err(fail)?;
    let staged = fresh.path().join("link");
    std::os::unix::fs::symlink(target, &staged).map_err(fail)?;
    fs::rename(&staged, link).map_err(fail)?;
    fresh.close().map_err(fail)?;
    sync_dir(dir)
}

/// Makes changes of the names in a directory durable.
pub fn sync_dir(dir: &Path) -> Result<(), DiskError> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(|e| DiskError::new("sync", dir, e))
}

/// Makes everything in the file system of `path` durable: many new files at once, faster than one after the other.
pub fn sync_file_system(path: &Path) -> Result<(), DiskError> {
    let fail = |e: io::Error| DiskError::new("sync", path, e);
    let file = File::open(path).map_err(fail)?;
    rustix::fs::syncfs(&file).map_err(|e| fail(e.into()))
}

/// Removes a file. It is not an error if there is none.
pub fn remove_file(path: &Path) -> Result<(), DiskError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(DiskError::new("remove", path, e)),
        _ => Ok(()),
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The nearest path that exists: `path` itself, or a directory above it.
pub fn nearest(path: &Path) -> &Path {
    path.ancestors().find(|p| p.exists()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_mount_counts() {
        let mounts = "22 1 0:20 / / rw - overlay overlay rw\n30 22 8:1 /srv/a\\040b /back\\040ups rw - ext4 /dev/sda1 rw\n";
        let of = |path: &str| innermost(Path::new(path), mounts);
        assert_eq!(of("/back ups/x").as_deref(), Some(Path::new("/back ups")));
        assert_eq!(of("/backups").as_deref(), Some(Path::new("/")));
        assert_eq!(innermost(Path::new("/x"), ""), None);
    }
}

//! Makes a directory tree durable and read-only. Its owner can still remove it.
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock, syncfs};

use crate::error::ReleaseError;

/// Up to so many files are synced one by one. Beyond this it is faster to sync the whole file system, although that also
/// waits for what other programs write to it.
const FEW: usize = 100;
const PREFIX: &str = ".unpack-";

/// A directory under `releases/` that is locked while it is filled, and removed unless it is kept.
pub(crate) struct Staging {
    path: PathBuf,
    lock: File,
    kept: bool,
}

impl Staging {
    /// Creates one, and first removes those that a killed run left behind.
    pub(crate) fn within(releases: &Path) -> Result<Self, ReleaseError> {
        let fail = |e| ReleaseError::disk("write in", releases, e);
        for entry in fs::read_dir(releases).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            if entry.file_name().to_string_lossy().starts_with(PREFIX) {
                remove_if_abandoned(&entry.path());
            }
        }
        let path = tempfile::Builder::new().prefix(PREFIX).tempdir_in(releases).map_err(fail)?.keep();
        let lock = File::open(&path).map_err(fail)?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|e| fail(e.into()))?;
        Ok(Self { path, lock, kept: false })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Syncs the tree, makes it read-only and gives it its name.
    pub(crate) fn keep_as(mut self, root: &Path) -> Result<(), ReleaseError> {
        let mut found = Vec::new();
        list(&self.path, &mut found).map_err(|e| ReleaseError::disk("read", &self.path, e))?;
        let files = found.iter().filter(|(_, kind)| *kind == Kind::File).count();
        for (path, kind) in &found {
            let done = match kind {
                Kind::File if files <= FEW => File::open(path).and_then(|file| file.sync_all()),
                Kind::Directory if files <= FEW => File::open(path).and_then(|dir| dir.sync_all()),
                Kind::File | Kind::Directory | Kind::Link => Ok(()),
            };
            done.map_err(|e| ReleaseError::disk("sync", path, e))?;
        }
        for (path, kind) in found.iter().filter(|(_, kind)| *kind != Kind::Link) {
            let executable = *kind == Kind::Directory || mode(path) & 0o111 != 0;
            set_mode(path, if executable { 0o555 } else { 0o444 })?;
        }
        if files > FEW {
            syncfs(&self.lock).map_err(|e| ReleaseError::disk("sync", &self.path, e.into()))?;
        }
        fs::rename(&self.path, root).map_err(|e| ReleaseError::disk("rename to", root, e))?;
        self.kept = true;
        let releases = root.parent().unwrap_or(root);
        File::open(releases)
            .and_then(|dir| dir.sync_all())
            .map_err(|e| ReleaseError::disk("sync", releases, e))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.kept
            && let Err(error) = remove(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove the partly unpacked release");
        }
    }
}

/// Removes a directory that no process fills any more: the kernel frees the lock of a killed process.
fn remove_if_abandoned(path: &Path) {
    let Ok(dir) = File::open(path) else { return };
    if flock(&dir, FlockOperation::NonBlockingLockExclusive).is_ok()
        && let Err(error) = remove(path)
    {
        tracing::warn!(path = %path.display(), %error, "cannot remove what a killed run left behind");
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Directory,
    Link,
}

/// Everything in a tree, children before their directory, the directory itself last.
fn list(dir: &Path, found: &mut Vec<(PathBuf, Kind)>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            list(&entry.path(), found)?;
        } else {
            found.push((entry.path(), if kind.is_symlink() { Kind::Link } else { Kind::File }));
        }
    }
    found.push((dir.to_path_buf(), Kind::Directory));
    Ok(())
}

/// Removes a tree of ours, read-only or not.
fn remove(root: &Path) -> io::Result<()> {
    let mut found = Vec::new();
    list(root, &mut found)?;
    for (dir, _) in found.iter().filter(|(_, kind)| *kind == Kind::Directory) {
        fs::set_permissions(dir, Permissions::from_mode(0o700))?;
    }
    fs::remove_dir_all(root)
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).map_or(0, |meta| meta.permissions().mode())
}

fn set_mode(path: &Path, mode: u32) -> Result<(), ReleaseError> {
    fs::set_permissions(path, Permissions::from_mode(mode))
        .map_err(|e| ReleaseError::disk("protect", path, e))
}

//! The temporary directory of a build.

use std::fs::File;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::error::Error;

const PREFIX: &str = ".mainstay-image-";

/// A locked temporary directory. Dropping this removes it. The next build in the same place removes what a killed build left.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    _lock: File,
}

impl Scratch {
    /// Creates one in `dir`, which must exist.
    ///
    /// # Errors
    /// The directory does not exist or cannot be written.
    pub fn within(dir: &Path) -> Result<Self, Error> {
        let failed = |error: std::io::Error| Error::path("write in", dir, &error);
        for found in std::fs::read_dir(dir).map_err(failed)? {
            let found = found.map_err(failed)?;
            if found.file_name().to_string_lossy().starts_with(PREFIX) {
                remove_if_abandoned(&found.path());
            }
        }
        let path = tempfile::Builder::new().prefix(PREFIX).tempdir_in(dir).map_err(failed)?.keep();
        let lock = File::open(&path).map_err(failed)?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|error| failed(error.into()))?;
        Ok(Self { path, _lock: lock })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A build thread that still runs may create a file while this removes the tree.
        const TRIES: usize = 5;
        let removed = (0..TRIES).any(|_| host::disk::remove_tree(&self.path).is_ok());
        if !removed {
            tracing::warn!(path = %self.path.display(), "cannot remove the temporary directory");
        }
    }
}

/// The kernel releases the lock of a killed process.
fn remove_if_abandoned(path: &Path) {
    let Ok(dir) = File::open(path) else { return };
    if flock(&dir, FlockOperation::NonBlockingLockExclusive).is_ok()
        && let Err(error) = host::disk::remove_tree(path)
    {
        tracing::warn!(path = %path.display(), %error, "cannot remove what a killed build left");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removes_what_a_killed_build_left_and_keeps_what_a_running_one_uses() {
        let dir = tempfile::tempdir().expect("a directory");
        let killed = dir.path().join(format!("{PREFIX}killed"));
        std::fs::create_dir_all(killed.join("layout/blobs")).expect("a directory");
        let running = Scratch::within(dir.path()).expect("a scratch directory");
        let other = Scratch::within(dir.path()).expect("another one");
        assert!(!killed.exists() && running.path().exists() && other.path().exists());
        drop((running, other));
        assert_eq!(std::fs::read_dir(dir.path()).expect("a directory").count(), 0);
    }
}

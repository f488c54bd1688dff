//! Where fetched releases are kept, for all deployments of a machine.
//!
//! ```text
//! CACHE/
//!   catalogue.toml   what `release refresh` found
//!   keys/            public keys, named after their fingerprints
//!   releases/        tarballs that were proven, each with its signature
//!   partial/         what has come of others
//! ```
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::process::geteuid;

use crate::edition::{ReleaseId, published};
use crate::error::ReleaseError;
use crate::openpgp::Fingerprint;

/// What is added to the name of a tarball for that of its signature.
pub(crate) const SIGNATURE: &str = ".sig";

/// A directory of fetched releases. Only its owner may write in it: root starts programs that come from there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    root: PathBuf,
}

/// A tarball in a cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The release that its name says; it was proven under that name.
    pub release: ReleaseId,
    /// The file.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
}

impl Cache {
    /// The cache in a directory, which need not be there yet.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Its directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where a refreshed catalogue is.
    pub fn catalogue(&self) -> PathBuf {
        self.root.join("catalogue.toml")
    }

    /// Where a tarball is, or will be.
    pub fn tarball(&self, file: &str) -> PathBuf {
        self.root.join("releases").join(file)
    }

    /// Where its signature is, or will be.
    pub fn signature(&self, file: &str) -> PathBuf {
        self.root.join("releases").join(format!("{file}{SIGNATURE}"))
    }

    pub(crate) fn part(&self, file: &str) -> PathBuf {
        self.root.join("partial").join(file)
    }

    /// Where a public key is, or will be.
    pub fn key(&self, fingerprint: Fingerprint) -> PathBuf {
        self.root.join("keys").join(format!("{fingerprint}.asc"))
    }

    /// The tarballs in it, oldest release first.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn held(&self) -> Result<Vec<Held>, ReleaseError> {
        let dir = self.root.join("releases");
        let fail = |error| ReleaseError::disk("read", &dir, error);
        let entries = match fs::read_dir(&dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(fail)?,
        };
        let mut held = Vec::new();
        for entry in entries {
            let entry = entry.map_err(fail)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Some(release) = published(&name).filter(|_| name.ends_with(".tar.gz")) {
                let bytes = entry.metadata().map_err(fail)?.len();
                held.push(Held { release, path: entry.path(), bytes });
            }
        }
        held.sort_by(|a, b| a.release.cmp(&b.release));
        Ok(held)
    }

    /// Removes a tarball and its signature.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn remove(&self, tarball: &Path) -> Result<(), ReleaseError> {
        let mut signature = tarball.as_os_str().to_owned();
        signature.push(SIGNATURE);
        // The tarball first: without it the signature is nothing.
        for path in [tarball, Path::new(&signature)] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(ReleaseError::disk("remove", path, error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Makes the directories that are missing.
    ///
    /// # Errors
    /// The disk refuses; others may write there.
    pub(crate) fn make(&self) -> Result<(), ReleaseError> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o755);
        for dir in ["releases", "partial", "keys"].map(|name| self.root.join(name)) {
            builder.create(&dir).map_err(|error| ReleaseError::disk("create", &dir, error))?;
        }
        for dir in [&self.root, &self.root.join("releases"), &self.root.join("keys")] {
            let meta = fs::metadata(dir).map_err(|error| ReleaseError::disk("look at", dir, error))?;
            if meta.uid() != geteuid().as_raw() || meta.mode() & 0o022 != 0 {
                return Err(ReleaseError::OpenCache { path: dir.clone() });
            }
        }
        Ok(())
    }

    /// Waits until no other process fetches this file.
    pub(crate) async fn lock(&self, file: &str) -> Result<File, ReleaseError> {
        const LOOK_AGAIN: Duration = Duration::from_millis(100);
        let path = self.root.join("partial").join(format!("{file}.lock"));
        let fail = |error| ReleaseError::disk("lock", &path, error);
        let mut open = OpenOptions::new();
        let lock = open.create(true).append(true).mode(0o644).open(&path).map_err(fail)?;
        loop {
            match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(lock),
                Err(rustix::io::Errno::WOULDBLOCK) => tokio::time::sleep(LOOK_AGAIN).await,
                Err(error) => return Err(fail(error.into())),
            }
        }
    }
}

/// A file that is there whole, or not at all.
pub(crate) fn write_file(path: &Path, content: &[u8]) -> Result<(), ReleaseError> {
    let fail = |error| ReleaseError::disk("write", path, error);
    let dir = path.parent().unwrap_or(path);
    let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(dir).map_err(fail)?;
    file.write_all(content).and_then(|()| file.as_file().sync_all()).map_err(fail)?;
    let mode = rustix::fs::Mode::from_raw_mode(0o644);
    rustix::fs::fchmod(file.as_file(), mode).map_err(|error| fail(error.into()))?;
    file.persist(path).map(drop).map_err(|error| fail(error.error))
}

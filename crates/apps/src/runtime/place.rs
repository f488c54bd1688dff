//! The directory in which an app runs: its bucket, the packages of its functions, what they write, and their logs.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use finding::Exit;
use finding::disk::{reason, remedy};
use rustix::fs::{FlockOperation, flock};

use crate::file::unwritten;
use crate::{Error, names};

/// The paths in the directory of an app that runs here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppDir(PathBuf);

impl AppDir {
    /// The app's directory below `apps`, which belongs to a deployment.
    pub fn new(apps: &Path, app_id: &str) -> Self {
        Self(apps.join(app_id))
    }

    /// A place in it for a bundle of the same app, which is called while the app runs.
    #[must_use]
    pub fn aside(&self) -> Self {
        Self(self.0.join("aside"))
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.0
    }

    /// The secret with which Mattermost signs its calls.
    pub fn secret(&self) -> PathBuf {
        self.0.join("secret")
    }

    /// Where the running app answers, as JSON.
    pub fn running(&self) -> PathBuf {
        self.0.join("running.json")
    }

    /// The logs of its functions.
    pub fn logs(&self) -> PathBuf {
        self.0.join("logs")
    }

    /// The log of one function. Its name is free text, and a path is not.
    pub fn log(&self, function: &str) -> PathBuf {
        self.logs().join(format!("{}.log", file_name(function)))
    }

    /// What stands in for the bucket on S3.
    pub fn bucket(&self) -> PathBuf {
        self.run().join("bucket")
    }

    fn run(&self) -> PathBuf {
        self.0.join("run")
    }

    pub(super) fn clients(&self) -> PathBuf {
        self.run().join("clients")
    }

    pub(super) fn code(&self, index: usize) -> PathBuf {
        self.run().join("code").join(index.to_string())
    }

    pub(super) fn work(&self, slot: u32) -> PathBuf {
        self.run().join("work").join(slot.to_string())
    }

    pub(super) fn pid_file(&self, slot: u32) -> PathBuf {
        self.pids().join(slot.to_string())
    }

    fn pids(&self) -> PathBuf {
        self.0.join("pids")
    }

    /// Which process had guests here last.
    fn keeper(&self) -> PathBuf {
        self.0.join("keeper")
    }

    /// Makes the directory, takes it for this process, and ends and removes what an earlier run left. Others may pass through it, and
    /// read nothing.
    pub(super) fn take(&self) -> Result<Lock, Error> {
        let fail = |path: &Path, error: io::Error| {
            Error::new(Exit::NotReady, format!("cannot write {}: {}", path.display(), reason(&error)))
                .hint(remedy(&error).unwrap_or("name a directory that you may write with `--dir`"))
        };
        let make = |path: &Path, mode: u32| {
            fs::DirBuilder::new().recursive(true).mode(mode).create(path).map_err(|error| fail(path, error))
        };
        make(&self.0, 0o711)?;
        let path = self.0.join("lock");
        // Whoever may open it may lock it.
        let lock = File::options().create(true).append(true).mode(0o600).open(&path);
        let lock = lock.map_err(|error| fail(&path, error))?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Err(Error::new(Exit::Busy, format!("an app runs already in {}", self.0.display()))
                .hint("stop the other `mainstay apps run` or `apps serve` first, or name another directory with `--dir`"));
        }
        if let Ok(pids) = fs::read_dir(self.pids()) {
            for entry in pids.flatten() {
                host::leftover::end(&entry.path())
                    .map_err(|error| Error::new(Exit::NotReady, error.to_string()))?;
            }
        }
        host::guest::end_left(&self.keeper());
        host::disk::remove_tree(&self.run())
            .map_err(|error| Error::new(Exit::NotReady, error.to_string()))?;
        make(&self.logs(), 0o750)?;
        make(&self.pids(), 0o700)?;
        for dir in ["code", "work"] {
            make(&self.run().join(dir), 0o711)?;
        }
        make(&self.clients(), 0o755)?;
        host::guest::keep(&self.keeper()).map_err(|error| Error::new(Exit::NotReady, error.to_string()))?;
        // An umask may have taken more than it should.
        for dir in [self.0.clone(), self.run(), self.run().join("code"), self.run().join("work")] {
            fs::set_permissions(&dir, Permissions::from_mode(0o711)).map_err(|error| fail(&dir, error))?;
        }
        fs::set_permissions(self.clients(), Permissions::from_mode(0o755))
            .map_err(|error| fail(&self.clients(), error))?;
        Ok(Lock { _file: lock, running: self.running() })
    }

    /// Whether a process has this directory now.
    pub fn is_taken(&self) -> bool {
        let lock = File::open(self.0.join("lock"));
        lock.is_ok_and(|lock| flock(&lock, FlockOperation::NonBlockingLockShared).is_err())
    }

    /// The secret in [`AppDir::secret`], made where there is none yet.
    ///
    /// # Errors
    /// The disk.
    pub fn generated_secret(&self) -> Result<PathBuf, Error> {
        let path = self.secret();
        let fail = |error: String| Error::new(Exit::NotReady, error);
        let is_there = std::fs::read_to_string(&path).is_ok_and(|text| !text.trim().is_empty());
        if !is_there {
            let text = crate::names::hex(&rand::random::<[u8; 32]>());
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o711)
                .create(&self.0)
                .map_err(|error| unwritten(&self.0, &error))?;
            host::disk::atomic_write(&path, format!("{text}\n").as_bytes(), 0o600, None)
                .map_err(|error| fail(error.to_string()))?;
        }
        Ok(path)
    }

    /// Writes the manifest and the static files under the keys that they have on S3.
    pub(super) fn fill_bucket(
        &self,
        (app_id, version): (&str, &str),
        manifest: &[u8],
        assets: impl Iterator<Item = Result<(String, Vec<u8>), Error>>,
    ) -> Result<(), Error> {
        let write = |key: &str, bytes: &[u8]| {
            let path = self.bucket().join(key);
            let parent = path.parent().unwrap_or(&path);
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(parent)
                .and_then(|()| fs::write(&path, bytes))
                .map_err(|error| unwritten(&path, &error))
        };
        write(&names::manifest_key(app_id, version), manifest)?;
        for asset in assets {
            let (name, bytes) = asset?;
            write(&names::static_key(app_id, version, &name), &bytes)?;
        }
        Ok(())
    }
}

/// The directory is ours until this is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
    running: PathBuf,
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.running);
    }
}

/// A file name for a function's name: letters, digits, `-`, `_` and `.` as they are, other bytes as `%XX`.
fn file_name(function: &str) -> String {
    // Of long names that begin alike each has a file of its own.
    let (kept, end) = match function.len() {
        0..=60 => (60, String::new()),
        _ => (50, format!("-{}", names::sha256(function.as_bytes()).get(..8).unwrap_or_default())),
    };
    let mut name = String::new();
    for byte in function.bytes().take(kept) {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => name.push(char::from(byte)),
            b'.' if !name.is_empty() => name.push('.'),
            _ => name.push_str(&format!("%{byte:02X}")),
        }
    }
    name + &end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_a_function_is_one_file_in_the_directory() {
        assert_eq!(file_name("hello-lambda"), "hello-lambda");
        assert_eq!(file_name("with spaces"), "with%20spaces");
        assert_eq!(file_name("../../etc/x"), "%2E.%2F..%2Fetc%2Fx");
        assert_eq!(file_name("a.b"), "a.b");
        assert!(file_name(&"ü".repeat(500)).len() < 255);
        let long = |end: &str| file_name(&format!("{}{end}", "a".repeat(60)));
        assert_ne!(long("-one"), long("-two"));
    }

    #[test]
    fn a_directory_has_one_owner_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let app = AppDir::new(dir.path(), "com.example.app");
        let lock = app.take().unwrap();
        assert_eq!(app.take().unwrap_err().exit, Exit::Busy);
        drop(app.aside().take().unwrap());
        assert!(app.is_taken());
        drop(lock);
        app.take().unwrap();
    }
}

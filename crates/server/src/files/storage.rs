//! The file store: a directory (`FileSettings.Directory`), and the files that are being received into it.

use std::io;
use std::path::{Component, Path, PathBuf};

use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use super::kind::SNIFFED;

/// Stored files, by their path relative to the root.
#[derive(Debug, Clone)]
pub(crate) struct Storage {
    root: PathBuf,
}

/// Why a file was not received.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReceiveError {
    #[error("the file is larger than {limit} bytes")]
    TooLarge { limit: u64 },
    #[error("the file cannot be written: {0}")]
    Disk(#[from] io::Error),
}

impl Storage {
    pub(crate) fn new(root: impl Into<PathBuf>) -> Storage {
        Storage { root: root.into() }
    }

    /// The place of a stored path. Refuses a path that leads out of the root, which this server never stores.
    fn place(&self, path: &str) -> io::Result<PathBuf> {
        if path.is_empty() || !Path::new(path).components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{path:?} is not a stored path"),
            ));
        }
        Ok(self.root.join(path))
    }

    /// An open file and its length in bytes.
    pub(crate) async fn open(&self, path: &str) -> io::Result<(File, u64)> {
        let file = File::open(self.place(path)?).await?;
        let length = file.metadata().await?.len();
        Ok((file, length))
    }

    /// Removes files, and directories that are empty without them. What is gone already is no error.
    pub(crate) async fn remove(&self, paths: Vec<String>) -> io::Result<()> {
        let places = paths.iter().map(|path| self.place(path)).collect::<io::Result<Vec<PathBuf>>>()?;
        let remove = move || {
            for place in places {
                match std::fs::remove_file(&place) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
                if let Some(directory) = place.parent() {
                    let _still_in_use = std::fs::remove_dir(directory);
                }
            }
            Ok(())
        };
        tokio::task::spawn_blocking(remove).await.map_err(io::Error::other)?
    }

    /// Begins to receive a file of at most `limit` bytes into a new directory.
    pub(crate) async fn receive(&self, directory: &str, name: &str, limit: u64) -> io::Result<Incoming> {
        let place = self.place(directory)?;
        // The deepest directory that exists now: those below it are new, and must be synced.
        let known = place.ancestors().find(|ancestor| ancestor.is_dir()).unwrap_or(&self.root).to_owned();
        tokio::fs::create_dir_all(&place).await?;
        let kept = Kept { root: self.root.clone(), directory: place, known, keep: false };
        let file = File::options().write(true).create_new(true).open(kept.directory.join(name)).await?;
        Ok(Incoming { kept, file, head: Vec::new(), written: 0, limit })
    }
}

/// A file that is being received.
pub(crate) struct Incoming {
    kept: Kept,
    file: File,
    head: Vec<u8>,
    written: u64,
    limit: u64,
}

impl Incoming {
    pub(crate) async fn write(&mut self, chunk: &[u8]) -> Result<(), ReceiveError> {
        self.written += chunk.len() as u64;
        if self.written > self.limit {
            return Err(ReceiveError::TooLarge { limit: self.limit });
        }
        let wanted = SNIFFED.saturating_sub(self.head.len()).min(chunk.len());
        self.head.extend_from_slice(&chunk[..wanted]);
        Ok(self.file.write_all(chunk).await?)
    }

    /// Bytes received so far.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// The first bytes.
    pub(crate) fn head(&self) -> &[u8] {
        &self.head
    }

    /// Syncs the content to disk. Dropping the result still deletes the file.
    pub(crate) async fn finish(mut self) -> io::Result<Kept> {
        self.file.flush().await?;
        self.file.sync_all().await?;
        Ok(self.kept)
    }
}

/// The directory of one received file. Dropping it deletes the directory, unless [`Kept::keep`] was called.
pub(crate) struct Kept {
    root: PathBuf,
    directory: PathBuf,
    /// The deepest directory that existed before.
    known: PathBuf,
    keep: bool,
}

impl Kept {
    /// The place of a stored path on disk.
    pub(super) fn path(&self, stored: &str) -> PathBuf {
        self.root.join(stored)
    }

    /// Directories with new entries, innermost first.
    pub(super) fn new_directories(&self) -> Vec<PathBuf> {
        let new = self.directory.ancestors().take_while(|ancestor| *ancestor != self.known);
        new.chain([&*self.known]).map(Path::to_owned).collect()
    }

    /// Keeps the file, because it has a row now.
    pub(crate) fn keep(mut self) {
        self.keep = true;
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        // This blocks for a few unlinks: a destructor cannot await.
        if let Err(error) = std::fs::remove_dir_all(&self.directory) {
            tracing::warn!(directory = %self.directory.display(), %error, "a refused upload was not removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_is_not_kept_is_deleted() -> Result<(), Box<dyn std::error::Error>> {
        let root = tempfile::tempdir()?;
        let storage = Storage::new(root.path());
        let mut incoming = storage.receive("day/teams/one", "a.txt", 10).await?;
        incoming.write(b"12345").await?;
        assert!(matches!(incoming.write(b"678901").await, Err(ReceiveError::TooLarge { limit: 10 })));
        drop(incoming);
        assert!(!root.path().join("day/teams/one").exists());

        let mut incoming = storage.receive("day/teams/two", "a.txt", 10).await?;
        incoming.write(b"12345").await?;
        let kept = incoming.finish().await?;
        assert_eq!(
            kept.new_directories(),
            [root.path().join("day/teams/two"), root.path().join("day/teams")]
        );
        kept.keep();
        assert_eq!(storage.open("day/teams/two/a.txt").await?.1, 5);
        Ok(())
    }

    #[tokio::test]
    async fn paths_out_of_the_root_are_refused() -> Result<(), Box<dyn std::error::Error>> {
        let root = tempfile::tempdir()?;
        let storage = Storage::new(root.path().join("store"));
        std::fs::write(root.path().join("secret"), "x")?;
        for path in ["../secret", "/etc/passwd", "", "a/../../secret", "."] {
            assert!(storage.open(path).await.is_err(), "{path}");
        }
        Ok(())
    }
}

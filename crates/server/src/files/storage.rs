//! The file store: a directory (`FileSettings.Directory`), and files on their way into it.

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

    /// The place of a stored path. One that would leave the root (a row that is not ours) is refused.
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

    /// Begins a file of at most `limit` bytes in a new directory of its own.
    pub(crate) async fn receive(&self, directory: &str, name: &str, limit: u64) -> io::Result<Incoming> {
        let place = self.place(directory)?;
        // What exists before tells which directories are new, and so must be synced.
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

    /// Makes the content durable. The file still goes when what this returns is dropped.
    pub(crate) async fn finish(mut self) -> io::Result<Kept> {
        self.file.flush().await?;
        self.file.sync_all().await?;
        Ok(self.kept)
    }
}

/// The directory of one received file. Dropped, it takes the file with it, unless it was told to keep it.
pub(crate) struct Kept {
    root: PathBuf,
    directory: PathBuf,
    /// The deepest directory that was there before.
    known: PathBuf,
    keep: bool,
}

impl Kept {
    /// A stored path on disk.
    pub(super) fn path(&self, stored: &str) -> PathBuf {
        self.root.join(stored)
    }

    /// Directories with new entries, innermost first.
    pub(super) fn new_directories(&self) -> Vec<PathBuf> {
        let new = self.directory.ancestors().take_while(|ancestor| *ancestor != self.known);
        new.chain([&*self.known]).map(Path::to_owned).collect()
    }

    /// The file now has a row: it stays.
    pub(crate) fn keep(mut self) {
        self.keep = true;
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        // A few unlinks; a destructor cannot wait.
        if let Err(error) = std::fs::remove_dir_all(&self.directory) {
            tracing::warn!(directory = %self.directory.display(), %error, "a refused upload was not removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_is_not_kept_goes() -> Result<(), Box<dyn std::error::Error>> {
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
    async fn no_path_leaves_the_root() -> Result<(), Box<dyn std::error::Error>> {
        let root = tempfile::tempdir()?;
        let storage = Storage::new(root.path().join("store"));
        std::fs::write(root.path().join("secret"), "x")?;
        for path in ["../secret", "/etc/passwd", "", "a/../../secret", "."] {
            assert!(storage.open(path).await.is_err(), "{path}");
        }
        Ok(())
    }
}

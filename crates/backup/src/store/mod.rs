//! Where a repository lies: files by name, each written as a whole.
mod backend;
mod directory;
mod limited;

use std::io;
use std::sync::Arc;

use bytes::Bytes;

pub(crate) use backend::backends;
pub use directory::Directory;
pub use limited::Limited;

/// A place for the files of a repository. Names are relative, with `/` between their parts: `data/ab/ab12...`.
///
/// Every call blocks, and may be made from several threads at once.
pub trait Store: Send + Sync + 'static {
    /// The place in words, for messages; no secret is in it.
    fn location(&self) -> String;

    /// All files below a folder (`""`: directly in the root), with their sizes in bytes. A folder that does not exist is empty.
    ///
    /// # Errors
    /// The place cannot be reached, or refuses.
    fn list(&self, folder: &str) -> Result<Vec<Entry>, StoreError>;

    /// A whole file.
    ///
    /// # Errors
    /// As [`Store::list`]; [`StoreError::is_missing`] if there is none.
    fn read(&self, name: &str) -> Result<Bytes, StoreError>;

    /// `length` bytes of a file from `offset`.
    ///
    /// # Errors
    /// As [`Store::read`]; the file is shorter.
    fn read_range(&self, name: &str, offset: u64, length: u64) -> Result<Bytes, StoreError>;

    /// Writes a file, or replaces it: whole and lasting, or not at all.
    ///
    /// # Errors
    /// As [`Store::list`].
    fn write(&self, name: &str, content: &[Bytes]) -> Result<(), StoreError>;

    /// Writes a file where none is; `false` if there is one already.
    ///
    /// # Errors
    /// As [`Store::list`].
    fn create(&self, name: &str, content: &[u8]) -> Result<bool, StoreError>;

    /// Removes a file. One that is not there is no error.
    ///
    /// # Errors
    /// As [`Store::list`].
    fn remove(&self, name: &str) -> Result<(), StoreError>;
}

/// A file of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its whole name.
    pub name: String,
    /// Bytes.
    pub size: u64,
}

/// What a store could not do.
#[derive(Debug, Clone, thiserror::Error)]
#[error("cannot {action} {at}: {why}")]
pub struct StoreError {
    /// A verb: "write".
    pub action: &'static str,
    /// The file, or the place.
    pub at: String,
    /// What was seen, in words.
    pub why: String,
    /// There is no such file.
    pub missing: bool,
}

impl StoreError {
    /// For an error of a file.
    pub fn io(action: &'static str, at: String, source: &io::Error) -> StoreError {
        let missing = source.kind() == io::ErrorKind::NotFound;
        StoreError { action, at, why: finding::disk::explained(source), missing }
    }

    /// The file does not exist: it can be told from a place that cannot be reached.
    pub fn is_missing(&self) -> bool {
        self.missing
    }
}

/// A store, shared by everything that reads and writes it.
pub(crate) type Shared = Arc<dyn Store>;

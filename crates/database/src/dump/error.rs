//! Why a database cannot be dumped or loaded.

use std::io;
use std::path::{Path, PathBuf};

use dsn::Engine;

use crate::failure::Failure;

/// Why a database cannot be dumped or loaded. What is wrong is its text; [`Error::remedy`] is what to do.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The server cannot be reached, or refuses.
    #[error(transparent)]
    Server(#[from] Failure),
    /// A file cannot be read or written.
    #[error("cannot {action} {}: {why}", path.display())]
    File {
        /// A verb: "read".
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// What was seen, in words.
        why: String,
    },
    /// An SQLite file is not what it should be.
    #[error("the database {} is damaged: {why}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What SQLite says.
        why: String,
    },
    /// No dump of this kind of server.
    #[error("{0} cannot be dumped yet")]
    Unsupported(Engine),
    /// The thread or the program ended without an answer.
    #[error("the dump ended early: {0}")]
    Ended(String),
}

impl Error {
    pub(super) fn file(action: &'static str, path: &Path, error: &io::Error) -> Error {
        Error::File { action, path: path.to_owned(), why: finding::disk::explained(error) }
    }

    /// What to do about it, where the text does not say it.
    pub fn remedy(&self) -> Option<String> {
        match self {
            Error::Damaged { path, .. } => Some(format!(
                "restore an earlier backup; what is left in it can be read with `sqlite3 {} .recover`",
                path.display()
            )),
            _ => None,
        }
    }
}

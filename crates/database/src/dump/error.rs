//! Why a database cannot be dumped or loaded.

use std::io;
use std::path::{Path, PathBuf};

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
    /// No client program on this machine is for such a server.
    #[error("{wanted}, and {}", match found {
        Some(found) => format!("the {program} on this machine is of {found}"),
        None => format!("{program} is not installed on this machine"),
    })]
    Program {
        /// Its name.
        program: &'static str,
        /// What it would have to be for.
        wanted: String,
        /// Of what there is one, if there is any.
        found: Option<String>,
        /// A package that has it.
        package: String,
    },
    /// A pooler gives each transaction another session: a dump's settings would stay in the sessions of others.
    #[error("{place} is a pooler in transaction mode; a dump needs a session of its own")]
    Pooler {
        /// Where it listens.
        place: String,
    },
    /// A client program failed.
    #[error("{program} failed: {why}")]
    Failed {
        /// Its name.
        program: &'static str,
        /// What it said, on one line.
        why: String,
    },
    /// The dump is not whole.
    #[error("the dump is not whole: {0}")]
    Incomplete(String),
    /// The dump has other rows than the database had at its moment.
    #[error("the dump has {} of table {table}, the database has {counted}", match dumped {
        Some(dumped) => format!("{dumped} rows"),
        None => "no rows".to_owned(),
    })]
    Counted {
        /// The table.
        table: String,
        /// Rows in the dump.
        dumped: Option<u64>,
        /// Rows in the database.
        counted: u64,
    },
    /// The database that a dump was to be loaded into holds something.
    #[error("the database on {place} is not empty: {} in it", found.join(", "))]
    NotEmpty {
        /// Which one.
        place: String,
        /// Some of what is in it.
        found: Vec<String>,
    },
    /// Something ended without an answer.
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
            Error::Program { program, package, .. } => {
                Some(format!("install one that is as new: `apt-get install {package}` has {program}"))
            }
            Error::Pooler { .. } => Some("name the address of the database server itself".to_owned()),
            Error::NotEmpty { .. } => Some("name a database that is empty".to_owned()),
            _ => None,
        }
    }
}

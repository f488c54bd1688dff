//! Why the journal cannot be used.

use super::RunId;
use std::{
    io,
    path::{Path, PathBuf},
};

/// Why the journal cannot be used. Each names the file, and what to do where that is no command.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file is damaged, or is not a journal.
    #[error("the journal {path} is damaged: {reason}")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        reason: String,
    },
    /// A later version of the program wrote the file.
    #[error(
        "the journal {path} has format {found} and this version knows up to {known}: \
         use the version that wrote it, or a newer one"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The latest format this version knows.
        known: i64,
    },
    /// The unfinished run has a plan that this version cannot read, and that is not damaged: another version
    /// wrote it.
    #[error(
        "run {run} (`{operation}`) is unfinished, and {} wrote its plan, which this version cannot read: {reason}",
        .program.as_ref().map_or_else(|| "another version".to_owned(), |program| format!("version {program}"))
    )]
    ForeignPlan {
        /// The file.
        path: PathBuf,
        /// Which run.
        run: RunId,
        /// Its command's word.
        operation: String,
        /// The version that wrote it, if that is known.
        program: Option<String>,
        /// What cannot be read.
        reason: String,
    },
    /// The file cannot be opened, made or renamed.
    #[error(
        "cannot open the journal {path}: {reason}. Its directory must exist, and this user must be able to use it"
    )]
    Unopenable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The file could not be read or written just now: a full disk, a failing one, or a long wait.
    #[error(
        "cannot use the journal {path}: {source}. Nothing in it is lost. Free the disk, then run the command again"
    )]
    Storage {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: sqlx::Error,
    },
}

/// A [`JournalError`] that does not know its file yet.
#[derive(Debug)]
pub(super) enum Reason {
    Corrupt(String),
    Newer { found: i64, known: i64 },
    ForeignPlan { run: RunId, operation: String, program: Option<String>, reason: String },
    Unopenable(String),
    Storage(sqlx::Error),
}

impl Reason {
    pub(super) fn at(self, path: &Path) -> JournalError {
        let path = path.to_owned();
        match self {
            Self::Corrupt(reason) => JournalError::Corrupt { path, reason },
            Self::Newer { found, known } => JournalError::Newer { path, found, known },
            Self::ForeignPlan { run, operation, program, reason } => {
                JournalError::ForeignPlan { path, run, operation, program, reason }
            }
            Self::Unopenable(reason) => JournalError::Unopenable { path, reason },
            Self::Storage(source) => JournalError::Storage { path, source },
        }
    }

    pub(super) fn in_run(self, run: RunId) -> Self {
        match self {
            Self::Corrupt(reason) => Self::Corrupt(format!("run {run}: {reason}")),
            other => other,
        }
    }
}

/// Primary result codes, <https://sqlite.org/rescode.html>.
mod code {
    pub(super) const ERROR: i64 = 1;
    pub(super) const PERM: i64 = 3;
    pub(super) const READONLY: i64 = 8;
    pub(super) const CORRUPT: i64 = 11;
    pub(super) const CANTOPEN: i64 = 14;
    pub(super) const CONSTRAINT: i64 = 19;
    pub(super) const NOTADB: i64 = 26;
}

impl From<sqlx::Error> for Reason {
    fn from(error: sqlx::Error) -> Self {
        let sqlx::Error::Database(database) = &error else {
            return match error {
                // A value of another type than the schema's: the tables are STRICT, so nobody stored it.
                sqlx::Error::ColumnDecode { .. }
                | sqlx::Error::ColumnNotFound(_)
                | sqlx::Error::Decode(_) => Self::Corrupt(error.to_string()),
                sqlx::Error::Io(error) => Self::Unopenable(error.to_string()),
                error => Self::Storage(error),
            };
        };
        // The low byte of an extended code is the primary one.
        match database.code().and_then(|code| code.parse::<i64>().ok()).map(|code| code & 0xff) {
            // ERROR and CONSTRAINT: our statements are fixed, so only a changed schema or content raises them.
            Some(code::ERROR | code::CORRUPT | code::CONSTRAINT | code::NOTADB) => {
                Self::Corrupt(database.message().to_owned())
            }
            Some(code::PERM | code::READONLY | code::CANTOPEN) => {
                Self::Unopenable(database.message().to_owned())
            }
            _ => Self::Storage(error),
        }
    }
}

impl From<io::Error> for Reason {
    fn from(error: io::Error) -> Self {
        Self::Unopenable(error.to_string())
    }
}

//! What can go wrong with a backup, and what to do.
use std::error::Error as StdError;
use std::path::PathBuf;

use finding::Exit;
use rustic_core::RusticError;

use crate::holder::Holder;
use crate::store::StoreError;

/// What is wrong with a repository, or with what was to be kept in it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing is there.
    #[error("there is no backup repository in {location}")]
    NoRepository {
        /// Where.
        location: String,
    },
    /// One is there already.
    #[error("{location} holds a backup repository already")]
    Exists {
        /// Where.
        location: String,
    },
    /// Something else is there.
    #[error("{location} is not empty and holds no backup repository: {found} is in it")]
    Foreign {
        /// Where.
        location: String,
        /// One of the files.
        found: String,
    },
    /// The repository was made with another key.
    #[error("the key does not open the repository in {location}")]
    WrongKey {
        /// Where.
        location: String,
    },
    /// A text is no key.
    #[error("this is no key: {0}")]
    NoKey(&'static str),
    /// Somebody else writes to it.
    #[error("the repository in {location} is in use: {holder}")]
    Busy {
        /// Where.
        location: String,
        /// Who.
        holder: Box<Holder>,
    },
    /// Somebody wrote to it, and has not said for long that he still does.
    #[error("the repository in {location} was left locked: {holder}")]
    LeftLocked {
        /// Where.
        location: String,
        /// Who.
        holder: Box<Holder>,
    },
    /// The lock is another's now: nothing was completed.
    #[error("another writer took the repository in {location} over; this backup was given up")]
    LockLost {
        /// Where.
        location: String,
    },
    /// restic or rustic is at work.
    #[error("restic works on the repository in {location}: {lock} is there")]
    ForeignLock {
        /// Where.
        location: String,
        /// The lock file.
        lock: String,
    },
    /// The place of the repository refuses, or cannot be reached.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file of the deployment cannot be read.
    #[error("cannot read {}: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What was seen, in words.
        why: String,
    },
    /// A file of the target cannot be written.
    #[error("cannot write {}: {why}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What was seen, in words.
        why: String,
    },
    /// A file is never the same for as long as it takes to read it.
    #[error("{} changes faster than it can be read ({attempts} attempts)", path.display())]
    Restless {
        /// The file.
        path: PathBuf,
        /// How often it was tried.
        attempts: usize,
    },
    /// The dump failed or ended early.
    #[error("the dump of the database failed: {0}")]
    Dump(String),
    /// There is no such snapshot.
    #[error("there is no snapshot {given:?}{}", nearest.as_ref().map(|id| format!("; the nearest is {id}")).unwrap_or_default())]
    NoSnapshot {
        /// What was given.
        given: String,
        /// A similar id.
        nearest: Option<String>,
    },
    /// Several snapshots begin like this.
    #[error("{given:?} is the beginning of {count} snapshots; give more digits")]
    Ambiguous {
        /// What was given.
        given: String,
        /// How many.
        count: usize,
    },
    /// Several deployments share the repository.
    #[error(
        "the repository has snapshots of {count} deployments: {given:?} may be of any of them; name one by its id"
    )]
    Shared {
        /// What was given.
        given: String,
        /// How many.
        count: usize,
    },
    /// The newest snapshot is dated after now: a clock was, or is, wrong, and its date says nothing.
    #[error(
        "snapshot {id} is dated {}, and this machine's clock says {}: which one is the newest cannot be told",
        finding::moment(*.time),
        finding::moment(*.now)
    )]
    Ahead {
        /// The snapshot.
        id: String,
        /// Its date.
        time: jiff::Timestamp,
        /// This machine's time.
        now: jiff::Timestamp,
    },
    /// The snapshot is not one of ours, or newer.
    #[error("snapshot {id} cannot be read: {why}")]
    Manifest {
        /// The snapshot.
        id: String,
        /// What is wrong.
        why: String,
    },
    /// What is in the repository is not what was written.
    #[error("the repository in {location} is damaged: {why}")]
    Damaged {
        /// Where.
        location: String,
        /// What was found.
        why: String,
    },
    /// What was written to the target is not what the snapshot has.
    #[error("{} is not what the snapshot says: {why}", path.display())]
    Unlike {
        /// The file.
        path: PathBuf,
        /// The difference.
        why: String,
    },
    /// The caller ended it.
    #[error("interrupted; no snapshot was made")]
    Cancelled,
    /// The engine failed in a way that none of the above names.
    #[error("{0}")]
    Engine(String),
}

impl Error {
    /// Sorts an error of the engine: the store's own error, a wrong key, damage, or its words.
    pub(crate) fn engine(location: &str, error: &RusticError) -> Error {
        if error.is_incorrect_password() {
            return Error::WrongKey { location: location.to_owned() };
        }
        let mut cause: Option<&(dyn StdError + 'static)> = error.source();
        let mut deepest = None;
        while let Some(error) = cause {
            if let Some(store) = error.downcast_ref::<StoreError>() {
                return if store.is_missing() {
                    Error::Damaged { location: location.to_owned(), why: format!("{} is missing", store.at) }
                } else {
                    Error::Store(store.clone())
                };
            }
            deepest = Some(error.to_string());
            cause = error.source();
        }
        let why = match error.is_code("C001") {
            true => "a part of it is not what was written".to_owned(),
            false => in_words(&error.display_log(), deepest.as_deref()),
        };
        Error::Damaged { location: location.to_owned(), why }
    }

    /// The exit code that says it.
    pub fn exit(&self) -> Exit {
        match self {
            Error::Busy { .. } | Error::ForeignLock { .. } | Error::LockLost { .. } => Exit::Busy,
            Error::NoKey(_) | Error::NoSnapshot { .. } | Error::Ambiguous { .. } | Error::Shared { .. } => {
                Exit::Usage
            }
            Error::Exists { .. } | Error::Foreign { .. } | Error::LeftLocked { .. } | Error::Ahead { .. } => {
                Exit::Refused
            }
            Error::Damaged { .. } | Error::Unlike { .. } | Error::Manifest { .. } => Exit::NotVerified,
            _ => Exit::NotReady,
        }
    }
}

/// What the engine says for its log, for people: without its kinds and codes, and what it advises users of another program.
fn in_words(log: &str, deepest: Option<&str>) -> String {
    let text = log.strip_prefix("Error: ").unwrap_or(log);
    let text = text.split(" (kind: related to").next().unwrap_or(text);
    let text = text.split(" Please ").next().unwrap_or(text);
    let text = text.split(" at BlobLocation ").next().unwrap_or(text);
    // What is decrypted and is not what was encrypted.
    let deepest =
        deepest.map(|cause| if cause == "aead::Error" { "it is not what was written" } else { cause });
    let text = finding::one_line(text, 300);
    let text = text.trim_end_matches('.');
    match deepest.map(|cause| finding::one_line(cause, 200)) {
        Some(cause) if !text.contains(&*cause) => format!("{text}: {cause}"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_is_not_quoted_with_its_kinds_and_codes() {
        let log = "Error: Blob ID `ab` is missing in index files. Please run a repair. (kind: related to the index, code: C7): caused by: gone";
        assert_eq!(in_words(log, Some("gone")), "Blob ID `ab` is missing in index files: gone");
        assert_eq!(
            in_words("Error: it is gone (kind: related to backend)", Some("it is gone")),
            "it is gone"
        );
        let log = "Error: error processing Pack:04e0dde6 at BlobLocation { offset: 1, length: 2, uncompressed_length: None } (kind: related to x)";
        let said = in_words(log, Some("aead::Error"));
        assert_eq!(said, "error processing Pack:04e0dde6: it is not what was written");
    }
}

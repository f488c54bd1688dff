//! What can be wrong with a release, and what to do.
use std::io;
use std::path::{Path, PathBuf};

/// What is wrong with a release, its archive, or the disk.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// A text is no release name or edition.
    #[error("{given:?}: {why}")]
    Name {
        /// What was given.
        given: String,
        /// What is allowed.
        why: &'static str,
    },
    /// A text is no version.
    #[error(transparent)]
    Version(#[from] version::VersionError),
    /// A directory is not in the official layout.
    #[error("{} is not a release directory: {problem}; remove it and unpack the release again", root.display())]
    NotARelease {
        /// The directory.
        root: PathBuf,
        /// Which file is missing or wrong.
        problem: String,
    },
    /// An archive ends early or cannot be read.
    #[error("{archive} is damaged near byte {at}{}: {why}; fetch it again", in_entry(entry.as_deref()))]
    Damaged {
        /// The archive.
        archive: String,
        /// How many of its bytes had been read.
        at: u64,
        /// The member that was being read.
        entry: Option<String>,
        /// What was found.
        why: String,
    },
    /// An archive contains what no release contains.
    #[error("{archive} is refused{}: {why}; this is not an official release", in_entry(entry.as_deref()))]
    Refused {
        /// The archive.
        archive: String,
        /// The member.
        entry: Option<String>,
        /// The rule it breaks.
        why: String,
    },
    /// The server binary does not print its version.
    #[error("{} does not print its version: {why}", binary.display())]
    Unidentified {
        /// The binary.
        binary: PathBuf,
        /// What happened, and what to do.
        why: String,
    },
    /// The server is too old to say its version, and what somebody says of it is not enough.
    #[error("the server in it cannot say its version: {why}")]
    CannotSay {
        /// What is missing or wrong.
        why: String,
    },
    /// The release must be downloaded first.
    #[error(
        "{release} has not been fetched: fetch it with `mainstay release fetch`, or download {url} and name the file"
    )]
    NotFetched {
        /// The release.
        release: String,
        /// Where it is.
        url: String,
    },
    /// Others may write in the cache.
    #[error(
        "{} is not this user's alone: whoever can write there could replace releases; `chmod go-w` it, or choose another \
         directory with MAINSTAY_CACHE",
        path.display()
    )]
    OpenCache {
        /// The directory.
        path: PathBuf,
    },
    /// A file or directory cannot be used.
    #[error("cannot {action} {}: {}{}", path.display(), finding::disk::explained(source), size_hint(source))]
    Disk {
        /// A verb: "write".
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The kernel's error.
        source: io::Error,
    },
}

impl ReleaseError {
    pub(crate) fn disk(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Disk { action, path: path.to_path_buf(), source }
    }
}

fn in_entry(entry: Option<&str>) -> String {
    entry.map(|name| format!(", at {name:?}")).unwrap_or_default()
}

/// How much space is needed, where there was too little.
fn size_hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            " (an unpacked release takes about 1 GB)"
        }
        _ => "",
    }
}

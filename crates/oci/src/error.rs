//! What can be wrong with an image, its name or its registry, and the way out.
use std::io;
use std::path::{Path, PathBuf};

use finding::{Peer, Unreached, disk};

use crate::digest::Digest;

/// Anything wrong with an image, the disk under it, or the registry it goes to.
#[derive(Debug, thiserror::Error)]
pub enum OciError {
    /// A file of the image breaks a rule.
    #[error("{path:?} cannot be in an image: {why}")]
    Entry {
        /// Its path in the image.
        path: String,
        /// The rule, and what is allowed.
        why: String,
    },
    /// A value of the image's configuration breaks a rule.
    #[error("the image's {field} cannot be {given:?}: {why}")]
    Spec {
        /// Which value.
        field: &'static str,
        /// What was given.
        given: String,
        /// The rule, and what is allowed.
        why: String,
    },
    /// The program of the image could not be started there.
    #[error("{path:?} would not start in this image: {why}")]
    Program {
        /// Its path in the image or on this machine.
        path: String,
        /// What is missing.
        why: String,
    },
    /// A name does not read as an image's.
    #[error("{given:?} is no image name: {why}; one is [host[:port]/]path[:tag][@sha256:digest]")]
    Reference {
        /// What was given.
        given: String,
        /// The rule it breaks.
        why: &'static str,
    },
    /// A source file was written to while it was read.
    #[error("{} changed while it was read ({was} bytes before); build again when nothing writes to it", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// Its size in bytes when it was opened.
        was: u64,
    },
    /// The place for a layout is taken.
    #[error("{} exists already; remove it, or write to another directory", dir.display())]
    Exists {
        /// The directory.
        dir: PathBuf,
    },
    /// A directory is not an image layout that this crate can use.
    #[error("{} is no image layout with one image: {why}; build it again", dir.display())]
    NotALayout {
        /// The directory.
        dir: PathBuf,
        /// What was found.
        why: String,
    },
    /// A blob is not what its name says.
    #[error("{} does not hold {digest}: it was changed; build the image again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What its name says.
        digest: Digest,
    },
    /// The disk refused.
    #[error("cannot {action} {}: {}{}", path.display(), disk::explained(source), size_hint(source))]
    Disk {
        /// A verb: "write".
        action: &'static str,
        /// What it was to be done to.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// No answer from a registry or its token service.
    #[error("no answer from {host}: {}", no_answer(host, source))]
    Unreachable {
        /// Host and port.
        host: String,
        /// What happened.
        source: reqwest::Error,
    },
    /// The registry does not let this user write there.
    #[error("{host} does not let {who} push to {path}: {why}")]
    Unauthorized {
        /// Host and port.
        host: String,
        /// The user's name, or "an unnamed user".
        who: String,
        /// The repository.
        path: String,
        /// What the registry said.
        why: String,
    },
    /// The registry knows no such repository, or is none.
    #[error("{host} has no place for {path} ({why}); create the repository there, or correct the name")]
    NotFound {
        /// Host and port.
        host: String,
        /// The repository.
        path: String,
        /// What the registry said.
        why: String,
    },
    /// The registry received other bytes than were meant, or the name asks for another image.
    #[error("{what} is {found}, not {wanted}; {hint}")]
    WrongDigest {
        /// What was compared.
        what: String,
        /// What it should be.
        wanted: Digest,
        /// What it is, in the other side's words.
        found: String,
        /// What to do.
        hint: &'static str,
    },
    /// The registry understood and refused.
    #[error("{host} refused to {action}: {status}{}{}", colon(why), status_hint(*status))]
    Refused {
        /// Host and port.
        host: String,
        /// A verb and its object: "take a layer".
        action: &'static str,
        /// The HTTP status.
        status: u16,
        /// What the registry said.
        why: String,
    },
    /// An answer that no registry gives.
    #[error("{host} does not answer as a registry: {why}; is this the registry's address?")]
    Protocol {
        /// Host and port.
        host: String,
        /// What was found.
        why: String,
    },
}

impl OciError {
    pub(crate) fn disk(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Disk { action, path: path.to_path_buf(), source }
    }

    pub(crate) fn entry(path: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Entry { path: path.into(), why: why.into() }
    }
}

/// How much space is needed, where there was too little.
fn size_hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            " (an image takes about as much as what goes in)"
        }
        _ => "",
    }
}

/// Why there was no answer, and what to do.
fn no_answer(host: &str, error: &reqwest::Error) -> String {
    let unreached = if error.is_timeout() { Unreached::TimedOut(None) } else { Unreached::of(error, None) };
    if unreached == Unreached::NotTls {
        return "it speaks plain HTTP, which must be allowed explicitly".to_owned();
    }
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let finding = unreached.finding(&Peer { host: name, place: host, service: "the registry" });
    format!("{unreached}; {}", finding.fix)
}

fn colon(why: &str) -> String {
    if why.is_empty() { String::new() } else { format!(" ({why})") }
}

fn status_hint(status: u16) -> &'static str {
    match status {
        413 => "; a proxy before it limits the size of a request",
        429 => "; try again later",
        500.. => "; the fault is there: try again, or read its log",
        _ => "",
    }
}

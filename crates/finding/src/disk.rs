//! I/O errors of files in an operator's words.

use std::io::{self, ErrorKind};
use std::path::Path;

use crate::finding::Finding;
use crate::location::Location;

/// Why a file operation failed; the system's own words where there are no better ones.
pub fn reason(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::StorageFull => "the disk is full".to_owned(),
        ErrorKind::QuotaExceeded => "the disk quota is used up".to_owned(),
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        ErrorKind::ReadOnlyFilesystem => "the file system is mounted read-only".to_owned(),
        ErrorKind::NotFound => "it does not exist".to_owned(),
        ErrorKind::NotADirectory => "part of the path is not a directory".to_owned(),
        _ => error.to_string(),
    }
}

/// What to do about it, where that is known.
pub fn remedy(error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        ErrorKind::StorageFull => Some("free some space there, or choose a directory on another disk"),
        ErrorKind::QuotaExceeded => Some("raise the user's quota, or free some space"),
        ErrorKind::PermissionDenied => Some("run this as the owner or as root, or choose another directory"),
        ErrorKind::ReadOnlyFilesystem => Some("remount it read-write, or choose another directory"),
        ErrorKind::NotADirectory => {
            Some("remove the file that stands in the way, or choose another directory")
        }
        _ => None,
    }
}

/// The reason and the remedy in one line, for the end of a message: `the disk is full; free some space there ...`.
pub fn explained(error: &io::Error) -> String {
    match remedy(error) {
        Some(remedy) => format!("{}; {remedy}", reason(error)),
        None => reason(error),
    }
}

/// The finding that `action`, such as `write`, cannot be done to `path`.
pub fn finding(action: &str, path: &Path, error: &io::Error) -> Finding {
    let fix = remedy(error).unwrap_or("check the path and who may use it");
    Finding::error(format!("cannot {action} {}", path.display()), reason(error), fix)
        .at(Location::File(path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The errors as the kernel gives them, by number.
    #[test]
    fn what_the_kernel_says_is_understood() {
        use rustix::io::Errno;
        for (errno, says, helps) in [
            (Errno::NOSPC, "the disk is full", "free some space"),
            (Errno::DQUOT, "quota", "quota"),
            (Errno::ACCESS, "permission denied", "as root"),
            (Errno::PERM, "permission denied", "as root"),
            (Errno::ROFS, "read-only", "remount"),
            (Errno::NOTDIR, "not a directory", "another directory"),
        ] {
            let error = io::Error::from(errno);
            let finding = finding("write", Path::new("/data/x"), &error);
            assert!(finding.cause.contains(says) && finding.fix.contains(helps), "{finding}");
            assert_eq!(finding.what, "cannot write /data/x");
            assert_eq!(explained(&error), format!("{}; {}", finding.cause, finding.fix));
        }
        let busy = io::Error::from(Errno::BUSY);
        assert_eq!(explained(&busy), busy.to_string());
    }
}

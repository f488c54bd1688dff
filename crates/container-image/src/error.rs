//! Why an image or a Compose file was not made.

use std::path::PathBuf;

use finding::Exit;

/// Why an image or a Compose file was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Error {
    /// The exit code that the command ends with.
    pub exit: Exit,
    /// What is wrong, and where.
    pub what: String,
    /// What to do next.
    pub hint: Option<String>,
}

impl Error {
    pub(crate) fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { exit, what: what.into(), hint: None }
    }

    pub(crate) fn not_ready(what: impl Into<String>) -> Self {
        Self::new(Exit::NotReady, what)
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A failed system call: `action` is a verb such as "write".
    pub(crate) fn path(action: &str, path: impl Into<PathBuf>, error: &std::io::Error) -> Self {
        Self::not_ready(format!(
            "cannot {action} {}: {}",
            path.into().display(),
            finding::disk::reason(error)
        ))
    }
}

// Each of these says by itself what is wrong, where, and what to do.
impl From<host::DiskError> for Error {
    fn from(error: host::DiskError) -> Self {
        Self::not_ready(error.to_string())
    }
}

impl From<release::ReleaseError> for Error {
    fn from(error: release::ReleaseError) -> Self {
        Self::not_ready(error.to_string())
    }
}

impl From<oci::OciError> for Error {
    fn from(error: oci::OciError) -> Self {
        let exit = match error {
            oci::OciError::Reference { .. } | oci::OciError::Spec { .. } => Exit::Usage,
            _ => Exit::NotReady,
        };
        Self::new(exit, error.to_string())
    }
}

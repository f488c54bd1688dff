//! Where a finding is.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

/// Where a finding is, for programs; in the texts, [`Finding::what`](crate::Finding::what) usually names it already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Location {
    /// A file.
    File(PathBuf),
    /// A line of a file.
    Line {
        /// The file.
        file: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// A setting or variable.
    Key(String),
    /// A URL.
    Url(String),
    /// A host and port, or the path of a socket.
    Address(String),
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => write!(f, "{}", file.display()),
            Self::Line { file, line } => write!(f, "{}:{line}", file.display()),
            Self::Key(name) => write!(f, "`{name}`"),
            Self::Url(text) | Self::Address(text) => f.write_str(text),
        }
    }
}

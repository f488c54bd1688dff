//! [`ConfigError`]: why a configuration was refused.

use std::path::PathBuf;

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration {} cannot be read: {reason}. Name another with --config or MM_CONFIG", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: std::io::Error,
    },
    /// The file is not JSON.
    #[error("{}:{line}:{column}: this is not JSON: {reason}. Correct the file there, or restore it", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What the parser expected.
        reason: String,
    },
    /// A setting in the file has a value that is not allowed.
    #[error("{}:{line}: {key} is {value}, but {allowed} is allowed", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The line of the key, from 1; 0 where it could not be found.
        line: usize,
        /// `Section.Key`.
        key: String,
        /// The refused value.
        value: String,
        /// What would have been accepted.
        allowed: String,
    },
    /// An environment variable has a value that is not allowed.
    #[error("the environment variable {variable} is {value:?}, but {allowed} is allowed")]
    Variable {
        /// The variable.
        variable: String,
        /// The refused value.
        value: String,
        /// What would have been accepted.
        allowed: String,
    },
}

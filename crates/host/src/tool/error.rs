//! Why a tool did not do its work.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::output::Output;
use crate::process::Exit;

/// A tool that did not do its work.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.text())]
pub struct ToolError {
    /// The program.
    pub program: PathBuf,
    /// How it ended.
    #[source]
    pub end: End,
    /// The end of what it printed, with the secrets it was given masked.
    pub output: Output,
}

/// How a tool ended that did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum End {
    /// It was not started.
    #[error("cannot be started: {why}")]
    NotStarted {
        /// The kernel's reason, or which directory or user is wrong.
        why: String,
        /// The kernel's error.
        source: io::Error,
    },
    /// It ended with a code other than 0, or by a signal.
    #[error("{0}")]
    Failed(Exit),
    /// It was killed at the limit of time.
    #[error("did not end within {} s and was killed", .0.as_secs())]
    TooLong(Duration),
    /// It was killed because its caller no longer waited.
    #[error("was cancelled")]
    Cancelled,
    /// Its input could not be produced or written.
    #[error("did not get all of its input: {0}")]
    Input(#[source] io::Error),
    /// Its output cannot be read.
    #[error("cannot be watched: {0}")]
    Unwatched(#[source] io::Error),
}

impl ToolError {
    /// The last line that it printed, if any: of its error output, otherwise of its output.
    pub fn last_line(&self) -> Option<&str> {
        self.output.last_line()
    }

    fn text(&self) -> String {
        let program = self.program.display();
        match self.last_line() {
            Some(line) => format!("`{program}` {}: {line}", self.end),
            None => format!("`{program}` {}", self.end),
        }
    }
}

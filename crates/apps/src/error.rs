//! Why something about an app was not done.

use finding::{Exit, Finding};

/// Why something about an app was not done: what was wrong, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// What the command ends with.
    pub exit: Exit,
    /// What is wrong, in one line.
    pub what: String,
    /// What to do next.
    pub hint: Option<String>,
    /// Everything that was found, where it is more than one thing.
    pub findings: Vec<Finding>,
}

impl Error {
    /// An error that ends the command with this.
    pub fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { exit, what: what.into(), hint: None, findings: Vec::new() }
    }

    /// With the next thing to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// With everything that was found.
    #[must_use]
    pub fn findings(mut self, findings: Vec<Finding>) -> Self {
        self.findings = findings;
        self
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Error {}

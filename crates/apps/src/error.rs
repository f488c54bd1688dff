//! Why something about an app was not done.

use std::path::Path;

use finding::{Exit, Finding, Location};

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

    /// The same with another name for a file: a download is gone when somebody reads the message.
    #[must_use]
    pub(crate) fn naming(mut self, path: &Path, name: &str) -> Self {
        let path = path.display().to_string();
        self.what = self.what.replace(&path, name);
        self.hint = self.hint.map(|hint| hint.replace(&path, name));
        self.findings = self.findings.into_iter().map(|finding| named(finding, &path, name)).collect();
        self
    }
}

/// A finding with another name for a file.
pub(crate) fn named(mut finding: Finding, path: &str, name: &str) -> Finding {
    for text in [&mut finding.what, &mut finding.cause, &mut finding.fix] {
        *text = text.replace(path, name);
    }
    if let Some(Location::File(file) | Location::Line { file, .. }) = &mut finding.location
        && file.as_os_str() == path
    {
        *file = name.into();
    }
    finding
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Error {}

//! What is wrong with a file, collected: each with its line and path.

use std::path::{Path, PathBuf};

use finding::{Exit, Finding, Location, Severity, one_line};

use crate::Error;
use crate::located::Located;

/// How many findings are kept. A hostile manifest has half a million.
const MOST: usize = 100;

/// How much of a value a message shows, in characters.
const SHOWN: usize = 60;

/// Findings of one file.
#[derive(Debug)]
pub(crate) struct Found {
    file: PathBuf,
    findings: Vec<Finding>,
    errors: usize,
}

impl Found {
    pub(crate) fn new(file: &Path) -> Self {
        Self { file: file.to_owned(), findings: Vec::new(), errors: 0 }
    }

    /// Something that makes the file unusable, at a value.
    pub(crate) fn error(
        &mut self,
        at: &Located<'_>,
        what: impl Into<String>,
        cause: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.put(at, Finding::error(what, cause, fix));
    }

    /// Something that works and could be better, at a value.
    pub(crate) fn warning(
        &mut self,
        at: &Located<'_>,
        what: impl Into<String>,
        cause: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.put(at, Finding::warning(what, cause, fix));
    }

    fn put(&mut self, at: &Located<'_>, finding: Finding) {
        self.errors += usize::from(finding.severity == Severity::Error);
        if self.findings.len() < MOST {
            let location = Location::Line { file: self.file.clone(), line: at.line() };
            self.findings.push(finding.at(location));
        }
    }

    /// The warnings, if nothing is worse. `what` is the file in words, such as `manifest.json`.
    pub(crate) fn outcome(mut self, what: &str) -> Result<Vec<Finding>, Error> {
        self.findings.sort_by_key(|finding| match &finding.location {
            Some(Location::Line { line, .. }) => *line,
            _ => 0,
        });
        match self.errors {
            0 => Ok(self.findings),
            1 => Err(self.failed(format!("{what} cannot be used: it has a mistake"))),
            errors => Err(self.failed(format!("{what} cannot be used: it has {errors} mistakes"))),
        }
    }

    fn failed(self, what: String) -> Error {
        Error::new(Exit::Settings, what).findings(self.findings)
    }
}

/// A value of the file in a message.
pub(crate) fn shown(text: &str) -> String {
    format!("`{}`", one_line(text, SHOWN).replace('`', "'"))
}

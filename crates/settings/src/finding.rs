//! What is wrong with a file of settings, as data.

use std::fmt;
use std::path::{Path, PathBuf};

/// One mistake in one place.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// The file it stands in.
    pub file: PathBuf,
    /// Its line, counted from 1.
    pub line: usize,
    /// The key, dotted from the top of the file; empty where the text does not parse.
    pub key: String,
    /// What is wrong, as a sentence fragment.
    pub problem: String,
    /// What is allowed instead, or the nearest right name.
    pub allowed: Option<String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.file.display(), self.line)?;
        if !self.key.is_empty() {
            write!(f, "`{}` ", self.key)?;
        }
        write!(f, "{}", self.problem)?;
        match &self.allowed {
            Some(allowed) => write!(f, "; {allowed}"),
            None => Ok(()),
        }
    }
}

/// All mistakes of a file, in the order of its lines; never empty.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, thiserror::Error)]
pub struct Findings(pub Vec<Finding>);

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{finding}")?;
        }
        Ok(())
    }
}

/// The line, from 1, that the byte `offset` of `text` stands in.
pub(crate) fn line_at(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

/// The one finding of a text that is not TOML at all.
pub(crate) fn unreadable(file: &Path, text: &str, error: &toml::de::Error) -> Findings {
    let line = error.span().map_or(1, |span| line_at(text, span.start));
    Findings(vec![Finding {
        file: file.to_owned(),
        line,
        key: String::new(),
        problem: error.message().replace('\n', " "),
        allowed: None,
    }])
}

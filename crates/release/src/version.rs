//! Versions, as Mattermost counts them.
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::ReleaseError;

/// `11.6.0`, or `11.6.0+0.1.0` where builds of one version differ. Ordered by its numbers, then its build.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version {
    /// A major version may break.
    pub major: u32,
    /// One a month.
    pub minor: u32,
    /// Fixes.
    pub patch: u32,
    /// Which build; the built-in server's own version.
    pub build: Option<String>,
}

impl Version {
    /// A version without a build.
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch, build: None }
    }

    /// The numbers alone, to compare what a version can do: a build changes nothing about that.
    pub const fn numbers(&self) -> (u32, u32, u32) {
        (self.major, self.minor, self.patch)
    }
}

impl FromStr for Version {
    type Err = ReleaseError;

    fn from_str(text: &str) -> Result<Self, ReleaseError> {
        let fail = |why| ReleaseError::Name { given: text.to_owned(), why };
        let (numbers, build) = match text.split_once('+') {
            Some((numbers, build)) => (numbers, Some(build)),
            None => (text, None),
        };
        let parts: Vec<u32> = numbers
            .split('.')
            .map(|part| part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok())?)
            .collect::<Option<_>>()
            .ok_or_else(|| fail("a version is three numbers, as in 11.7.15"))?;
        let [major, minor, patch] = parts[..] else {
            return Err(fail("a version is three numbers, as in 11.7.15"));
        };
        let safe = |c: char| c.is_ascii_alphanumeric() || c == '.';
        if build.is_some_and(|b| b.is_empty() || b.starts_with('.') || !b.chars().all(safe)) {
            return Err(fail("what follows the + is letters, digits and dots"));
        }
        Ok(Self { major, minor, patch, build: build.map(str::to_owned) })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?;
        self.build.as_ref().map_or(Ok(()), |build| write!(f, "+{build}"))
    }
}

impl TryFrom<String> for Version {
    type Error = ReleaseError;

    fn try_from(text: String) -> Result<Self, ReleaseError> {
        text.parse()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.to_string()
    }
}

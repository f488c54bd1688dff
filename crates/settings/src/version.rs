//! A server's version, as far as settings depend on it: major and minor.

use std::fmt;
use std::str::FromStr;

/// `MAJOR.MINOR`; patch releases never move a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    major: u16,
    minor: u16,
}

impl Version {
    /// A version.
    pub const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl serde::Serialize for Version {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A text that names no version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no server version; allowed: MAJOR.MINOR or MAJOR.MINOR.PATCH, as in 11.7 or 11.7.15")]
pub struct NoVersion(pub String);

impl FromStr for Version {
    type Err = NoVersion;

    /// Reads `11.7`, `11.7.15`, `v11.7.0-rc1`: what stands after the minor number does not matter.
    fn from_str(text: &str) -> Result<Self, NoVersion> {
        let refused = || NoVersion(text.to_owned());
        let number = |part: Option<&str>| part.and_then(|part| part.parse().ok()).ok_or_else(refused);
        let plain = text.strip_prefix('v').unwrap_or(text).split(['-', '+']).next().unwrap_or_default();
        let mut parts = plain.split('.');
        let version = Self { major: number(parts.next())?, minor: number(parts.next())? };
        let patch = parts.next();
        if patch.is_some() {
            number(patch)?;
        }
        if parts.next().is_some() { Err(refused()) } else { Ok(version) }
    }
}

/// The releases from `since` on, up to but without `until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first release.
    pub since: Version,
    /// The first release after the last; `None` = there is no end yet.
    pub until: Option<Version>,
}

impl Span {
    /// Whether `version` lies in it.
    pub fn holds(self, version: Version) -> bool {
        self.since <= version && self.until.is_none_or(|until| version < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_with_or_without_its_patch() {
        for text in ["11.7", "11.7.15", "v11.7.0-rc1"] {
            assert_eq!(text.parse(), Ok(Version::new(11, 7)), "{text}");
        }
        for text in ["", "11", "11.x", "11.7.15.2", "team", "11.7.x"] {
            assert_eq!(text.parse::<Version>(), Err(NoVersion(text.to_owned())));
        }
        assert!(Version::new(9, 11) < Version::new(10, 0));
    }
}

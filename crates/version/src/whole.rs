//! A whole version, with its patch number and build.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::VersionError;
use crate::series::{Series, number};

/// `11.6.0`, or `11.6.0+0.1.0` where one version has several builds. Ordered by its numbers, then its build.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version {
    /// Changes with breaking changes.
    pub major: u32,
    /// Changes with each monthly feature release.
    pub minor: u32,
    /// Changes with each release of fixes.
    pub patch: u32,
    /// Which build: the built-in server's own version.
    pub build: Option<String>,
}

impl Version {
    /// A version without a build.
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch, build: None }
    }

    /// Major, minor and patch number. What a version can do depends on them and never on the build.
    pub const fn numbers(&self) -> (u32, u32, u32) {
        (self.major, self.minor, self.patch)
    }

    /// The series it belongs to.
    pub const fn series(&self) -> Series {
        Series::new(self.major, self.minor)
    }
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let (numbers, build) = match text.split_once('+') {
            Some((numbers, build)) => (numbers, Some(build)),
            None => (text, None),
        };
        let parts: Option<Vec<u32>> = numbers.split('.').map(number).collect();
        let Some([major, minor, patch]) = parts.as_deref() else {
            return Err(VersionError::Numbers(text.to_owned()));
        };
        // A build becomes a part of a directory's name.
        let is_safe = |c: char| c.is_ascii_alphanumeric() || c == '.';
        if build
            .is_some_and(|build| build.is_empty() || build.starts_with('.') || !build.chars().all(is_safe))
        {
            return Err(VersionError::Build(text.to_owned()));
        }
        Ok(Self { major: *major, minor: *minor, patch: *patch, build: build.map(str::to_owned) })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?;
        self.build.as_ref().map_or(Ok(()), |build| write!(f, "+{build}"))
    }
}

impl TryFrom<String> for Version {
    type Error = VersionError;

    fn try_from(text: String) -> Result<Self, VersionError> {
        text.parse()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    proptest! {
        #[test]
        fn it_is_read_as_it_was_written(numbers: (u32, u32, u32), build in proptest::option::of("[a-z0-9][a-z0-9.]{0,8}")) {
            let (major, minor, patch) = numbers;
            let version = Version { major, minor, patch, build };
            prop_assert_eq!(&version.to_string().parse::<Version>().unwrap(), &version);
            let json = serde_json::to_string(&version).unwrap();
            prop_assert_eq!(serde_json::from_str::<Version>(&json).unwrap(), version);
        }
    }

    #[test]
    fn versions_are_ordered_by_number() {
        assert!(version("9.11.18") < version("10.5.14"));
        assert!(version("11.7.2") < version("11.7.15"));
        assert!(version("11.6.0") < version("11.6.0+0.1.0"));
    }

    #[test]
    fn a_text_that_is_no_version_is_refused() {
        for text in
            ["", "11", "11.7", "11.7.15.1", "v11.7.15", "11.7.-1", "11.7.99999999999", "..", "11.+7.1"]
        {
            assert_eq!(text.parse::<Version>(), Err(VersionError::Numbers(text.to_owned())));
        }
        for text in ["11.7.15+", "11.7.15+../x", "11.7.15+.", "11.7.15+a b"] {
            assert_eq!(text.parse::<Version>(), Err(VersionError::Build(text.to_owned())));
        }
    }
}

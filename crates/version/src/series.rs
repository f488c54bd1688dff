//! Major and minor number of a version.

use std::fmt;
use std::str::FromStr;

use crate::error::VersionError;

/// `11.7`: every version from 11.7.0 up to, but not including, 11.8.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Series {
    major: u32,
    minor: u32,
}

impl Series {
    /// A series.
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl serde::Serialize for Series {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for Series {
    type Err = VersionError;

    /// Reads `11.7`, `11.7.15` and `v11.7.0-rc1`: nothing after the minor number makes a difference.
    fn from_str(text: &str) -> Result<Self, VersionError> {
        let plain = text.strip_prefix('v').unwrap_or(text).split(['-', '+']).next().unwrap_or_default();
        let parts: Option<Vec<u32>> = plain.split('.').map(number).collect();
        match parts.as_deref() {
            Some([major, minor] | [major, minor, _]) => Ok(Self { major: *major, minor: *minor }),
            _ => Err(VersionError::Series(text.to_owned())),
        }
    }
}

/// A number of digits alone: no sign, no space.
pub(crate) fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_read_with_or_without_a_patch_number() {
        for text in ["11.7", "11.7.15", "v11.7.0-rc1", "11.7.0+0.1.0"] {
            assert_eq!(text.parse(), Ok(Series::new(11, 7)), "{text}");
        }
        for text in ["", "11", "11.x", "11.7.15.2", "team", "11.7.x", "11.", "+11.7"] {
            assert_eq!(text.parse::<Series>(), Err(VersionError::Series(text.to_owned())));
        }
        assert!(Series::new(9, 11) < Series::new(10, 0));
        assert_eq!(crate::Version::new(11, 7, 15).series().to_string(), "11.7");
    }
}

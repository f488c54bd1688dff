//! The kinds of machines that releases are built for.
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::ReleaseError;

/// A kind of machine, named as in the names of tarballs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    /// `x86_64`.
    Amd64,
    /// `aarch64`.
    Arm64,
}

impl Arch {
    /// This machine's; `None` where no release is built for it.
    pub fn here() -> Option<Self> {
        match std::env::consts::ARCH {
            "x86_64" => Some(Self::Amd64),
            "aarch64" => Some(Self::Arm64),
            _ => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Arch {
    type Err = ReleaseError;

    fn from_str(text: &str) -> Result<Self, ReleaseError> {
        let found = [Self::Amd64, Self::Arm64].into_iter().find(|arch| arch.name() == text);
        found.ok_or_else(|| ReleaseError::Name {
            given: text.to_owned(),
            why: "releases are built for amd64 and arm64",
        })
    }
}

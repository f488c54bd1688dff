//! A SHA-256 hash as text.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A SHA-256 hash: 64 hexadecimal digits, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha256(String);

impl Sha256 {
    /// What a finished digest says. It must be one of SHA-256.
    pub(crate) fn of_digest(digest: &aws_lc_rs::digest::Digest) -> Self {
        Self(digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

/// A text that is not a SHA-256 hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a SHA-256 hash: write 64 hexadecimal digits")]
pub struct NotSha256(String);

impl TryFrom<String> for Sha256 {
    type Error = NotSha256;

    fn try_from(text: String) -> Result<Self, NotSha256> {
        if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(NotSha256(text))
        }
    }
}

impl From<Sha256> for String {
    fn from(hash: Sha256) -> Self {
        hash.0
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    #[test]
    fn a_hash_has_64_digits() {
        assert_eq!(Sha256::try_from(HASH.to_ascii_uppercase()).unwrap().to_string(), HASH);
        for bad in ["", "abc", &HASH[1..], &HASH.replace('9', "g")] {
            assert!(Sha256::try_from(bad.to_owned()).is_err(), "{bad:?}");
        }
    }
}

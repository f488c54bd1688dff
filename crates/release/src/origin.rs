//! Where a release comes from, as data: in a recipe, in a plan, in the journal.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::edition::ReleaseId;

/// Where a release comes from.
///
/// It outlives the program that wrote it. So each form has a number in its JSON (`"from": "file/1"`): a form that needs
/// other fields gets a new number, and the old one stays readable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", deny_unknown_fields)]
pub enum Origin {
    /// The built-in server, which is the `mainstay` program itself.
    #[serde(rename = "builtin/1")]
    Builtin,
    /// A `.tar.gz` or `.tar` file in the official layout.
    #[serde(rename = "file/1")]
    File {
        /// The file.
        path: PathBuf,
    },
    /// A file to download. Nothing downloads it yet.
    #[serde(rename = "download/1")]
    Download {
        /// The release that it must contain.
        release: ReleaseId,
        /// Its address.
        url: Url,
        /// The hash of its bytes.
        sha256: Sha256,
    },
}

impl Origin {
    /// The file if there is one, otherwise the built-in server.
    pub fn file_or_builtin(file: Option<PathBuf>) -> Self {
        file.map_or(Self::Builtin, |path| Self::File { path })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Builtin => f.write_str("the built-in server"),
            Self::File { path } => path.display().fmt(f),
            Self::Download { url, .. } => url.fmt(f),
        }
    }
}

/// A SHA-256 hash: 64 hexadecimal digits, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha256(String);

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

    /// Every form that was ever written. Add to it, and change nothing in it.
    fn written() -> [(Origin, String); 3] {
        let url = "https://releases.mattermost.com/11.7.15/mattermost-team-11.7.15-linux-amd64.tar.gz";
        [
            (Origin::Builtin, r#"{"from":"builtin/1"}"#.to_owned()),
            (
                Origin::File { path: "/srv/team.tar.gz".into() },
                r#"{"from":"file/1","path":"/srv/team.tar.gz"}"#.into(),
            ),
            (
                Origin::Download {
                    release: "11.7.15-team".parse().unwrap(),
                    url: url.parse().unwrap(),
                    sha256: HASH.to_owned().try_into().unwrap(),
                },
                format!(
                    r#"{{"from":"download/1","release":"11.7.15-team","url":"{url}","sha256":"{HASH}"}}"#
                ),
            ),
        ]
    }

    #[test]
    fn every_form_that_was_ever_written_can_be_read() {
        for (origin, json) in written() {
            assert_eq!(serde_json::from_str::<Origin>(&json).unwrap(), origin);
            assert_eq!(serde_json::to_string(&origin).unwrap(), json);
        }
    }

    #[test]
    fn an_unknown_form_is_refused_by_name() {
        let error =
            serde_json::from_str::<Origin>(r#"{"from":"file/2","paths":[]}"#).unwrap_err().to_string();
        assert!(error.contains("file/2") && error.contains("file/1"), "{error}");
        assert!(serde_json::from_str::<Origin>(r#"{"from":"file/1","path":"/a","extra":1}"#).is_err());
    }

    #[test]
    fn a_hash_has_64_digits() {
        assert_eq!(Sha256::try_from(HASH.to_ascii_uppercase()).unwrap().to_string(), HASH);
        for bad in ["", "abc", &HASH[1..], &HASH.replace('9', "g")] {
            assert!(Sha256::try_from(bad.to_owned()).is_err(), "{bad:?}");
        }
    }
}

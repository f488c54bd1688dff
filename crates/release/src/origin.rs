//! Where a release comes from, as data: in a recipe, in a plan, in the journal.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::cache::Cache;
use crate::edition::ReleaseId;
use crate::sha256::Sha256;
use crate::source::Wish;

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
    /// A file to download: an early form of [`Published`](Self::Published), which nothing makes any more.
    #[serde(rename = "download/1")]
    Download {
        /// The release that it must contain.
        release: ReleaseId,
        /// Its address.
        url: Url,
        /// The hash of its bytes.
        sha256: Sha256,
    },
    /// A release that is fetched into a cache, and proven there, before it is unpacked.
    #[serde(rename = "published/1")]
    Published {
        /// Which, from where, and what proves it.
        wish: Wish,
        /// The cache's directory.
        cache: PathBuf,
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
            Self::Published { wish, cache } => Cache::at(cache).tarball(&wish.file()).display().fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    /// Every form that was ever written. Add to it, and change nothing in it.
    fn written() -> [(Origin, String); 4] {
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
            (
                Origin::Published {
                    wish: Wish {
                        release: "11.7.15-enterprise".parse().unwrap(),
                        arch: crate::Arch::Amd64,
                        sites: vec!["https://releases.mattermost.com/".parse().unwrap()],
                        key: "A1B31D46F0F3A10B02CF2D44F8F2C31744774B28".parse().unwrap(),
                        key_file: None,
                        key_url: "https://deb.packages.mattermost.com/pubkey.gpg".parse().unwrap(),
                        sha256: Some(HASH.to_owned().try_into().unwrap()),
                    },
                    cache: "/var/cache/mainstay".into(),
                },
                format!(
                    r#"{{"from":"published/1","wish":{{"release":"11.7.15-enterprise","arch":"amd64","sites":["https://releases.mattermost.com/"],"key":"A1B31D46F0F3A10B02CF2D44F8F2C31744774B28","key_url":"https://deb.packages.mattermost.com/pubkey.gpg","sha256":"{HASH}"}},"cache":"/var/cache/mainstay"}}"#
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
}

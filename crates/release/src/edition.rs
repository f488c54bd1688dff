//! Editions, and the name of a release.
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use version::Version;

use crate::arch::Arch;
use crate::error::ReleaseError;

/// An edition of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Edition {
    /// Mainstay's own server.
    Builtin,
    /// Mattermost's MIT build.
    Team,
    /// The enterprise build without a licence, from 11.0 on. Its binary is the same as that of `Enterprise`.
    Entry,
    /// The enterprise build.
    Enterprise,
}

impl Edition {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Builtin, "builtin"),
        (Self::Team, "team"),
        (Self::Entry, "entry"),
        (Self::Enterprise, "enterprise"),
    ];

    /// The edition whose tarball it is: Entry is the enterprise build without a licence.
    pub fn build(self) -> Self {
        if self == Self::Entry { Self::Enterprise } else { self }
    }

    /// Whether both are in one tarball, whose server does not say which of them it is.
    pub fn is_one_tarball_with(self, other: Self) -> bool {
        self.build() == other.build()
    }
}

impl fmt::Display for Edition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::ALL.iter().find(|(edition, _)| edition == self).map_or("", |(_, name)| name);
        f.write_str(name)
    }
}

impl FromStr for Edition {
    type Err = ReleaseError;

    fn from_str(text: &str) -> Result<Self, ReleaseError> {
        let found = Self::ALL.iter().find(|(_, name)| *name == text);
        found.map(|(edition, _)| *edition).ok_or_else(|| ReleaseError::Name {
            given: text.to_owned(),
            why: "an edition is builtin, team, entry or enterprise",
        })
    }
}

/// Which release: also the name of its directory, `11.7.15-team` or `11.6.0+0.1.0-builtin`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReleaseId {
    /// Its version.
    pub version: Version,
    /// Its edition.
    pub edition: Edition,
}

impl FromStr for ReleaseId {
    type Err = ReleaseError;

    fn from_str(text: &str) -> Result<Self, ReleaseError> {
        let (version, edition) = text.rsplit_once('-').ok_or_else(|| ReleaseError::Name {
            given: text.to_owned(),
            why: "a release is VERSION-EDITION, as in 11.7.15-team",
        })?;
        Ok(Self { version: version.parse()?, edition: edition.parse()? })
    }
}

impl fmt::Display for ReleaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.version, self.edition)
    }
}

impl TryFrom<String> for ReleaseId {
    type Error = ReleaseError;

    fn try_from(text: String) -> Result<Self, ReleaseError> {
        text.parse()
    }
}

impl From<ReleaseId> for String {
    fn from(id: ReleaseId) -> Self {
        id.to_string()
    }
}

/// The name under which a release is published: the opposite of [`published`].
pub(crate) fn published_name(release: &ReleaseId, arch: Arch) -> String {
    let ReleaseId { version, edition } = release;
    match edition.build() {
        Edition::Team => format!("mattermost-team-{version}-linux-{arch}.tar.gz"),
        Edition::Builtin => format!("mattermost-{version}-builtin-linux-{arch}.tar.gz"),
        Edition::Entry | Edition::Enterprise => format!("mattermost-{version}-linux-{arch}.tar.gz"),
    }
}

/// Release and machine in the name of a tarball, if it is one that is published.
pub fn published_tarball(file: &str) -> Option<(ReleaseId, Arch)> {
    let arch = file.strip_suffix(".tar.gz")?.rsplit_once("-linux-")?.1.parse().ok()?;
    Some((published(file)?, arch))
}

/// The release in the name of a published file: `mattermost-team-11.7.15-linux-amd64.tar.gz`, without an edition for the
/// enterprise build; or as `mainstay release pack-builtin` names one.
pub(crate) fn published(file: &str) -> Option<ReleaseId> {
    let (rest, _) = file.strip_prefix("mattermost-")?.split_once("-linux-")?;
    if let Ok(release) = rest.parse() {
        return Some(release);
    }
    let (edition, version) = match rest.split_once('-') {
        Some((edition, version)) => (edition.parse().ok()?, version),
        None => (Edition::Enterprise, rest),
    };
    Some(ReleaseId { version: version.parse().ok()?, edition })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_written_as_it_was_read() {
        for name in ["11.7.15-team", "11.6.0+0.1.0-builtin", "5.37.10-enterprise", "11.0.2-entry"] {
            let id: ReleaseId = name.parse().unwrap();
            assert_eq!(id.to_string(), name);
            let json = serde_json::to_string(&id).unwrap();
            assert_eq!(json, format!("{name:?}"));
            assert_eq!(serde_json::from_str::<ReleaseId>(&json).unwrap(), id);
        }
    }

    #[test]
    fn a_text_that_is_not_a_release_name_is_refused_with_the_reason() {
        for (name, why) in [
            ("11.7.15", "VERSION-EDITION"),
            ("11.7-team", "three numbers"),
            ("11.7.+1-team", "three numbers"),
            ("v11.7.15-team", "three numbers"),
            ("11.7.15.1-team", "three numbers"),
            ("11.7.99999999999-team", "three numbers"),
            ("11.7.-1-team", "three numbers"),
            ("..-team", "three numbers"),
            ("11.7.15+-team", "letters, digits and dots"),
            ("11.7.15+../x-team", "letters, digits and dots"),
            ("11.7.15-gold", "builtin, team, entry or enterprise"),
            ("", "VERSION-EDITION"),
        ] {
            let error = name.parse::<ReleaseId>().unwrap_err().to_string();
            assert!(error.contains(why), "{name}: {error}");
        }
    }

    #[test]
    fn the_name_of_a_published_file_says_which_release_it_holds() {
        for (file, release) in [
            ("mattermost-team-11.7.15-linux-amd64.tar.gz", Some("11.7.15-team")),
            ("mattermost-11.7.15-linux-arm64.tar.gz", Some("11.7.15-enterprise")),
            ("mattermost-enterprise-5.37.10-linux-amd64.tar.gz", Some("5.37.10-enterprise")),
            ("mattermost-11.6.0+0.1.0-builtin-linux-x86_64.tar.gz", Some("11.6.0+0.1.0-builtin")),
            ("mattermost-team-linux-amd64.tar.gz", None),
            ("mattermost-11.7-linux-amd64.tar.gz", None),
            ("mattermost-gold-11.7.15-linux-amd64.tar.gz", None),
            ("release.tgz", None),
        ] {
            assert_eq!(published(file).map(|id| id.to_string()).as_deref(), release, "{file}");
        }
    }

    #[test]
    fn a_release_is_published_under_the_name_that_is_read_back() {
        for name in ["11.7.15-team", "11.7.15-enterprise", "11.6.0+0.1.0-builtin"] {
            let id: ReleaseId = name.parse().unwrap();
            for arch in [Arch::Amd64, Arch::Arm64] {
                assert_eq!(published(&published_name(&id, arch)), Some(id.clone()));
            }
        }
        let entry: ReleaseId = "11.7.15-entry".parse().unwrap();
        assert_eq!(published_name(&entry, Arch::Amd64), "mattermost-11.7.15-linux-amd64.tar.gz");
    }

    #[test]
    fn versions_are_ordered_by_number() {
        let version = |text: &str| text.parse::<Version>().unwrap();
        assert!(version("9.11.18") < version("10.5.14"));
        assert!(version("11.7.2") < version("11.7.15"));
        assert!(version("11.6.0") < version("11.6.0+0.1.0"));
    }
}

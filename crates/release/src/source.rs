//! Which tarball is wanted, where it may be, and what proves it: data, for a plan and for the journal.
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::arch::Arch;
use crate::catalogue::Catalogue;
use crate::edition::{Edition, ReleaseId, published_name};
use crate::openpgp::Fingerprint;
use crate::sha256::Sha256;

/// What a deployment says of where releases come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// Sites with the same tree as the makers', instead of theirs; asked one after the other.
    pub mirrors: Vec<Url>,
    /// The key that signs, where it is not the makers'.
    pub fingerprint: Option<Fingerprint>,
    /// The file with the public key.
    pub key_file: Option<PathBuf>,
}

/// A tarball that is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// The release. The edition is that of the tarball: never `entry`.
    pub release: ReleaseId,
    /// For which machine.
    pub arch: Arch,
    /// The sites to ask, one after the other.
    pub sites: Vec<Url>,
    /// The pinned key.
    pub key: Fingerprint,
    /// The file with that key; `None` = it is fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// Where the key is published.
    pub key_url: Url,
    /// What the tarball must hash to, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Sha256>,
}

/// The name under which a mirror may have the public key.
const KEY_OF_MIRROR: &str = "pubkey.gpg";

impl Wish {
    /// The wish for a release, as a catalogue knows it. `None`: it is no release that is published.
    pub fn of(release: &ReleaseId, arch: Arch, catalogue: &Catalogue, sources: &Sources) -> Option<Self> {
        if release.edition == Edition::Builtin {
            return None;
        }
        let release = ReleaseId { version: release.version.clone(), edition: release.edition.build() };
        let official = || vec![catalogue.site.clone()];
        let sites = if sources.mirrors.is_empty() { official() } else { sources.mirrors.clone() };
        // Another key signs other bytes.
        let listed = arch == Arch::Amd64 && sources.fingerprint.is_none();
        let sha256 = listed.then(|| catalogue.sha256(release.edition, &release.version).cloned()).flatten();
        Some(Self {
            arch,
            sites,
            key: sources.fingerprint.unwrap_or(catalogue.key.fingerprint),
            key_file: sources.key_file.clone(),
            key_url: catalogue.key.url.clone(),
            sha256,
            release,
        })
    }

    /// The name of the tarball.
    pub fn file(&self) -> String {
        published_name(&self.release, self.arch)
    }

    /// Where the tarball is on a site.
    pub fn url(&self, site: &Url) -> Url {
        below(site, &[&self.release.version.to_string(), &self.file()])
    }

    /// Where the public key may be: as the fingerprint is pinned, it does not matter who has it.
    pub(crate) fn key_urls(&self) -> Vec<Url> {
        let official = |site: &&Url| site.host_str() != Some("releases.mattermost.com");
        let mirrors = self.sites.iter().filter(official).map(|site| below(site, &[KEY_OF_MIRROR]));
        mirrors.chain([self.key_url.clone()]).collect()
    }

    /// The hosts of its sites, to show.
    pub fn hosts(&self) -> String {
        let hosts: Vec<&str> = self.sites.iter().filter_map(Url::host_str).collect();
        hosts.join(" or ")
    }
}

/// A path below a site, whether or not the site's own ends in a slash.
fn below(site: &Url, names: &[&str]) -> Url {
    let mut url = site.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(names);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(release: &str, mirrors: &[&str]) -> Wish {
        let mirrors = mirrors.iter().map(|url| url.parse().unwrap()).collect();
        let sources = Sources { mirrors, ..Sources::default() };
        Wish::of(&release.parse().unwrap(), Arch::Amd64, &Catalogue::built_in(), &sources).unwrap()
    }

    #[test]
    fn a_tarball_is_where_its_makers_put_it() {
        let team = wish("11.7.10-team", &[]);
        assert_eq!(
            team.url(&team.sites[0]).as_str(),
            "https://releases.mattermost.com/11.7.10/mattermost-team-11.7.10-linux-amd64.tar.gz"
        );
        assert!(team.sha256.is_some());
        let entry = wish("11.7.10-entry", &["http://mirror.example.com/mm", "https://other.example.com/"]);
        assert_eq!(entry.release.to_string(), "11.7.10-enterprise");
        let urls: Vec<String> = entry.sites.iter().map(|site| entry.url(site).to_string()).collect();
        assert_eq!(
            urls,
            [
                "http://mirror.example.com/mm/11.7.10/mattermost-11.7.10-linux-amd64.tar.gz",
                "https://other.example.com/11.7.10/mattermost-11.7.10-linux-amd64.tar.gz"
            ]
        );
        assert_eq!(entry.key_urls()[0].as_str(), "http://mirror.example.com/mm/pubkey.gpg");
        let builtin = Wish::of(&crate::builtin(), Arch::Amd64, &Catalogue::built_in(), &Sources::default());
        assert_eq!(builtin, None);
    }
}

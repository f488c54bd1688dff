//! Which releases there are, for how long they are supported, and what proves them: data with a date.

use std::collections::BTreeMap;
use std::io;
use std::str::FromStr;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use url::Url;
use version::{Series, Version};

use crate::arch::Arch;
use crate::cache::{Cache, write_file};
use crate::edition::{Edition, published_tarball};
use crate::error::ReleaseError;
use crate::openpgp::Fingerprint;
use crate::sha256::Sha256;

/// The most bytes of a catalogue.
const LIMIT: u64 = 1 << 20;

/// What was known about Mattermost's releases on a day.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    /// The form of this text: 1.
    pub format: u32,
    /// When it was read from its sources.
    pub date: Date,
    /// The makers' site: `SITE/VERSION/TARBALL`.
    pub site: Url,
    /// The makers' page with the checksums of all tarballs.
    pub archive: Url,
    /// The release data of endoflife.date.
    pub lifecycle: Url,
    /// What signs the tarballs.
    pub key: SigningKey,
    /// The newest line first.
    #[serde(rename = "line")]
    pub lines: Vec<Line>,
    pub(crate) sha256: BTreeMap<Edition, BTreeMap<Version, Sha256>>,
}

/// The key that signs the tarballs.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SigningKey {
    /// By which it is known.
    pub fingerprint: Fingerprint,
    /// Where it is published.
    pub url: Url,
}

/// A release line: `11.7` and its patch releases.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Its name.
    #[serde(rename = "line", deserialize_with = "series", serialize_with = "text_of")]
    pub series: Series,
    /// The day of its first release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released: Option<Date>,
    /// The last day of its support.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<Date>,
    /// Whether it is an extended support release.
    #[serde(default)]
    pub extended: bool,
    /// The newest patch release that was seen.
    pub newest: Version,
}

/// Which release somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Channel {
    /// The newest extended support release.
    Extended,
    /// The newest release.
    Latest,
    /// The newest patch release of a line.
    Line(Series),
    /// This one.
    Exactly(Version),
}

/// A release of the catalogue, or one that is asked for by its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Its version.
    pub version: Version,
    /// The last day of its support, where that is known.
    pub ends: Option<Date>,
    /// The checksum of its tarball for amd64, where the makers print one.
    pub sha256: Option<Sha256>,
}

impl FromStr for Channel {
    type Err = ReleaseError;

    fn from_str(text: &str) -> Result<Self, ReleaseError> {
        match text {
            "esr" => Ok(Self::Extended),
            "latest" => Ok(Self::Latest),
            _ => match (text.parse::<Version>(), text.parse::<Series>()) {
                (Ok(version), _) => Ok(Self::Exactly(version)),
                // A series is also read from longer texts.
                (_, Ok(series)) if series.to_string() == text => Ok(Self::Line(series)),
                _ => Err(ReleaseError::Name {
                    given: text.to_owned(),
                    why: "a release is esr, latest, a line such as 11.7, or a version such as 11.7.15",
                }),
            },
        }
    }
}

impl Catalogue {
    /// What this program was built with.
    ///
    /// # Panics
    /// Never: a test reads it.
    pub fn built_in() -> Self {
        #[expect(clippy::expect_used, reason = "a constant, which a test reads")]
        toml::from_str(include_str!("catalogue.toml")).expect("the catalogue is TOML")
    }

    /// The newest that is known: what was refreshed, if it can be used, otherwise [`built_in`](Self::built_in).
    pub fn known(cache: &Cache) -> Self {
        let built_in = Self::built_in();
        let path = cache.catalogue();
        let text = match host::disk::read_guarded(&path, LIMIT) {
            Ok(content) => String::from_utf8_lossy(&content.bytes).into_owned(),
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => return built_in,
            Err(error) => {
                tracing::warn!(%error, "the refreshed catalogue of releases is not used");
                return built_in;
            }
        };
        match Self::read(&text) {
            Ok(refreshed) if refreshed.date >= built_in.date => refreshed,
            Ok(_) => built_in,
            Err(why) => {
                tracing::warn!(path = %path.display(), why, "the refreshed catalogue of releases is not used");
                built_in
            }
        }
    }

    /// Reads a catalogue that was refreshed.
    ///
    /// # Errors
    /// It is not in the form of this program, or contradicts the built-in one: what proves releases is never refreshed away.
    pub fn read(text: &str) -> Result<Self, String> {
        let read: Self = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        let built_in = Self::built_in();
        if read.format != built_in.format {
            return Err(format!("it has the format {}, and {} is known", read.format, built_in.format));
        }
        if read.key.fingerprint != built_in.key.fingerprint {
            return Err("it names another signing key".to_owned());
        }
        for (edition, listed) in &built_in.sha256 {
            for (version, sha256) in listed {
                if read.sha256(*edition, version) != Some(sha256) {
                    return Err(format!("its SHA-256 of {version} ({edition}) is another one"));
                }
            }
        }
        if read.lines.is_empty() || !read.lines.is_sorted_by(|newer, older| newer.series > older.series) {
            return Err("its lines are not in order, the newest first".to_owned());
        }
        match read.lines.iter().find(|line| line.newest.series() != line.series) {
            Some(line) => Err(format!("{} is no release of its line {}", line.newest, line.series)),
            None => Ok(read),
        }
    }

    /// Its text, which [`read`](Self::read) reads.
    pub fn to_text(&self) -> String {
        toml::to_string(self).unwrap_or_default()
    }

    /// Keeps it in a cache, where [`known`](Self::known) finds it.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn keep(&self, cache: &Cache) -> Result<(), ReleaseError> {
        cache.make()?;
        write_file(&cache.catalogue(), self.to_text().as_bytes())
    }

    /// The release that a channel leads to on a day. `None`: the catalogue knows no such line.
    pub fn find(&self, channel: &Channel, edition: Edition, today: Date) -> Option<Offer> {
        // A line is announced before its first day.
        let is_out = |line: &&Line| line.released.is_none_or(|day| day <= today);
        let version = match channel {
            Channel::Extended => self.lines.iter().filter(is_out).find(|line| line.extended)?.newest.clone(),
            Channel::Latest => self.lines.iter().find(is_out)?.newest.clone(),
            Channel::Line(series) => self.line(*series)?.newest.clone(),
            Channel::Exactly(version) => version.clone(),
        };
        let ends = self.line(version.series()).and_then(|line| line.ends);
        Some(Offer { ends, sha256: self.sha256(edition, &version).cloned(), version })
    }

    /// A line that it knows.
    pub fn line(&self, series: Series) -> Option<&Line> {
        self.lines.iter().find(|line| line.series == series)
    }

    /// The newest patch release of a version's line, if that is newer than the version.
    pub fn newest(&self, version: &Version) -> Version {
        let newest = self.line(version.series()).map(|line| &line.newest);
        newest.filter(|newest| *newest > version).unwrap_or(version).clone()
    }

    /// The checksum of a tarball for amd64. Entry and Enterprise are one tarball.
    pub fn sha256(&self, edition: Edition, version: &Version) -> Option<&Sha256> {
        let edition = if edition == Edition::Entry { Edition::Enterprise } else { edition };
        self.sha256.get(&edition)?.get(version)
    }

    /// The checksum that was published for a tarball of this name.
    pub fn sha256_of_file(&self, name: &str) -> Option<&Sha256> {
        let (release, arch) = published_tarball(name)?;
        (arch == Arch::Amd64).then(|| self.sha256(release.edition, &release.version))?
    }
}

fn text_of<S: serde::Serializer>(series: &Series, into: S) -> Result<S::Ok, S::Error> {
    into.collect_str(series)
}

fn series<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Series, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn the_catalogue_of_this_program_can_be_read_and_is_in_order() {
        let catalogue = Catalogue::built_in();
        assert_eq!(catalogue.format, 1);
        for pair in catalogue.lines.windows(2) {
            assert!(pair[0].series > pair[1].series);
        }
        for line in &catalogue.lines {
            assert_eq!(line.newest.series(), line.series);
        }
    }

    #[test]
    fn a_channel_leads_to_a_release() {
        let catalogue = Catalogue::built_in();
        let found = |channel: &str, today| {
            let offer = catalogue.find(&channel.parse().unwrap(), Edition::Team, today)?;
            Some(format!("{}, {}", offer.version, offer.ends.map_or("?".to_owned(), |day| day.to_string())))
        };
        let today = date(2026, 11, 20);
        for (channel, offer) in [
            ("esr", Some("11.7.15, 2027-05-15")),
            ("latest", Some("12.1.0, 2027-02-15")),
            ("11.10", Some("11.10.5, 2026-11-15")),
            ("5.37", Some("5.37.10, ?")),
            ("11.7.3", Some("11.7.3, 2027-05-15")),
            ("99.1", None),
            ("99.1.0", Some("99.1.0, ?")),
        ] {
            assert_eq!(found(channel, today).as_deref(), offer, "{channel}");
        }
        assert_eq!(
            found("latest", date(2026, 11, 15)).as_deref(),
            Some("12.0.2, 2027-01-15"),
            "12.1 is not out"
        );
        for text in ["", "newest", "11", "11.7.x", "v11.7", "11.7-rc1"] {
            let error = text.parse::<Channel>().unwrap_err().to_string();
            assert!(error.contains("esr, latest"), "{text}: {error}");
        }
    }

    #[test]
    fn a_refreshed_catalogue_contradicts_nothing_that_was_built_in() {
        let text = Catalogue::built_in().to_text();
        assert!(Catalogue::read(&text).is_ok());
        let sha256 =
            Catalogue::built_in().sha256(Edition::Team, &Version::new(11, 7, 10)).unwrap().to_string();
        let fingerprint = Catalogue::built_in().key.fingerprint.to_string();
        for (was, is, why) in [
            (&*sha256, &*"0".repeat(64), "its SHA-256 of 11.7.10 (team)"),
            (&*fingerprint, &*"0".repeat(40), "another signing key"),
            ("format = 1", "format = 2", "the format 2"),
            ("\"11.7.15\"", "\"11.8.15\"", "no release of its line"),
            ("\"12.1\"", "\"10.1\"", "not in order"),
            ("date =", "day =", "day"),
        ] {
            let error = Catalogue::read(&text.replacen(was, is, 1)).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn entry_has_the_checksums_of_enterprise() {
        let catalogue = Catalogue::built_in();
        let version = Version::new(11, 7, 10);
        assert!(catalogue.sha256(Edition::Entry, &version).is_some());
        assert_eq!(
            catalogue.sha256(Edition::Entry, &version),
            catalogue.sha256(Edition::Enterprise, &version)
        );
        assert_ne!(catalogue.sha256(Edition::Team, &version), catalogue.sha256(Edition::Entry, &version));
    }
}

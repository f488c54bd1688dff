//! A newer catalogue, from what the makers and endoflife.date publish.
//!
//! It only ever adds: a checksum that was published once is never another one, and the signing key is that of the program.
use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::Deserialize;
use url::Url;
use version::{Series, Version};

use crate::catalogue::{Catalogue, Line};
use crate::download::small;
use crate::edition::{Edition, published};
use crate::failure::DownloadError;
use crate::network::Network;
use crate::sha256::Sha256;

/// The most bytes of a page.
const PAGE: u64 = 16 << 20;

/// Why there is no newer catalogue.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// A source does not come.
    #[error(transparent)]
    Download(#[from] DownloadError),
    /// A source is in another form than this program reads.
    #[error("{source_name} is in another form than this version of Mainstay reads: {why}")]
    Form {
        /// Which.
        source_name: &'static str,
        /// What is missing.
        why: String,
    },
    /// A source contradicts what was published before.
    #[error(
        "the version archive gives {file} the SHA-256 {now}, and it was {before} before: a published tarball never changes"
    )]
    Changed {
        /// The tarball, in words.
        file: String,
        /// What it was.
        before: Sha256,
        /// What it is said to be now.
        now: Sha256,
    },
}

/// The release data of endoflife.date.
#[derive(Debug, Deserialize)]
struct Lifecycle {
    releases: BTreeMap<String, Cycle>,
    versions: BTreeMap<String, Dated>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cycle {
    release_date: Option<Date>,
    /// The last day of support, or whether there is one.
    eol: Option<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
struct Dated {
    date: Option<Date>,
}

/// Reads the sources, and adds what they have to `known`. `archive`: the makers' page with the checksums; `lifecycle`: the release
/// data of endoflife.date.
///
/// # Errors
/// A source does not come, cannot be read, or contradicts what was known.
pub async fn refresh(
    known: Catalogue,
    archive: &Url,
    lifecycle: &Url,
    network: &Network,
    today: Date,
) -> Result<Catalogue, RefreshError> {
    let page = small(network, archive, PAGE).await?;
    let data = small(network, lifecycle, PAGE).await?;
    merged(known, &String::from_utf8_lossy(&page), &data, today)
}

/// What both texts add.
fn merged(mut known: Catalogue, page: &str, data: &[u8], today: Date) -> Result<Catalogue, RefreshError> {
    let lifecycle: Lifecycle = serde_json::from_slice(data).map_err(|error| RefreshError::Form {
        source_name: "the release data of endoflife.date",
        why: error.to_string(),
    })?;
    let found = checksums(page);
    if found.is_empty() {
        let why = "no tarball with a checksum is in it".to_owned();
        return Err(RefreshError::Form { source_name: "the version archive", why });
    }
    for (edition, version, now) in &found {
        let of_edition = known.sha256.entry(*edition).or_default();
        match of_edition.get(version) {
            Some(before) if before != now => {
                let file = format!("{version} ({edition})");
                return Err(RefreshError::Changed { file, before: before.clone(), now: now.clone() });
            }
            _ => drop(of_edition.insert(version.clone(), now.clone())),
        }
    }
    let dated = lifecycle.versions.iter().filter(|(_, dated)| dated.date.is_none_or(|day| day <= today));
    let dated = dated.filter_map(|(version, _)| version.parse().ok());
    let versions: Vec<Version> = dated.chain(found.into_iter().map(|(_, version, _)| version)).collect();
    let newest = |series: Series| versions.iter().filter(|version| version.series() == series).max().cloned();
    let marked = extended(page);
    let youngest = known.lines.iter().map(|line| line.series).max();
    for (name, cycle) in &lifecycle.releases {
        let Ok(series) = name.parse::<Series>() else { continue };
        let ends = cycle.eol.as_ref().and_then(|eol| eol.as_str()).and_then(|day| day.parse().ok());
        match known.lines.iter_mut().find(|line| line.series == series) {
            Some(line) => {
                line.ends = ends.or(line.ends);
                line.released = line.released.or(cycle.release_date);
            }
            None if youngest.is_none_or(|youngest| series > youngest) => {
                let Some(newest) = newest(series) else { continue };
                let (released, extended) = (cycle.release_date, false);
                known.lines.push(Line { series, released, ends, extended, newest });
            }
            None => {}
        }
    }
    for line in &mut known.lines {
        if let Some(newest) = newest(line.series).filter(|newest| *newest > line.newest) {
            line.newest = newest;
        }
        line.extended |= marked.contains(&line.series);
    }
    known.lines.sort_by_key(|line| std::cmp::Reverse(line.series));
    known.date = today;
    Ok(known)
}

/// The checksums of a page: after the name of a tarball for amd64 comes its SHA-256, before the name of another one.
fn checksums(page: &str) -> Vec<(Edition, Version, Sha256)> {
    let mut found = Vec::new();
    let mut tarball = None;
    for word in page.split(|letter: char| !(letter.is_ascii_alphanumeric() || "-._+".contains(letter))) {
        let name = word.strip_suffix(".sig").unwrap_or(word);
        if name.ends_with("-linux-amd64.tar.gz") {
            tarball = published(name);
        } else if word.len() == 64
            && let Some(release) = &tarball
            && let Ok(sha256) = Sha256::try_from(word.to_owned())
        {
            found.push((release.edition, release.version.clone(), sha256));
            tarball = None;
        }
    }
    found
}

/// The lines that a page calls extended: `Edition v11.7.15 Extended Support Release`.
fn extended(page: &str) -> Vec<Series> {
    let plain: String =
        page.chars().map(|letter| if "*_[]()<>/".contains(letter) { ' ' } else { letter }).collect();
    let words: Vec<&str> = plain.split_whitespace().collect();
    let marked = words.windows(4).filter(|words| words[1..] == ["Extended", "Support", "Release"]);
    marked.filter_map(|words| Some(words[0].strip_prefix('v')?.parse::<Version>().ok()?.series())).collect()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    const NEW: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    /// The page as it is rendered.
    fn page(version: &str, mark: &str, sha256: &str) -> String {
        let file =
            format!("https://releases.mattermost.com/{version}/mattermost-team-{version}-linux-amd64.tar.gz");
        format!(
            "<p>Mattermost Team Edition v{version}{mark} - <a href=\"{file}?src=arc\">Download</a></p><ul><li><code>{file}</code></li>\n\
             <li>SHA-256 Checksum: <code>{sha256}</code></li><li>GPG Signature: <a href=\"{file}.sig\">{file}.sig</a></li></ul>"
        )
    }

    const DATA: &str = r#"{
        "releases": {
            "12.3": {"name": "12.3", "releaseDate": "2027-01-15", "eol": "2027-04-15"},
            "12.2": {"name": "12.2", "releaseDate": "2026-12-16", "eol": "2027-03-15"},
            "11.7": {"name": "11.7", "releaseDate": "2026-05-15", "eol": "2027-06-15"},
            "6.3": {"name": "6.3", "releaseDate": "2022-01-16", "eol": true}
        },
        "versions": {
            "12.3.0": {"name": "12.3.0", "date": "2027-01-15"},
            "12.2.1": {"name": "12.2.1", "date": "2026-12-18"},
            "11.7.17": {"name": "11.7.17", "date": "2026-12-20"},
            "6.3.9": {"name": "6.3.9", "date": "2022-08-01"}
        }
    }"#;

    fn told(page: &str) -> Result<Catalogue, RefreshError> {
        merged(Catalogue::built_in(), page, DATA.as_bytes(), date(2026, 12, 28))
    }

    #[test]
    fn what_is_new_is_added() {
        let told = told(&page("11.7.16", " *Extended Support Release*", NEW)).unwrap();
        assert_eq!(told.date, date(2026, 12, 28));
        assert_eq!(told.sha256(Edition::Team, &Version::new(11, 7, 16)).unwrap().to_string(), NEW);
        assert_eq!(told.lines[0].series, Series::new(12, 2), "12.3 is not out yet");
        assert_eq!(told.lines[0].newest, Version::new(12, 2, 1));
        let extended = told.line(Series::new(11, 7)).unwrap();
        assert_eq!((&extended.newest, extended.ends), (&Version::new(11, 7, 17), Some(date(2027, 6, 15))));
        assert!(told.line(Series::new(6, 3)).is_none(), "lines that were left out stay out");
        assert!(told.sha256(Edition::Team, &Version::new(11, 7, 10)).is_some(), "what was known stays");
        // What is written is read back, and passes for a newer catalogue.
        let text = told.to_text();
        assert_eq!(Catalogue::read(&text).unwrap().to_text(), text);
    }

    #[test]
    fn a_line_becomes_extended_where_the_page_says_so() {
        let extended = |page: &str| told(page).unwrap().line(Series::new(12, 0)).unwrap().extended;
        assert!(!extended(&page("12.0.2", "", NEW)));
        assert!(extended(&page("12.0.2", " [Extended Support Release]", NEW)));
    }

    #[test]
    fn a_checksum_never_changes() {
        let error = told(&page("11.7.10", "", NEW)).unwrap_err().to_string();
        assert!(error.contains("11.7.10 (team)") && error.contains(NEW), "{error}");
    }

    #[test]
    fn a_page_that_is_something_else_is_refused() {
        let error = told("<html>Sign in</html>").unwrap_err().to_string();
        assert!(error.contains("the version archive is in another form"), "{error}");
        let error =
            merged(Catalogue::built_in(), &page("11.7.16", "", NEW), b"[]", date(2026, 12, 28)).unwrap_err();
        assert!(error.to_string().contains("endoflife.date"), "{error}");
    }
}

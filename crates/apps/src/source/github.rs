//! An asset of a GitHub release, by GitHub's REST interface.

use std::fmt;
use std::path::Path;

use finding::Exit;
use reqwest::StatusCode;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use url::Url;

use super::download::{self, into_file};
use super::{Wanted, shown_url};
use crate::Error;

/// The most bytes of a release's description: GitHub sends at most 1 000 assets.
const DESCRIPTION: usize = 4 << 20;

/// An asset of a release: `owner/repo[@tag][:asset]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asset {
    /// Whose repository.
    pub owner: String,
    /// The repository.
    pub repository: String,
    /// The release; without it, the newest.
    pub tag: Option<String>,
    /// The file; without it, the only `.zip`.
    pub name: Option<String>,
}

impl Asset {
    /// Reads `owner/repo[@tag][:asset]`. A tag may have a `/`; neither a tag nor a name may have a `:`.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (rest, name) = match text.split_once(':') {
            Some((rest, name)) => (rest, Some(name)),
            None => (text, None),
        };
        let (rest, tag) = match rest.split_once('@') {
            Some((rest, tag)) => (rest, Some(tag)),
            None => (rest, None),
        };
        let (owner, repository) = rest.split_once('/')?;
        let plain = |text: &str| {
            let letter = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
            !text.is_empty() && !matches!(text, "." | "..") && text.chars().all(letter)
        };
        let given = |text: Option<&str>| text.is_none_or(|text| !text.is_empty() && !text.contains(':'));
        let valid = plain(owner) && plain(repository) && given(tag) && given(name);
        valid.then(|| Self {
            owner: owner.to_owned(),
            repository: repository.to_owned(),
            tag: tag.map(str::to_owned),
            name: name.map(str::to_owned),
        })
    }
}

impl fmt::Display for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.repository)?;
        self.tag.iter().try_for_each(|tag| write!(f, "@{tag}"))?;
        self.name.iter().try_for_each(|name| write!(f, ":{name}"))
    }
}

/// A release, as GitHub describes it.
#[derive(Debug, Deserialize)]
struct Release {
    tag_name: String,
    #[serde(default)]
    assets: Vec<Described>,
}

/// An asset, as GitHub describes it.
#[derive(Debug, Deserialize)]
struct Described {
    name: String,
    url: Url,
    /// `sha256:` and the digits; older assets have none.
    digest: Option<String>,
}

/// Downloads the asset. The SHA-256 that GitHub says it has, where it says one.
pub(super) async fn download(asset: &Asset, wanted: &Wanted, into: &Path) -> Result<Option<String>, Error> {
    let release = release(asset, wanted).await?;
    let found = choose(asset, &release)?;
    let at_github = found.url.origin() == wanted.github.origin();
    let headers = headers("application/octet-stream", wanted, at_github)?;
    let response = download::get(&found.url, headers).await?;
    into_file(response, &found.url, wanted.most, into).await?;
    let digest = found.digest.as_deref().and_then(|digest| digest.strip_prefix("sha256:"));
    Ok(digest.map(str::to_ascii_lowercase))
}

async fn release(asset: &Asset, wanted: &Wanted) -> Result<Release, Error> {
    let mut url = wanted.github.clone();
    let path = match &asset.tag {
        Some(tag) => vec!["releases", "tags", tag],
        None => vec!["releases", "latest"],
    };
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(["repos", &asset.owner, &asset.repository]).extend(path);
    }
    let headers = headers("application/vnd.github+json", wanted, true)?;
    let response = download::get(&url, headers).await?;
    let status = response.status();
    if status != StatusCode::OK {
        let limited = response.headers().get("x-ratelimit-remaining").is_some_and(|left| left == "0");
        return Err(refused(asset, wanted, status, limited));
    }
    let unreadable = |why: String| {
        Error::new(
            Exit::NotReady,
            format!("{} described the release in a way that makes no sense: {why}", shown_url(&url)),
        )
        .hint("check GITHUB_API_URL: it must be the address of GitHub's REST interface")
    };
    let mut body = Vec::new();
    let mut response = response;
    while let Some(part) = response.chunk().await.map_err(|error| download::unreached(&url, &error))? {
        body.extend_from_slice(&part);
        if body.len() > DESCRIPTION {
            return Err(unreadable(format!("it has more than {} MiB", DESCRIPTION >> 20)));
        }
    }
    serde_json::from_slice(&body).map_err(|error| unreadable(error.to_string()))
}

/// Why GitHub does not describe the release.
fn refused(asset: &Asset, wanted: &Wanted, status: StatusCode, limited: bool) -> Error {
    let repository = format!("{}/{}", asset.owner, asset.repository);
    let has_token = wanted.github_token.is_some();
    match status {
        StatusCode::NOT_FOUND => {
            let what = match &asset.tag {
                Some(tag) => format!("GitHub has no release `{tag}` of {repository} that may be seen"),
                None => format!("GitHub has no release of {repository} that may be seen"),
            };
            let hint = if has_token {
                "check owner, repository and tag, and that the token of GITHUB_TOKEN may read it"
            } else {
                "check owner, repository and tag; for a private repository, set GITHUB_TOKEN"
            };
            Error::new(Exit::NotReady, what).hint(hint)
        }
        StatusCode::UNAUTHORIZED => {
            Error::new(Exit::NotReady, "GitHub does not accept the token of GITHUB_TOKEN")
                .hint("make a new one, or unset it for a public repository")
        }
        StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS
            if limited || status == StatusCode::TOO_MANY_REQUESTS =>
        {
            Error::new(Exit::NotReady, "GitHub was asked too often from this address").hint(if has_token {
                "try again in an hour"
            } else {
                "try again in an hour, or set GITHUB_TOKEN: with a token, more is allowed"
            })
        }
        status => {
            Error::new(Exit::NotReady, format!("GitHub answered {status} for the releases of {repository}"))
        }
    }
}

fn headers(accept: &'static str, wanted: &Wanted, with_token: bool) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
    if let Some(token) = wanted.github_token.as_ref().filter(|_| with_token) {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()))
            .map_err(|_| Error::new(Exit::Settings, "GITHUB_TOKEN has characters that no token has"))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(headers)
}

/// The asset that is meant: the one of that name, or the only `.zip`.
fn choose<'r>(asset: &Asset, release: &'r Release) -> Result<&'r Described, Error> {
    let named = |names: Vec<&str>| match names[..] {
        [] => "it has no file".to_owned(),
        _ => format!("it has: {}", names.join(", ")),
    };
    let (tag, repository) = (&release.tag_name, format!("{}/{}", asset.owner, asset.repository));
    let all = || release.assets.iter().map(|asset| asset.name.as_str()).collect();
    if let Some(name) = &asset.name {
        let found = release.assets.iter().find(|asset| asset.name == *name);
        return found.ok_or_else(|| {
            Error::new(Exit::NotReady, format!("the release {tag} of {repository} has no file `{name}`"))
                .hint(named(all()))
        });
    }
    let mut zips = release.assets.iter().filter(|asset| asset.name.ends_with(".zip"));
    match (zips.next(), zips.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => {
            Err(Error::new(Exit::NotReady, format!("the release {tag} of {repository} has no .zip file"))
                .hint(named(all())))
        }
        (Some(first), Some(_)) => Err(Error::new(
            Exit::Usage,
            format!("the release {tag} of {repository} has more than one .zip file"),
        )
        .hint(format!("say which one: github:{repository}@{tag}:{}; {}", first.name, named(all())))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_only_zip_is_meant_where_no_file_is_named() {
        let release = |names: &[&str]| Release {
            tag_name: "v1".to_owned(),
            assets: names
                .iter()
                .map(|name| Described {
                    name: (*name).to_owned(),
                    url: Url::parse("https://example.org/").expect("a URL"),
                    digest: None,
                })
                .collect(),
        };
        let asset = |text: &str| Asset::read(text).expect(text);
        let chosen = |text: &str, names: &[&str]| match choose(&asset(text), &release(names)) {
            Ok(found) => found.name.clone(),
            Err(error) => format!("{}; {}", error.what, error.hint.unwrap_or_default()),
        };
        assert_eq!(chosen("o/r", &["notes.txt", "app.zip"]), "app.zip");
        assert_eq!(chosen("o/r:notes.txt", &["notes.txt", "app.zip"]), "notes.txt");
        assert_eq!(
            chosen("o/r", &["a.zip", "b.zip"]),
            "the release v1 of o/r has more than one .zip file; say which one: github:o/r@v1:a.zip; it has: a.zip, b.zip"
        );
        assert_eq!(
            chosen("o/r:c.zip", &["a.zip"]),
            "the release v1 of o/r has no file `c.zip`; it has: a.zip"
        );
        assert_eq!(chosen("o/r", &[]), "the release v1 of o/r has no .zip file; it has no file");
    }
}

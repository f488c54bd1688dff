//! One file from one server, into a file that may hold the beginning of it already.
//!
//! Beside it is what the server said of the file, by which a later part is known to belong to it. A server that says nothing
//! of the kind is asked for the whole file again.
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use finding::one_line;
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_RANGE, LAST_MODIFIED,
    RANGE, USER_AGENT,
};
use reqwest::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::error::ReleaseError;
use crate::failure::DownloadError;
use crate::network::Network;

/// A file is asked for no more often than this, even if each answer brings some of it.
const ATTEMPTS: u32 = 50;
/// A server that sends less than this within the time of a silence is as good as silent.
const TRICKLE: u64 = 1024;
/// The longest pause before a try.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// What is kept beside a part is small.
const NOTES_LIMIT: u64 = 16 * 1024;

/// Hears how far a download is: bytes that are there, and bytes in all where that is known.
pub type Watch<'a> = dyn Fn(u64, Option<u64>) + Sync + 'a;

/// What the server said of the file that a part is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Notes {
    url: Url,
    /// ETag or date: the same one means the same file.
    validator: String,
    total: Option<u64>,
}

/// A file of which a part may be here.
struct Part<'a> {
    path: &'a Path,
    notes: PathBuf,
}

impl<'a> Part<'a> {
    fn at(path: &'a Path) -> Self {
        let mut notes = path.as_os_str().to_owned();
        notes.push(".notes");
        Self { path, notes: notes.into() }
    }

    /// How much of `url`'s file is here, and what is known of it.
    fn held(&self, url: &Url) -> Option<(u64, Notes)> {
        let text = host::disk::read_guarded(&self.notes, NOTES_LIMIT).ok()?.bytes;
        let notes: Notes = serde_json::from_slice(&text).ok()?;
        let length = fs::metadata(self.path).ok()?.len();
        (notes.url == *url && length > 0).then_some((length, notes))
    }

    /// Begins anew, with what the server says of the file now. Without a validator nothing is kept of it.
    fn begin(&self, url: &Url, validator: Option<String>, total: Option<u64>) -> Result<(), ReleaseError> {
        self.forget();
        let fail = |error| ReleaseError::disk("write", self.path, error);
        File::create(self.path).map_err(fail)?;
        if let Some(validator) = validator {
            let notes = Notes { url: url.clone(), validator, total };
            let text = serde_json::to_vec(&notes).map_err(io::Error::from).map_err(fail)?;
            fs::write(&self.notes, text).map_err(fail)?;
        }
        Ok(())
    }

    fn forget(&self) {
        // The notes first: a part without them is of nothing.
        let _ = fs::remove_file(&self.notes);
        let _ = fs::remove_file(self.path);
    }
}

/// Forgets what has come of a file.
pub(crate) fn forget(part: &Path) {
    Part::at(part).forget();
}

/// Brings the whole file to `part`, going on with what is there. `most`: the most bytes that it may have.
///
/// # Errors
/// It does not come. What has come stays there for the next time, if it can be gone on with.
pub(crate) async fn download(
    network: &Network,
    url: &Url,
    part: &Path,
    most: u64,
    watch: &Watch<'_>,
) -> Result<(), DownloadError> {
    let held = Part::at(part);
    let length = || fs::metadata(part).map_or(0, |meta| meta.len());
    let (mut fruitless, mut attempts) = (0, 0);
    loop {
        let before = length();
        let Err(error) = attempt(network, url, &held, most, watch).await else { return Ok(()) };
        attempts += 1;
        fruitless = if length() > before { 0 } else { fruitless + 1 };
        if !error.may_pass() || fruitless >= network.patience.tries || attempts >= ATTEMPTS {
            return Err(error);
        }
        tracing::info!(%error, attempts, "asking again");
        tokio::time::sleep((network.patience.pause * 2_u32.pow(fruitless.min(5))).min(LONGEST_PAUSE)).await;
    }
}

async fn attempt(
    network: &Network,
    url: &Url,
    part: &Part<'_>,
    most: u64,
    watch: &Watch<'_>,
) -> Result<(), DownloadError> {
    let held = part.held(url);
    if let Some((length, Notes { total: Some(total), .. })) = &held
        && length == total
    {
        return Ok(());
    }
    let mut headers = HeaderMap::new();
    // A tarball is packed already; a length would be that of something else.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if let Some((length, notes)) = &held
        && let (Ok(range), Ok(validator)) =
            (HeaderValue::from_str(&format!("bytes={length}-")), HeaderValue::from_str(&notes.validator))
    {
        headers.insert(RANGE, range);
        headers.insert(IF_RANGE, validator);
    }
    let response = network.get(url, &headers).await?;
    let start = match (response.status(), &held) {
        (StatusCode::OK, _) => {
            whole(&response, url, most)?;
            part.begin(url, validator(&response), response.content_length())?;
            0
        }
        (StatusCode::PARTIAL_CONTENT, Some((length, notes))) => {
            if !goes_on(&response, *length, notes) {
                part.forget();
                return Err(DownloadError::broken(url, "the file was changed while it was fetched"));
            }
            *length
        }
        (StatusCode::RANGE_NOT_SATISFIABLE, Some((length, _))) => {
            if total(&response) == Some(*length) {
                return Ok(());
            }
            part.forget();
            return Err(DownloadError::broken(url, "the server does not have the rest of the file"));
        }
        (StatusCode::NOT_FOUND | StatusCode::GONE, _) => return Err(DownloadError::NotThere(url.clone())),
        (status, _) => return Err(DownloadError::Status { url: url.clone(), status }),
    };
    let total = match start {
        0 => response.content_length(),
        _ => total(&response),
    };
    receive(network, response, url, part.path, (start, total, most), watch).await
}

/// Refuses what cannot be a release.
fn whole(response: &Response, url: &Url, most: u64) -> Result<(), DownloadError> {
    if response.content_length().is_some_and(|length| length > most) {
        return Err(DownloadError::TooLarge { url: url.clone(), most });
    }
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    match kind {
        Some(kind) if kind.starts_with("text/html") => Err(DownloadError::WebPage(url.clone())),
        _ => Ok(()),
    }
}

/// What shows whether it is still the same file: an ETag that stands for the very bytes, or the date.
fn validator(response: &Response) -> Option<String> {
    let header = |name| response.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let strong = header(ETAG).filter(|tag| !tag.starts_with("W/"));
    strong.or_else(|| header(LAST_MODIFIED)).map(str::to_owned)
}

/// Whether this is the rest of the file that the part is of.
fn goes_on(response: &Response, length: u64, notes: &Notes) -> bool {
    let begins = content_range(response).and_then(|(range, _)| range.split('-').next()?.parse().ok());
    let same = validator(response).is_none_or(|now| now == notes.validator);
    let as_long = notes.total.is_none() || total(response).is_none_or(|now| Some(now) == notes.total);
    begins == Some(length) && same && as_long
}

/// `bytes 10-19/20`: the range, and the length of the whole.
fn content_range(response: &Response) -> Option<(&str, &str)> {
    let header = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    header.strip_prefix("bytes ")?.split_once('/')
}

fn total(response: &Response) -> Option<u64> {
    content_range(response)?.1.parse().ok()
}

/// Writes the body behind what is there.
async fn receive(
    network: &Network,
    mut response: Response,
    url: &Url,
    path: &Path,
    (start, total, most): (u64, Option<u64>, u64),
    watch: &Watch<'_>,
) -> Result<(), DownloadError> {
    let fail = |error| DownloadError::Disk(ReleaseError::disk("write", path, error));
    let mut file = OpenOptions::new().append(true).open(path).map_err(fail)?;
    let silence = network.patience.silence;
    let (mut at, mut window) = (start, (Instant::now(), start));
    watch(at, total);
    loop {
        let next = response.chunk().await;
        let next = next.map_err(|error| DownloadError::unreached(url, &error, &network.patience))?;
        let Some(bytes) = next else { break };
        at += bytes.len() as u64;
        if at > most.min(total.unwrap_or(most)) {
            return Err(DownloadError::TooLarge { url: url.clone(), most });
        }
        file.write_all(&bytes).map_err(fail)?;
        watch(at, total);
        if window.0.elapsed() >= silence {
            if at - window.1 < TRICKLE {
                return Err(DownloadError::broken(url, format!("hardly anything came within {silence:.1?}")));
            }
            window = (Instant::now(), at);
        }
    }
    match total {
        Some(total) if at < total => {
            Err(DownloadError::broken(url, format!("it is cut off after {at} of {total} bytes")))
        }
        _ => Ok(()),
    }
}

/// A small file that everybody may read, into memory, within a time. The request says nothing of who asks: not even which version of this
/// program.
///
/// # Errors
/// It does not come.
pub async fn read_public(
    network: &Network,
    url: &Url,
    most: u64,
    within: Duration,
) -> Result<Vec<u8>, DownloadError> {
    let headers = HeaderMap::from_iter([(USER_AGENT, HeaderValue::from_static("mainstay"))]);
    let come = tokio::time::timeout(within, small_with(network, url, most, &headers)).await;
    come.unwrap_or_else(|_| {
        Err(DownloadError::broken(url, format!("it was not there within {} s", within.as_secs())))
    })
}

/// A small file, into memory.
///
/// # Errors
/// It does not come.
pub(crate) async fn small(network: &Network, url: &Url, most: u64) -> Result<Vec<u8>, DownloadError> {
    small_with(network, url, most, &HeaderMap::new()).await
}

async fn small_with(
    network: &Network,
    url: &Url,
    most: u64,
    headers: &HeaderMap,
) -> Result<Vec<u8>, DownloadError> {
    let mut fruitless = 0;
    loop {
        let error = match once(network, url, most, headers).await {
            Err(error) => error,
            come => return come,
        };
        fruitless += 1;
        if !error.may_pass() || fruitless >= network.patience.tries {
            return Err(error);
        }
        tracing::info!(error = %one_line(&error.to_string(), 200), "asking again");
        tokio::time::sleep(network.patience.pause * 2_u32.pow(fruitless.min(5))).await;
    }
}

async fn once(
    network: &Network,
    url: &Url,
    most: u64,
    headers: &HeaderMap,
) -> Result<Vec<u8>, DownloadError> {
    let mut response = network.get(url, headers).await?;
    match response.status() {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND | StatusCode::GONE => return Err(DownloadError::NotThere(url.clone())),
        status => return Err(DownloadError::Status { url: url.clone(), status }),
    }
    let mut all = Vec::new();
    loop {
        let next = response.chunk().await;
        let next = next.map_err(|error| DownloadError::unreached(url, &error, &network.patience))?;
        let Some(bytes) = next else { return Ok(all) };
        all.extend_from_slice(&bytes);
        if all.len() as u64 > most {
            return Err(DownloadError::TooLarge { url: url.clone(), most });
        }
    }
}

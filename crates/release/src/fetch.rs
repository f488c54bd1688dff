//! A wanted tarball, from a site into the cache. It gets its name there when it is proven, and not before.
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use url::Url;

use crate::cache::{Cache, SIGNATURE, write_file};
use crate::download::{self, Watch, download, small};
use crate::error::ReleaseError;
use crate::failure::{DownloadError, shown};
use crate::network::Network;
use crate::openpgp::{Fingerprint, PublicKey, SignatureError};
use crate::proof::{Proof, Unproven, expired, prove};
use crate::source::Wish;

/// The most bytes of a tarball: four times what the largest one (11.x, enterprise) has.
const TARBALL: u64 = 4 << 30;
/// The most bytes of a signature, and of a public key with all that people have said of it.
pub(crate) const SIGNATURE_FILE: u64 = 64 << 10;
const KEY_FILE: u64 = 1 << 20;
/// What the file with the public key is called beside a release.
pub const KEY_NAME: &str = "signing-key.asc";

/// A tarball in the cache, proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The file.
    pub path: PathBuf,
    /// Its signature.
    pub signature: PathBuf,
    /// What was seen.
    pub proof: Proof,
    /// The site that it came from; `None` = it was in the cache.
    pub from: Option<Url>,
}

/// Why there is no tarball.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// It does not come from anywhere; why, site by site.
    #[error("{file} cannot be fetched: {}", .causes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    NoSite {
        /// The tarball.
        file: String,
        /// Site by site.
        causes: Vec<DownloadError>,
    },
    /// It came, and is not what its makers published.
    #[error("{what} is refused: {why}")]
    Refused {
        /// Which file, and where from.
        what: String,
        /// Why.
        why: Unproven,
    },
    /// There is no public key.
    #[error("the public key {fingerprint} that proves releases cannot be read: {why}")]
    NoKey {
        /// The pinned one.
        fingerprint: String,
        /// Why.
        why: String,
    },
    /// The cache cannot be used.
    #[error(transparent)]
    Disk(#[from] ReleaseError),
}

impl FetchError {
    /// What to do, but for the ways to bring a file here without a network.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoSite { causes, .. } => causes.iter().find_map(|cause| match cause {
                DownloadError::Broken { fix, .. } => Some(fix.clone()),
                DownloadError::NotThere(_) => Some(
                    "check version and edition: `mainstay release lines` has the newest of each line; the first release of a \
                     line is not always X.Y.0"
                        .to_owned(),
                ),
                _ => None,
            }),
            Self::Refused { why: Unproven::Signature(SignatureError::OtherSigner { .. } | SignatureError::OtherKey { .. }), .. } => {
                Some("do not use this file; fetch from another site, or ask its owner".to_owned())
            }
            Self::Refused { .. } => {
                Some("nothing of it was kept; run the command again, and if it happens again, fetch from another site".to_owned())
            }
            Self::NoKey { .. } => {
                Some("bring the file with the key, and name it in mainstay.toml: [release] signing_key = \"FILE\"".to_owned())
            }
            Self::Disk(_) => None,
        }
    }

    /// Whether no site could be reached at all.
    pub fn is_away(&self) -> bool {
        match self {
            Self::NoSite { causes, .. } => {
                causes.iter().all(|cause| matches!(cause, DownloadError::Broken { away: true, .. }))
            }
            Self::NoKey { .. } => true,
            _ => false,
        }
    }
}

/// Whether the cache has it, so that no site is asked. It is proven again before it is used.
pub fn is_cached(wish: &Wish, cache: &Cache) -> bool {
    let file = wish.file();
    cache.tarball(&file).is_file() && cache.signature(&file).is_file()
}

/// Brings a tarball into the cache, or proves the one that is there.
///
/// May be dropped or killed at any point: the next call goes on with what has come.
///
/// # Errors
/// See [`FetchError`]. What is not proven is not kept.
pub async fn fetch(
    wish: &Wish,
    cache: &Cache,
    network: &Network,
    watch: &Watch<'_>,
) -> Result<Fetched, FetchError> {
    cache.make()?;
    let file = wish.file();
    let _lock = cache.lock(&file).await?;
    let key = key(wish, cache, network).await?;
    let (tarball, signature) = (cache.tarball(&file), cache.signature(&file));
    let fetched = |proof, from| Fetched { path: tarball.clone(), signature: signature.clone(), proof, from };
    if is_cached(wish, cache) {
        let text = host::disk::read_guarded(&signature, SIGNATURE_FILE);
        let text = text.map_err(|error| ReleaseError::disk("read", &signature, error.source))?;
        match proven(wish, &tarball, text.bytes, &key).await {
            Ok(proof) => return Ok(fetched(proof, None)),
            Err(Unproven::Disk(error)) => return Err(error.into()),
            // It is fetched again.
            Err(error) => {
                tracing::warn!(%error, file, "the tarball in the cache is not what it was; it is removed");
                cache.remove(&tarball)?;
            }
        }
    }
    let (part, mut causes, mut refused) = (cache.part(&file), Vec::new(), None);
    for site in &wish.sites {
        match from_site(wish, site, network, &part, &key, watch).await {
            Ok((proof, text)) => {
                place(&part, &tarball, &text, &signature)?;
                return Ok(fetched(proof, Some(site.clone())));
            }
            Err(OfSite::NotCome(DownloadError::Disk(error))) => return Err(error.into()),
            Err(OfSite::NotCome(error)) => causes.push(error),
            Err(OfSite::Refused(error)) => refused = refused.or(Some(error)),
        }
    }
    // A file that is not what it should be is worse than one that does not come.
    Err(refused.unwrap_or(FetchError::NoSite { file, causes }))
}

/// Why a site did not give it.
enum OfSite {
    NotCome(DownloadError),
    Refused(FetchError),
}

impl From<DownloadError> for OfSite {
    fn from(error: DownloadError) -> Self {
        Self::NotCome(error)
    }
}

/// The signature first: one by another key is refused before hundreds of megabytes come.
async fn from_site(
    wish: &Wish,
    site: &Url,
    network: &Network,
    part: &Path,
    key: &PublicKey,
    watch: &Watch<'_>,
) -> Result<(Proof, Vec<u8>), OfSite> {
    let url = wish.url(site);
    let mut of_signature = url.clone();
    of_signature.set_path(&format!("{}{SIGNATURE}", url.path()));
    let refused = |url: &Url, why: Unproven| OfSite::Refused(FetchError::Refused { what: shown(url), why });
    let text = small(network, &of_signature, SIGNATURE_FILE).await?;
    if let Err(error) = key.signature(&text) {
        return Err(refused(&of_signature, error.into()));
    }
    let mut again = fs::metadata(part).is_ok_and(|part| part.len() > 0);
    loop {
        download(network, &url, part, TARBALL, watch).await?;
        match proven(wish, part, text.clone(), key).await {
            Ok(proof) => return Ok((proof, text)),
            Err(Unproven::Disk(error)) => return Err(OfSite::NotCome(error.into())),
            Err(error) => {
                download::forget(part);
                // What came earlier may be of another file.
                if !std::mem::take(&mut again) {
                    return Err(refused(&url, error));
                }
                tracing::warn!(%error, "fetching all of it again");
            }
        }
    }
}

/// Reads the whole file, on a thread of its own.
async fn proven(wish: &Wish, file: &Path, signature: Vec<u8>, key: &PublicKey) -> Result<Proof, Unproven> {
    let (file, key, sha256) = (file.to_owned(), key.clone(), wish.sha256.clone());
    let proving = tokio::task::spawn_blocking(move || prove(&file, &signature, &key, sha256.as_ref()));
    match proving.await {
        Ok(proof) => proof,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Gives a proven part its name. The signature goes first: what has the name of a tarball is complete.
fn place(part: &Path, tarball: &Path, text: &[u8], signature: &Path) -> Result<(), ReleaseError> {
    let fail = |path: &Path| {
        let path = path.to_owned();
        move |error| ReleaseError::disk("write", &path, error)
    };
    write_file(signature, text)?;
    File::open(part).and_then(|file| file.sync_all()).map_err(fail(part))?;
    fs::rename(part, tarball).map_err(fail(tarball))?;
    download::forget(part);
    let dir = tarball.parent().unwrap_or(tarball);
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(fail(dir))
}

/// The pinned key: from the file that is named, from the cache, or from where it is published. One that has expired is fetched
/// again where that can be, because its owner may have given it more time.
async fn key(wish: &Wish, cache: &Cache, network: &Network) -> Result<PublicKey, FetchError> {
    let no_key = |why: String| FetchError::NoKey { fingerprint: wish.key.to_string(), why };
    let read = |path: &Path| {
        let content = host::disk::read_guarded(path, KEY_FILE).map_err(|error| error.to_string())?;
        PublicKey::read(&content.bytes, wish.key).map_err(|error| format!("{}: {error}", path.display()))
    };
    if let Some(path) = &wish.key_file {
        return read(path).map_err(no_key);
    }
    let cached = cache.key(wish.key);
    let old = read(&cached).ok();
    if let Some(key) = old.as_ref().filter(|key| key.expired(Timestamp::now()).is_none()) {
        return Ok(key.clone());
    }
    let mut causes = Vec::new();
    for url in wish.key_urls() {
        let file = match small(network, &url, KEY_FILE).await {
            Ok(file) => file,
            Err(error) => {
                causes.push(error.to_string());
                continue;
            }
        };
        match PublicKey::read(&file, wish.key) {
            Ok(key) => {
                write_file(&cached, &file)?;
                return Ok(key);
            }
            Err(SignatureError::Revoked(key)) => {
                return Err(FetchError::Refused {
                    what: shown(&url),
                    why: SignatureError::Revoked(key).into(),
                });
            }
            Err(error) => causes.push(format!("{}: {error}", shown(&url))),
        }
    }
    old.ok_or_else(|| no_key(causes.join("; ")))
}

/// What is to be known of the key that proved a release, where it is in the cache.
pub fn key_warning(wish: &Wish, cache: &Cache) -> Option<String> {
    let content = host::disk::read_guarded(&cache.key(wish.key), KEY_FILE).ok()?;
    let end = PublicKey::read(&content.bytes, wish.key).ok()?.expired(Timestamp::now())?;
    Some(expired(wish.key, end))
}

/// The pinned key, without a network: from the file that is named, from the cache, or from a file beside the release.
///
/// # Errors
/// It is in none of them.
pub fn key_at_hand(
    fingerprint: Fingerprint,
    named: Option<&Path>,
    cache: &Cache,
    beside: &Path,
) -> Result<PublicKey, FetchError> {
    let no_key = |why: String| FetchError::NoKey { fingerprint: fingerprint.to_string(), why };
    let read = |path: &Path| {
        let content = host::disk::read_guarded(path, KEY_FILE).map_err(|error| error.to_string())?;
        PublicKey::read(&content.bytes, fingerprint).map_err(|error| format!("{}: {error}", path.display()))
    };
    if let Some(path) = named {
        return read(path).map_err(no_key);
    }
    let (cached, beside) = (cache.key(fingerprint), beside.join(KEY_NAME));
    read(&cached).or_else(|_| read(&beside)).map_err(no_key)
}

/// The pinned key, wherever it can be had, brought into the cache.
///
/// # Errors
/// It can be had nowhere.
pub async fn fetch_key(wish: &Wish, cache: &Cache, network: &Network) -> Result<PublicKey, FetchError> {
    cache.make()?;
    key(wish, cache, network).await
}

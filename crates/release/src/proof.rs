//! Whether a tarball is the one that its makers published: its signature by the pinned key, and its SHA-256 where that is known.
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use aws_lc_rs::digest;
use jiff::Timestamp;
use serde::Serialize;

use crate::error::ReleaseError;
use crate::openpgp::{Fingerprint, PublicKey, SignatureError};
use crate::sha256::Sha256;

const CHUNK: usize = 256 * 1024;

/// What was seen of a file that is what it claims to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// Its SHA-256.
    pub sha256: Sha256,
    /// Whether the catalogue has this SHA-256; false where it has none for the file.
    pub listed: bool,
    /// The pinned key.
    pub signed_by: Fingerprint,
    /// When it was signed.
    pub signed_at: Timestamp,
    /// When the key expired, where it has. The signature counts all the same: the key is known by its fingerprint.
    pub key_expired: Option<Timestamp>,
}

impl Proof {
    /// What is not as it should be and does not keep the file from being used.
    pub fn warnings(&self) -> Vec<String> {
        self.key_expired.map(|end| expired(self.signed_by, end)).into_iter().collect()
    }
}

/// That a key has expired, and what that means.
pub(crate) fn expired(key: Fingerprint, end: Timestamp) -> String {
    format!(
        "the key {key} that signed the release expired on {}; the signature is right all the same, and the fingerprint is the pinned one",
        day(end)
    )
}

fn day(at: Timestamp) -> jiff::civil::Date {
    at.to_zoned(jiff::tz::TimeZone::UTC).date()
}

/// Why a file does not count as what it claims to be.
#[derive(Debug, thiserror::Error)]
pub enum Unproven {
    /// Its signature.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// Its checksum.
    #[error("its SHA-256 is {found}, and the makers published {published}")]
    Checksum {
        /// What it is.
        found: Sha256,
        /// What the catalogue has.
        published: Sha256,
    },
    /// It cannot be read.
    #[error(transparent)]
    Disk(#[from] ReleaseError),
}

/// Proves a file by the text of its detached signature. `published`: the checksum that the catalogue has, if any.
///
/// # Errors
/// It is not what was signed, or not what was published.
pub fn prove(
    file: &Path,
    signature: &[u8],
    key: &PublicKey,
    published: Option<&Sha256>,
) -> Result<Proof, Unproven> {
    let (signature, signer) = key.signature(signature)?;
    let unreadable = |error| Unproven::Disk(ReleaseError::disk("read", file, error));
    let opened = File::open(file).map_err(unreadable)?;
    let mut whole = digest::Context::new(&digest::SHA256);
    let mut signed = digest::Context::new(signature.algorithm());
    let one_hash = *signature.algorithm() == digest::SHA256;
    each_chunk(opened, |bytes| {
        whole.update(bytes);
        if !one_hash {
            signed.update(bytes);
        }
    })
    .map_err(unreadable)?;
    if one_hash {
        signed = whole.clone();
    }
    let now = Timestamp::now();
    signature.check(&signer, signed, now)?;
    let found = Sha256::of_digest(&whole.finish());
    if let Some(published) = published.filter(|published| **published != found) {
        return Err(Unproven::Checksum { found, published: published.clone() });
    }
    Ok(Proof {
        sha256: found,
        listed: published.is_some(),
        signed_by: key.fingerprint(),
        signed_at: signature.made(),
        key_expired: key.expired(now),
    })
}

/// The SHA-256 of a file.
///
/// # Errors
/// It cannot be read.
pub fn sha256_of(file: &Path) -> Result<Sha256, ReleaseError> {
    let unreadable = |error| ReleaseError::disk("read", file, error);
    let mut whole = digest::Context::new(&digest::SHA256);
    each_chunk(File::open(file).map_err(unreadable)?, |bytes| whole.update(bytes)).map_err(unreadable)?;
    Ok(Sha256::of_digest(&whole.finish()))
}

fn each_chunk(mut from: impl Read, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => take(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

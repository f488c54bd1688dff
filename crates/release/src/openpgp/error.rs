//! Why a signature or a key does not count.

use super::rsa::Fingerprint;

/// Why a signature or a key does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// It is not what it should be.
    #[error("{what} cannot be read: {why}")]
    Unreadable {
        /// "the signature" or "the key".
        what: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Another key than the pinned one.
    #[error("the key is {found}, not {wanted}")]
    OtherKey {
        /// Its fingerprint.
        found: String,
        /// The pinned one.
        wanted: Fingerprint,
    },
    /// Signed by somebody else.
    #[error("it is signed by {by}, not by {wanted}")]
    OtherSigner {
        /// Fingerprint or key id, as the signature says it.
        by: String,
        /// The pinned fingerprint.
        wanted: Fingerprint,
    },
    /// The content is not what was signed.
    #[error("the signature is not one of this content: the content or the signature was changed")]
    Mismatch,
    /// The owner withdrew the key.
    #[error("the key {0} was revoked by its owner")]
    Revoked(Fingerprint),
    /// The signature was made for a time that is over.
    #[error("the signature itself has expired")]
    Expired,
}

impl SignatureError {
    pub(super) fn signature(why: &'static str) -> Self {
        Self::Unreadable { what: "the signature", why }
    }

    pub(super) fn key(why: &'static str) -> Self {
        Self::Unreadable { what: "the key", why }
    }
}

//! Detached signatures by a pinned key: as much of OpenPGP (RFC 9580, version 4 packets) as a release's signature needs.
//!
//! The arithmetic is that of aws-lc-rs. Here is which bytes are hashed, and which signatures count. Everything is read from
//! memory that the caller has bounded.
//!
//! Rejected: rPGP. It brings 99 crates and a second implementation of RSA, whose private side has an open advisory, for a
//! public key that is known by its fingerprint.

mod armor;
mod error;
mod key;
mod packet;
mod rsa;
mod signature;

pub use error::SignatureError;
pub use key::PublicKey;
pub use rsa::{Fingerprint, NotAFingerprint};

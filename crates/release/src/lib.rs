//! The release contract: one way to handle every edition and version of the server.
//!
//! A release is a directory in Mattermost's official layout. [`fetch()`] brings its tarball, [`unpack`] creates it from an [`Origin`]. [`Call`]s say which
//! programs of it to run, and [`Capabilities`] what it can do.
//!
//! # Promises
//! - A directory under `releases/` is a complete release: it is unpacked under another name, asked for its version,
//!   synced, made read-only and renamed.
//! - Its name is what its own binary printed: `11.7.15-team`, `11.6.0+0.1.0-builtin`.
//! - The same binary packs to the same bytes.
//! - What is fetched is in the cache under its name when its signature by the pinned key is right, and its SHA-256 where that is
//!   known; never before. A fetch that was killed goes on where it was.
//! - A server that is asked for its version runs confined ([`host::confine`]): no network, no files, as nobody. [`claimed`]
//!   runs nothing.
//!
//! # Refuses
//! - Archives with members outside the release, with a name twice, with devices, hard links or set-uid programs, with too
//!   many or too large members, and archives that are cut off anywhere. Nothing of them stays on the disk.
//! - To overwrite an unpacked release: if it is complete, it is the result.
//! - To decide whether an archive can be trusted while it is unpacked: [`prove`] says that before.
//! - A key that is not pinned by its fingerprint. One that has expired counts: that is a warning.
//!
//! # Rejected designs
//! - `tar::Archive::unpack`: it skips members that it does not accept, and the release would be incomplete.
//! - A hard link to the running binary as the built-in release: the release must survive an update of `mainstay`.
//! - A shorter way for the built-in server: it is unpacked from an archive like every other, only uncompressed.
//! - The version from the file name: mirrors rename files, and upgrades are decided by the version.
#![forbid(unsafe_code)]

mod arch;
mod archive;
mod cache;
mod capability;
mod catalogue;
mod download;
mod durable;
mod edition;
mod error;
mod failure;
mod fetch;
mod identity;
mod journey;
mod layout;
mod member;
mod needs;
mod network;
mod notes;
mod openpgp;
mod origin;
mod pack;
mod path;
mod patience;
mod proof;
mod refresh;
mod run;
mod sha256;
mod shelf;
mod signed;
mod source;
mod unpack;

pub use arch::Arch;
pub use archive::Limits;
pub use cache::{Cache, Held};
pub use capability::Capabilities;
pub use catalogue::{Catalogue, Channel, Line, Offer, SigningKey};
pub use download::{Watch, read_public};
pub use edition::{Edition, ReleaseId, published_tarball};
pub use error::ReleaseError;
pub use failure::DownloadError;
pub use fetch::{FetchError, Fetched, KEY_NAME, fetch, fetch_key, is_cached, key_at_hand, key_warning};
pub use identity::Identity;
pub use journey::{Leg, NoWay, Store, journey};
pub use layout::{Call, Release, SAVE_PLAN};
pub use needs::{Unmet, check as check_machine};
pub use network::{Network, NetworkError};
pub use notes::{Bearing, Circumstances, Note, notes};
pub use openpgp::{Fingerprint, NotAFingerprint, PublicKey, SignatureError};
pub use origin::Origin;
pub use pack::{builtin, pack_builtin, pack_builtin_to};
pub use path::{Path, Stop, path};
pub use patience::Patience;
pub use proof::{Proof, Unproven, prove, sha256_of};
pub use refresh::{RefreshError, refresh};
pub use sha256::{NotSha256, Sha256};
pub use shelf::{current, installed, name_of};
pub use signed::{fetch_signed, fetch_text, prove_beside};
pub use source::{Sources, Wish};
pub use unpack::{Identified, Programs, claimed, identify, unpack, unpack_for_copy, unpack_stream};

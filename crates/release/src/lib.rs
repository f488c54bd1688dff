//! The release contract: one way to handle every server, whichever it is.
//!
//! A release is a directory in Mattermost's official layout. What others do with it is in [`Call`]s (data) and
//! [`Capabilities`] (read from one table); how it gets there is [`unpack`].
//!
//! # Promises
//! - A directory under `releases/` is a whole release or not there: it is unpacked under another name, synced,
//!   asked who it is, made read-only, renamed, synced.
//! - Its name is what its own binary said: `11.7.15-team`, `11.6.0+0.1.0-builtin`.
//! - The same binary packs to the same bytes.
//!
//! # Refuses
//! - Archives that reach outside, replace one of their own files, carry devices, hard links or set-uid
//!   programs, or grow without bounds; and archives cut off anywhere. Nothing of them stays.
//! - To overwrite an unpacked release. One that is there and whole is the result.
//! - To judge where an archive comes from: signatures are checked before.
//!
//! # Rejected designs
//! - `tar::Archive::unpack`: it skips what it does not like; a release with a hole in it must not exist.
//! - Hard-linking or naming the running binary as the built-in release: the release must survive the next
//!   `mainstay`.
//! - A second, shorter path for the built-in server: it goes through the same archive, only uncompressed.
//! - Trusting the file name for the version: mirrors rename, and the directory name decides upgrades.
#![forbid(unsafe_code)]

mod archive;
mod capability;
mod durable;
mod edition;
mod error;
mod identity;
mod layout;
mod member;
mod origin;
mod pack;
mod path;
mod run;
mod shelf;
mod unpack;

pub use archive::Limits;
pub use capability::Capabilities;
pub use edition::{Edition, ReleaseId};
pub use error::ReleaseError;
pub use identity::Identity;
pub use layout::{Call, Release};
pub use origin::{NotSha256, Origin, Sha256};
pub use pack::{builtin, pack_builtin, pack_builtin_to};
pub use path::{Path, Stop, path};
pub use shelf::{current, installed, name_of};
pub use unpack::{identify, unpack, unpack_for_copy, unpack_stream};

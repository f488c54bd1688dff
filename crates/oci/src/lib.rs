//! Container images without a daemon and without a base image.
//!
//! Make [`Entry`]s, by hand or with [`scaffold`] and [`tree()`]; put them into [`Layer`]s; write an image with
//! [`write_layout`]. The [`Layout`] is then pushed with [`Registry::push`], or written as an archive for `docker load`.
//!
//! # Promises
//! - The same sources give the same bytes, whatever the time, machine, user, umask and order of the entries. Only the
//!   files' bytes, and whether their owner may execute them, are taken from this machine. Another version of zlib-rs
//!   (see `Cargo.lock`) may compress to other blobs, but the diff ids, which name the uncompressed contents, stay.
//! - Memory does not grow with the image: files are read, hashed (both digests) and compressed in one pass.
//! - A layout is complete or absent. A killed build leaves only a hidden `.image-*` beside it. Layouts are not synced
//!   to disk: they can be built again.
//! - A name in a registry points to an image only once all its blobs are there, and the registry's digest equals the
//!   one built here.
//!
//! # Refuses
//! - Paths with `.`, `..`, NUL or a whiteout's name; the same path twice; a path below a file or a link; links that
//!   lead above the image's root. An absolute link is relative to the image's root. In a tree, absolute links and
//!   links that lead out of the tree are refused, because they point into this machine.
//! - Devices, sockets and pipes; names that are not UTF-8; files that change while they are read.
//! - An image that cannot start: its program is missing, is for another processor, or needs a loader that no layer
//!   has. Also a volume whose directory no layer has: the runtime would create it for root only.
//! - Plain HTTP to other machines, unless the caller asks for it. Credentials are sent to the registry and to its token
//!   service only, which must use HTTPS too.
//!
//! # Rejected designs
//! - The `oci-client` crate: it brings twenty-two more crates (one is a second time library, which `deny.toml` bans)
//!   and holds whole layers in memory. A push needs only four requests and a token.
//! - `tar::Builder`: it writes long paths in GNU's format, and pads a file that shrinks while it is read.
//! - Recording extended attributes, sub-second times or user names: they differ from machine to machine.
//! - Compressing several layers in parallel: a server may be running on this machine, and needs the other cores.
//! - Writing into an existing layout directory: files that another build left there would be shipped too.
#![forbid(unsafe_code)]

mod access;
mod challenge;
mod digest;
mod entry;
mod error;
mod layer;
mod layout;
mod manifest;
mod meter;
mod program;
mod reference;
mod registry;
mod scaffold;
mod session;
mod spec;
mod stack;
mod tarball;
mod tree;

pub use access::{Credentials, Transport};
pub use digest::Digest;
pub use entry::{Content, Entry, Owner};
pub use error::OciError;
pub use layer::{Compression, Layer};
pub use layout::{Layout, write_layout};
pub use manifest::Descriptor;
pub use meter::Meter;
pub use program::{Architecture, Program};
pub use reference::Reference;
pub use registry::{Pushed, Registry};
pub use scaffold::{MATTERMOST, scaffold};
pub use spec::{Healthcheck, ImageSpec, Protocol};
pub use tree::tree;

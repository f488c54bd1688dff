//! Container images without a daemon and without a base image.
//!
//! [`Entry`]s (what [`scaffold`] and [`tree()`] give, and one's own) become [`Layer`]s; [`write_layout`] makes an image
//! of them; a [`Layout`] is pushed by a [`Registry`] or written as one archive for `docker load`.
//!
//! # Promises
//! - The same sources give the same bytes, whoever builds, when, where, under which umask, in which order: nothing
//!   of this machine but the files' bytes and whether their owner may execute them goes into an image. The
//!   compressed bytes are those of the zlib-rs in `Cargo.lock`; another version may give other blobs, but the diff
//!   ids, which name the contents, stay.
//! - Memory does not grow with the image: files are read, hashed (both digests) and compressed in one pass.
//! - A layout is whole or not there; what a killed build leaves is a hidden `.image-*` beside it. It is not synced:
//!   it can be built again.
//! - A registry's name points to an image only after all of it is there, and the digest is the one built here.
//!
//! # Refuses
//! - Paths with `.`, `..`, NUL or a whiteout's name; a path twice; a path below a file or a link; links that climb
//!   above the image's root. An absolute link means the image's root; in a tree, where it would mean this machine,
//!   it is refused, as is one that leads out of the tree.
//! - Devices, sockets, pipes; names that are not UTF-8; files that change while they are read.
//! - An image that could not start: no such program, another processor's, or one whose loader no layer has. And a
//!   volume that no layer has as a directory: the runtime would make it, for root only.
//! - Plain HTTP to other machines, unless it is asked for. Credentials go to the registry and to the token service
//!   it names, which must be HTTPS too.
//!
//! # Rejected designs
//! - The `oci-client` crate: twenty-two more crates (a second time library among them, which `deny.toml` bans),
//!   and it holds whole layers in memory. What a push needs is four requests and a token.
//! - `tar::Builder`: it names long paths in GNU's way, and pads a file that shrinks to what was announced.
//! - Recording extended attributes, sub-second times or user names: they differ from machine to machine.
//! - Several layers compressed at once: two cores are better kept for the server that may be running here.
//! - A rewritten layout directory: what another build left there would be shipped with it.
#![forbid(unsafe_code)]

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

pub use digest::Digest;
pub use entry::{Content, Entry, Owner};
pub use error::OciError;
pub use layer::{Compression, Layer};
pub use layout::{Layout, write_layout};
pub use manifest::Descriptor;
pub use meter::Meter;
pub use program::{Architecture, Program};
pub use reference::Reference;
pub use registry::{Credentials, Pushed, Registry, Transport};
pub use scaffold::{MATTERMOST, scaffold};
pub use spec::{Healthcheck, ImageSpec, Protocol};
pub use tree::tree;

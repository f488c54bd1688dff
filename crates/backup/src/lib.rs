//! Backups of a deployment in a repository of restic's format: written, listed, checked, thinned out, restored.
//!
//! A [`Repository`] lies in a [`Store`] (a directory here; object storage in a crate of its own) and is opened with a [`Key`]. A
//! [`Set`] is what one snapshot holds: the dump of a database first, the files after it, and a [`Manifest`] that says what they
//! are. [`Repository::write`] takes it; [`Repository::restore`] writes it back; [`Repository::check`] proves what is there, and
//! [`Repository::repair`] makes one that has lost parts fit for new snapshots.
//!
//! # Promises
//! - **A snapshot is whole, or it does not exist.** A dump that fails, a file that cannot be read, a full disk, a kill: none of
//!   them leaves a snapshot that anybody could restore. A snapshot is named complete only after every part of it was read to its
//!   end, and only [`Repository::snapshots`] that are complete are shown.
//! - **Every row has its file**: the files are listed after the dump has ended. A file that changes while it is read is read again.
//! - **restic reads it**: `restic check`, `restic restore` and `rustic` work on the repository with the same key.
//! - One writer at a time, on however many hosts: [`Writer`]. A lock that was left says whose it was.
//! - What is written under its name is complete and on the disk: packs, indexes and snapshots are written beside and renamed.
//! - No key is shown, logged or put into an error.
//!
//! # Refuses
//! - To know what a deployment is: the caller says which files, which dump, and what the manifest holds.
//! - To take an error as a warning. The engine drops a file that it cannot read and goes on; here the snapshot is dropped.
//! - To restore a snapshot that is not complete.
//!
//! # Rejected designs
//! - *A format of our own*: nobody could restore without us. restic's is documented, and two programs read it.
//! - *The engine's own backends*: the local one writes files in place, so that a kill leaves half a pack under its final name;
//!   the remote ones bring two dozen services.
//! - *The engine's command for dumps*: it saves the snapshot before it looks at the command's exit status.
//! - *A dump as one file*: its size is known only at its end, and a file of unknown size is restored empty by some versions of
//!   restic. A dump is a directory of pieces, cut where its content says so: an inserted row changes one piece.
//! - *Custom and compressed dump formats*: nothing in them is the same twice, so that nothing is deduplicated.
#![forbid(unsafe_code)]

mod error;
mod holder;
mod key;
mod key_file;
mod lock;
mod manifest;
mod parallel;
mod pieces;
mod repository;
mod set;
mod source;
mod store;
mod watch;

pub use error::Error;
pub use holder::Holder;
pub use key::Key;
pub use lock::Writer;
pub use manifest::{DatabaseDump, FORMAT, Manifest, ReleaseName};
pub use repository::{
    Checked, Compared, Fault, Keep, Lost, Pruned, Repaired, Repository, Restored, Retained, Snapshot, Written,
};
pub use set::{Content, Counted, Dump, Part, Set};
pub use store::{Directory, Entry, Limited, Store, StoreError};
pub use watch::{Silent, Watch};

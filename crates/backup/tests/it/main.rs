//! Backups against a real file system, and against restic.
#![allow(missing_docs, clippy::unwrap_used)]
mod damage;
mod place;
mod repair;
mod restic;
mod snapshot;

//! Real servers for tests, databases, a Docker daemon and a registry: made in a moment, thrown away with the test executable, however that ends.
//!
//! It promises that no server, directory or process stays behind, also after `kill -9`, and that servers of several
//! executables never meet. It refuses to skip: a program that is missing fails the test and says which package has it.
//!
//! Rejected designs: servers of the machine (their data is somebody's), containers (a daemon for a process), and a pure
//! in-memory stand-in (what differs is what the tests are for).
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

pub mod certificate;
pub mod child;
pub mod docker;
pub mod postgres;
pub mod registry;

use std::time::Duration;

/// Enough for a machine under load; nothing waits for it to pass.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A server_version_num that every server has.
pub const ANY_VERSION: u32 = 90_000;

//! Real servers for tests: databases, a Docker daemon and a registry of images. They start quickly, and end with the test
//! executable, however that ends.
//!
//! It promises that no server, directory or process is left behind, even after `kill -9`, and that the servers of several
//! executables do not get in each other's way. It skips nothing: if a program is missing, the test fails and names the
//! package that has it.
//!
//! Rejected designs: servers that run on the machine already (their data is not ours), containers (they need a daemon
//! where a process is enough), and fakes in memory (the tests are there for what a fake does differently).
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

pub mod certificate;
pub mod child;
pub mod docker;
pub mod mail_server;
pub mod pgbouncer;
pub mod postgres;
pub mod registry;
pub mod release_site;
pub mod signing_key;

use std::time::Duration;

/// Enough for a machine under load. Reached only if something hangs.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A `server_version_num` that is lower than any server's.
pub const ANY_VERSION: u32 = 90_000;

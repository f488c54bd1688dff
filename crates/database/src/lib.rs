//! Databases on PostgreSQL, MySQL and MariaDB: reached, understood, created. Their addresses are in `dsn`.
//!
//! [`probe`] logs in and says what is there or why it cannot be used; [`wait_ready`] does so
//! until the server is up. [`contents`] says whose tables are in it. [`script`] is the SQL that creates user and database,
//! [`create`] runs it, [`discard`] takes it back; [`set_aside`] empties a database without losing anything.
//!
//! # Promises
//! - No password is shown, logged or put into an error, ours or the server's; statements are not logged.
//! - Every [`Failure`] has what was seen, the likely cause and the way out. Waiting is done only for what may pass by it.
//! - Everything ends: each call takes the time it may use.
//! - [`create`] changes nothing that was there: no password, no owner. It can be run again after a crash.
//! - [`discard`] drops only what was made by us and is empty; nothing else drops anything.
//!
//! # Refuses
//! - To guess between a wrong password and an unknown user where the server will not say.
//! - Passwords in the clear to MySQL's `caching_sha2_password`: TLS is on by default there, and a public-key exchange
//!   that nobody verifies protects from nobody.
//!
//! # Rejected designs
//! - A connection test before the login, to tell a closed port from a closed door: MySQL counts it as a broken login
//!   and blocks the host after a hundred.
//! - Reading the servers' messages: they are in the server's language. Codes, and PostgreSQL's name of the routine, are not.
//! - `pg_isready` and `mysqladmin` as children: they would have to be installed, and say less.
#![forbid(unsafe_code)]

mod aside;
mod connect;
mod contents;
mod create;
mod discard;
mod failure;
mod probe;
mod quote;
mod reason;
mod version;

pub use aside::set_aside;
pub use connect::postgres_options;
pub use contents::{Contents, Schema, contents};
pub use create::{CreateError, Created, Made, create, script};
pub use discard::{Lacking, discard, lacking};
pub use failure::Failure;
pub use finding::{CertificateFlaw, Finding, Unreached};
pub use probe::{Facts, Waiting, Warning, probe, wait_ready};
pub use quote::NameError;
pub use reason::Reason;
pub use version::{Product, Version};

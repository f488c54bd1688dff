//! Databases on PostgreSQL, MySQL and MariaDB: reached, understood, created. Their addresses are in `dsn`.
//!
//! [`probe`] logs in and reports what the database is, or why it cannot be used; [`wait_ready`] repeats that until the server is
//! up. [`contents`] reports whose tables are in it. [`script`] is the SQL that creates a user and a database, [`create`] runs it,
//! [`discard`] drops what it created; [`set_aside`] empties a database without deleting anything. [`others`] says who else uses one.
//! [`activity`] is what a database is busy with; a [`Watcher`] sees what a migration does and whom it waits for. [`catalogue()`] is the
//! shape of a database, for a comparison, and [`counted()`] its rows, as far as they can be counted in a given time. [`cluster`] is a
//! PostgreSQL that Mainstay runs itself. [`dump`] takes a database as it is at one moment, an SQLite file too. [`transfer`] moves the rows
//! of SQLite, MySQL and MariaDB into PostgreSQL.
//!
//! # Promises
//! - No password is shown, logged or put into an error message; statements are not logged.
//! - Every [`Failure`] says what was seen, the likely cause and the fix. [`wait_ready`] waits only where waiting may help.
//! - Every call ends within its time limit.
//! - [`create`] does not change what exists: no password, no owner. It can be run again after a crash.
//! - [`discard`] drops only what [`create`] has created and what is still empty; nothing else drops anything.
//!
//! # Refuses
//! - To guess between a wrong password and an unknown user where the server does not say.
//! - To send a password for MySQL's `caching_sha2_password` without TLS: TLS is on by default there, and the exchange of an
//!   unverified public key does not protect it.
//!
//! # Rejected designs
//! - A connection test before the login: MySQL counts it as a failed login, and blocks the host after a hundred.
//! - Reading the servers' messages: they are in the server's language. Codes, and PostgreSQL's name of the routine, are not.
//! - Running `pg_isready` and `mysqladmin`: they would have to be installed, and report less.
#![forbid(unsafe_code)]

mod activity;
mod aside;
mod aside_mysql;
mod catalogue;
mod channels;
pub mod cluster;
mod connect;
mod contents;
mod counts;
mod create;
mod discard;
pub mod dump;
mod failure;
mod files;
mod mark;
mod obstacle;
mod others;
mod pooler;
mod posts;
mod probe;
mod quote;
mod reason;
mod since;
mod tables;
pub mod transfer;
mod version;
mod watcher;

pub use activity::{Activity, DeadRows, Slow, Statements, activity, answers};
pub use aside::{bring_back, obstacle_aside, set_aside};
pub use catalogue::{Catalogue, Changed, SchemaDifference, Table, catalogue};
pub use channels::channels;
pub use connect::postgres_options;
pub use contents::{Contents, Schema, contents};
pub use counts::{Counted, counted};
pub use create::{CreateError, Created, Made, create, script};
pub use discard::{Lacking, discard, lacking};
pub use failure::Failure;
pub use files::{FileRow, file_rows};
pub use finding::{CertificateFlaw, Finding, Unreached};
pub use mark::{DEPLOYMENT, mark};
pub use obstacle::{ASIDE, Obstacle};
pub use others::others;
pub use posts::{PostTimes, post_times};
pub use probe::{ConnectionLimit, Facts, Limited, Waiting, Warning, probe, wait_ready};
pub use quote::NameError;
pub use reason::Reason;
pub use since::{Since, since};
pub use version::{Product, Version};
pub use watcher::{Held, Holder, Longest, Session, Snapshot, Waits, Watcher};

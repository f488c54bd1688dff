//! Dumps: what is in a database at one moment, as a stream or a file, with its rows counted; and back into an empty database.
//!
//! [`begin`] looks at the database and begins its dump: a [`Stream`] of SQL from a server, a [`Copy`] of an SQLite file. [`load`] takes
//! such a stream into an empty database. [`rows`] counts what is in a database, for a comparison.
//!
//! # Promises
//! - A dump is one moment of the database. Writers go on meanwhile.
//! - Rows are counted in what was dumped.
//! - What is loaded is whole, or the load fails. On PostgreSQL nothing is in the database then.
//! - No password is among a program's arguments.
//! - Nothing outlives a dump that is dropped: no program, no file, no transaction.
mod child;
mod credentials;
mod error;
mod load;
mod mysql;
mod mysql_text;
pub(crate) mod postgres;
pub(crate) mod postgres_text;
mod programs;
pub(crate) mod sqlite;
mod stream;
mod text;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dsn::{DataSource, Engine, Server};

pub use child::Stopper;
pub use error::Error;
pub use load::Load;
pub use sqlite::Copy;
pub use stream::Stream;

/// Rows by table. On PostgreSQL the name of a table that is not in `public` has its schema before it.
pub type Rows = BTreeMap<String, u64>;

/// What a dump needs besides the address.
#[derive(Debug, Clone, Copy)]
pub struct Means<'a> {
    /// A directory that nobody else may read: for the copy of an SQLite file, and for files with a password.
    pub scratch: &'a Path,
    /// Where programs are looked for after the places that distributions have for them, as `PATH` names them.
    pub path: &'a str,
    /// A directory with PostgreSQL's programs that comes first.
    pub bin: Option<&'a Path>,
    /// How long one question to the database may take. A dump itself takes the time that it takes.
    pub limit: Duration,
}

/// A dump that has begun.
#[derive(Debug)]
pub struct Dump {
    /// `sqlite`, `postgres` or `mysql`.
    pub engine: &'static str,
    /// The version of the database server, or of SQLite.
    pub server: String,
    /// The newest migration in `db_migrations`, if there is such a table.
    pub migration: Option<i64>,
    /// Tables that may be dumped as they are at another moment, because their storage engine (MyISAM) knows no transactions.
    pub apart: Vec<String>,
    /// The dump itself.
    pub content: Content,
}

impl Dump {
    /// Ends the dump from another thread, where there is something left to end.
    pub fn stopper(&self) -> Option<Stopper> {
        match &self.content {
            Content::Stream(stream) => Some(stream.stopper()),
            Content::File(_) => None,
        }
    }
}

/// What a dump is.
#[derive(Debug)]
pub enum Content {
    /// SQL, whose rows are counted while it is read.
    Stream(Box<Stream>),
    /// A file that is as the database was at one moment. Its rows are counted already.
    File(Copy),
}

/// Begins the dump of a database.
///
/// # Errors
/// Why it cannot be read, or a copy of it cannot be written.
pub async fn begin(source: &DataSource, means: &Means<'_>) -> Result<Dump, Error> {
    match source {
        DataSource::Sqlite(path) => sqlite::begin(path, means).await,
        DataSource::Server(server) => match server.engine {
            Engine::Postgres => postgres::begin(server, means).await,
            Engine::MySql => mysql::begin(server, means).await,
        },
    }
}

/// Begins to load a dump into an empty database.
///
/// # Errors
/// The database is not empty, or cannot be reached; there is no client program for it.
pub async fn load(server: &Server, means: &Means<'_>) -> Result<Load, Error> {
    match server.engine {
        Engine::Postgres => load::postgres(server, means).await,
        Engine::MySql => mysql::load(server, means).await,
    }
}

/// Whether a dump of the server's database can be made and loaded here: its client programs are there, and it can be reached.
///
/// # Errors
/// Why not.
pub async fn check(server: &Server, means: &Means<'_>) -> Result<(), Error> {
    match server.engine {
        Engine::Postgres => postgres::check(server, means).await,
        Engine::MySql => mysql::check(server, means).await,
    }
}

/// Counts the rows of every table at one moment.
///
/// # Errors
/// Why the database cannot be read.
pub async fn rows(source: &DataSource, limit: Duration) -> Result<Rows, Error> {
    match source {
        DataSource::Sqlite(path) => sqlite::rows(path, limit).await,
        DataSource::Server(server) => match server.engine {
            Engine::Postgres => postgres::rows(server, limit).await,
            Engine::MySql => mysql::rows(server, limit).await,
        },
    }
}

/// A file that is removed when this is dropped.
#[derive(Debug)]
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.0.display(), %error, "a file of a dump was left");
        }
    }
}

//! Opening the database, and bringing its schema up to date.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Executor, SqliteConnection};
use tokio::task::JoinHandle;

use super::{Caches, Store, Writer, roles, systems};
use crate::error::ServerError;

const SCHEMA: &str = include_str!("schema.sqlite.sql");

/// Read connections. Reads are short; more would only compete for the same cores.
const READERS: u32 = 4;

/// Creates what is missing of the schema and of the rows that a server starts with.
pub(crate) async fn migrate(path: &Path) -> Result<(), ServerError> {
    let mut connection = connect(path, true).await?;
    let result = async {
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        (&mut *transaction).execute(SCHEMA).await?;
        roles::insert_defaults(&mut transaction).await?;
        systems::insert_defaults(&mut transaction).await?;
        transaction.commit().await?;
        check(path, &mut connection).await?;
        connection.close().await
    };
    result.await.map_err(|error| unusable(path, &error))
}

impl Store {
    /// Opens the database at `path`, which [`migrate`] made. The handle ends when all was written after the last
    /// store is gone.
    pub(crate) async fn open(path: &Path) -> Result<(Store, JoinHandle<()>), ServerError> {
        let connection = connect(path, false).await?;
        let options = options(path, false).read_only(true);
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_with(options)
            .await
            .map_err(|error| unusable(path, &error))?;
        let caches = Arc::new(Caches::new());
        let (writer, ended) = Writer::start(connection, {
            let caches = Arc::clone(&caches);
            move |touched| caches.forget(touched)
        });
        Ok((Store { writer, readers, caches }, ended))
    }
}

fn options(path: &Path, create: bool) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(create)
        .journal_mode(SqliteJournalMode::Wal)
        // Every commit reaches the disk before it is answered.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(10))
        .foreign_keys(false)
        .statement_cache_capacity(200)
        .disable_statement_logging()
}

async fn connect(path: &Path, create: bool) -> Result<SqliteConnection, ServerError> {
    if let Some(directory) = path.parent().filter(|directory| create && !directory.as_os_str().is_empty()) {
        std::fs::create_dir_all(directory)
            .map_err(|reason| ServerError::Directory { path: directory.to_owned(), reason })?;
    }
    options(path, create).connect().await.map_err(|error| unusable(path, &error))
}

/// Databases up to this size, in bytes, are read through at the start.
const CHECKED: u64 = 64 << 20;

/// Looks for damage, so that it is found at the start and not at midnight; not in a large database, which would keep
/// everybody waiting.
async fn check(path: &Path, connection: &mut SqliteConnection) -> sqlx::Result<()> {
    if std::fs::metadata(path).is_ok_and(|file| file.len() > CHECKED) {
        return Ok(());
    }
    let verdict: String = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(connection).await?;
    if verdict == "ok" { Ok(()) } else { Err(sqlx::Error::Protocol(verdict)) }
}

fn unusable(path: &Path, error: &sqlx::Error) -> ServerError {
    let reason = match error {
        sqlx::Error::Database(cause) => cause.message().to_owned(),
        other => other.to_string(),
    };
    let damaged =
        ["malformed", "not a database", "***", "disk image"].iter().any(|word| reason.contains(word));
    let way_out = if damaged {
        "It is damaged: move it aside and restore a backup; what is left can be read with `sqlite3 FILE .recover`"
    } else {
        "Check that its directory exists, that the server's user may write to it, and that the disk is not full"
    };
    ServerError::Database { path: path.to_owned(), reason, way_out: way_out.to_owned() }
}

//! The SQLite file.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, SqliteConnection};

use super::create_missing;
use crate::error::ServerError;
use crate::store::sql::{Connection, query};

const INDEXES: &str = include_str!("indexes.sqlite.sql");

/// Read connections. Reads are short; more would only compete for the same cores.
const READERS: u32 = 4;

pub(super) async fn migrate(path: &Path) -> Result<(), ServerError> {
    let connection = Connection::Sqlite(connect(path, true).await?);
    let result = async {
        let mut connection = create_missing(connection, "BEGIN IMMEDIATE", INDEXES).await?;
        check(path, &mut connection).await?;
        connection.close().await
    };
    result.await.map_err(|error| unusable(path, &error))
}

pub(super) async fn readers(path: &Path) -> Result<SqlitePool, ServerError> {
    SqlitePoolOptions::new()
        .max_connections(READERS)
        .connect_with(options(path, false).read_only(true))
        .await
        .map_err(|error| unusable(path, &error))
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

pub(super) async fn connect(path: &Path, create: bool) -> Result<SqliteConnection, ServerError> {
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
async fn check(path: &Path, connection: &mut Connection) -> sqlx::Result<()> {
    if std::fs::metadata(path).is_ok_and(|file| file.len() > CHECKED) {
        return Ok(());
    }
    let verdict: String = query("PRAGMA quick_check(1)").fetch_one(connection).await?;
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
    ServerError::Database { database: path.display().to_string(), reason, way_out: way_out.to_owned() }
}

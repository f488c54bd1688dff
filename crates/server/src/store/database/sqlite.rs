//! Opening the SQLite file.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, SqliteConnection};

use crate::failure::ServerError;

/// The number of connections for reading. Reads are short, so more would only compete for the same cores.
const READERS: u32 = 4;

pub(in crate::store) async fn readers(path: &Path) -> Result<SqlitePool, ServerError> {
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
        // A commit returns only when it is on disk.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(10))
        .foreign_keys(false)
        .statement_cache_capacity(200)
        .disable_statement_logging()
}

pub(in crate::store) async fn connect(path: &Path, create: bool) -> Result<SqliteConnection, ServerError> {
    if let Some(directory) = path.parent().filter(|directory| create && !directory.as_os_str().is_empty()) {
        std::fs::create_dir_all(directory)
            .map_err(|reason| ServerError::Directory { path: directory.to_owned(), reason })?;
    }
    options(path, create).connect().await.map_err(|error| unusable(path, &error))
}

/// An error of this file, with a hint.
pub(in crate::store) fn unusable(path: &Path, error: &sqlx::Error) -> ServerError {
    let reason = match error {
        sqlx::Error::Database(cause) => cause.message().to_owned(),
        other => other.to_string(),
    };
    let damaged =
        ["malformed", "not a database", "***", "disk image"].iter().any(|word| reason.contains(word));
    let hint = if damaged {
        "It is damaged: move it aside and restore a backup; what is left can be read with `sqlite3 FILE .recover`"
    } else {
        "Check that its directory exists, that the server's user may write to it, and that the disk is not full"
    };
    ServerError::Database { database: path.display().to_string(), reason, hint: hint.to_owned() }
}

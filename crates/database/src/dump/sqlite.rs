//! A copy of an SQLite file as it was at one moment, while others write to it.
//!
//! `vacuum into` reads in one transaction: with a write-ahead log no writer waits for it. A thread of its own does it, because a
//! statement of SQLite goes on when its future is dropped.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use tokio::sync::oneshot;

use super::{Content, Dump, Error, Means, Rows, Scratch};

/// The copy's name in the directory that the caller gives.
const COPY: &str = "mattermost.db";

/// After so many of SQLite's instructions a statement looks whether it is to end.
const INSTRUCTIONS: i32 = 10_000;

/// A consistent, checked copy of an SQLite file. It is removed when this is dropped.
#[derive(Debug)]
pub struct Copy {
    file: Scratch,
    rows: Rows,
}

impl Copy {
    /// Where the copy lies.
    pub fn path(&self) -> &Path {
        &self.file.0
    }

    /// Rows by table, counted in the copy.
    pub fn rows(&self) -> &Rows {
        &self.rows
    }
}

/// What is known of a copy.
struct Copied {
    version: String,
    migration: Option<i64>,
    rows: Rows,
}

pub(super) async fn begin(path: &Path, means: &Means<'_>) -> Result<Dump, Error> {
    let to = means.scratch.join(COPY);
    match std::fs::remove_file(&to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(Error::file("replace", &to, &error));
        }
        _ => {}
    }
    // SQLite fills an empty file, and leaves its mode as it is.
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&to);
    made.map_err(|error| Error::file("write", &to, &error))?;
    let file = Scratch(to.clone());
    let Copied { version, migration, rows } = copied(path.to_owned(), to, means.limit).await?;
    let content = Content::File(Copy { file, rows });
    Ok(Dump { engine: "sqlite", server: version, migration, apart: Vec::new(), content })
}

/// A thread that is told to end, and waited for, when this is dropped.
struct Thread {
    ends: Arc<AtomicBool>,
    handle: Option<JoinHandle<()>>,
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(Err(panic)) = self.handle.take().map(JoinHandle::join) {
            std::panic::resume_unwind(panic);
        }
    }
}

async fn copied(path: PathBuf, to: PathBuf, limit: Duration) -> Result<Copied, Error> {
    let ends = Arc::new(AtomicBool::new(false));
    let (answer, answered) = oneshot::channel();
    let ended = Arc::clone(&ends);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::Ended(error.to_string()))?;
    let work = move || {
        let _ = answer.send(runtime.block_on(copy(&path, &to, limit, ended)));
    };
    let handle = std::thread::Builder::new().name("sqlite copy".to_owned()).spawn(work);
    let handle = handle.map_err(|error| Error::Ended(error.to_string()))?;
    let _thread = Thread { ends, handle: Some(handle) };
    answered.await.unwrap_or_else(|_| Err(Error::Ended("its thread ended without an answer".to_owned())))
}

async fn copy(path: &Path, to: &Path, limit: Duration, ends: Arc<AtomicBool>) -> Result<Copied, Error> {
    let reads = |error: sqlx::Error| unreadable(path, &error);
    let mut source = open(path, limit).await.map_err(reads)?;
    watch(&mut source, Arc::clone(&ends)).await.map_err(reads)?;
    let text = to.to_str().ok_or_else(|| {
        let why = "its path is not UTF-8; choose another directory".to_owned();
        Error::File { action: "write", path: to.to_owned(), why }
    })?;
    let sql = format!("vacuum main into '{}'", text.replace('\'', "''"));
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(&mut source)
        .await
        .map_err(|error| uncopied(path, to, &error))?;
    close(source).await;

    // Nobody else has the copy: no journal beside it, and no waiting.
    let reads = |error: sqlx::Error| unreadable(to, &error);
    let mut copy = open(to, limit).await.map_err(reads)?;
    watch(&mut copy, ends).await.map_err(reads)?;
    let found: Vec<String> =
        sqlx::query_scalar("pragma integrity_check(1)").fetch_all(&mut copy).await.map_err(reads)?;
    if found != ["ok"] {
        return Err(Error::Damaged { path: path.to_owned(), why: finding::one_line(&found.join(" "), 300) });
    }
    let version = sqlx::query_scalar("select sqlite_version()").fetch_one(&mut copy).await.map_err(reads)?;
    let rows = counted(&mut copy).await.map_err(reads)?;
    let migration = match rows.keys().find(|name| name.eq_ignore_ascii_case("db_migrations")) {
        None => None,
        Some(_) => sqlx::query_scalar("select max(version) from db_migrations")
            .fetch_one(&mut copy)
            .await
            .map_err(reads)?,
    };
    close(copy).await;
    Ok(Copied { version, migration, rows })
}

/// The statement for the names of all tables. What a virtual table keeps in tables of its own, such as an index of texts, is
/// not among them: it changes by itself.
pub(crate) const TABLES: &str = "select name from pragma_table_list
    where schema = 'main' and type = 'table' and name not like 'sqlite\\_%' escape '\\' order by 1";

/// Counts the rows of every table.
pub(super) async fn rows(path: &Path, limit: Duration) -> Result<Rows, Error> {
    let reads = |error: sqlx::Error| unreadable(path, &error);
    let mut connection = open(path, limit).await.map_err(reads)?;
    let rows = counted(&mut connection).await.map_err(reads);
    close(connection).await;
    rows
}

/// In one transaction.
async fn counted(connection: &mut SqliteConnection) -> sqlx::Result<Rows> {
    let mut transaction = connection.begin().await?;
    let tables = TABLES;
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut *transaction).await?;
    let mut rows = Rows::new();
    for name in tables {
        let sql = format!("select count(*) from \"{}\"", name.replace('"', "\"\""));
        let count: i64 = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut *transaction).await?;
        rows.insert(name, count.unsigned_abs());
    }
    transaction.rollback().await?;
    Ok(rows)
}

/// Opens a file that is there. Nothing is written to it, yet it is opened for writing where that is allowed: a reader that closes a
/// file last leaves its write-ahead log beside it.
pub(crate) async fn open(path: &Path, limit: Duration) -> sqlx::Result<SqliteConnection> {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .busy_timeout(limit)
        .disable_statement_logging()
        .connect()
        .await
}

/// Lets a statement end as soon as `ends` says so.
async fn watch(connection: &mut SqliteConnection, ends: Arc<AtomicBool>) -> sqlx::Result<()> {
    connection.lock_handle().await?.set_progress_handler(INSTRUCTIONS, move || !ends.load(Ordering::Relaxed));
    Ok(())
}

pub(crate) async fn close(connection: SqliteConnection) {
    if let Err(error) = connection.close().await {
        tracing::debug!(%error, "closing an SQLite file");
    }
}

fn code(error: &sqlx::Error) -> Option<i32> {
    let sqlx::Error::Database(error) = error else { return None };
    // The extended codes have the simple one in their lowest byte.
    error.code()?.parse::<i32>().ok().map(|code| code & 0xff)
}

fn words(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        other => other.to_string(),
    }
}

/// From SQLite's result codes (its documentation, `rescode.html`).
pub(crate) fn unreadable(path: &Path, error: &sqlx::Error) -> Error {
    let path = path.to_owned();
    let why = |words: &str| words.to_owned();
    match code(error) {
        // SQLITE_CORRUPT, SQLITE_NOTADB
        Some(11 | 26) => Error::Damaged { path, why: words(error) },
        // SQLITE_BUSY, SQLITE_LOCKED
        Some(5 | 6) => Error::File { action: "read", path, why: why("another program keeps it locked") },
        // SQLITE_CANTOPEN
        Some(14) => match std::fs::File::open(&path) {
            Err(error) => Error::file("read", &path, &error),
            Ok(_) => Error::File { action: "read", path, why: words(error) },
        },
        // SQLITE_IOERR: the disk
        _ => Error::File { action: "read", path, why: words(error) },
    }
}

fn uncopied(path: &Path, to: &Path, error: &sqlx::Error) -> Error {
    match code(error) {
        // SQLITE_FULL
        Some(13) => Error::file("write", to, &io::ErrorKind::StorageFull.into()),
        _ => unreadable(path, error),
    }
}

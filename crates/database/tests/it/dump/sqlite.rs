//! Copies of SQLite files.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use database::dump::{self, Content, Copy, Dump, Error};
use dsn::DataSource;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode};
use sqlx::{ConnectOptions as _, Connection as _};
use testbed::PATIENCE;

use super::means;

/// A file as the built-in server makes it, with an index and some rows.
async fn made(path: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut connection = options.journal_mode(SqliteJournalMode::Wal).connect().await.unwrap();
    let sql = "create table posts (id text primary key, message text, half integer);
               create index posts_message on posts (message);
               create table empty (id text primary key);
               create table db_migrations (version bigint primary key, name text);
               insert into db_migrations values (1, 'first'), (137, 'last');";
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    connection
}

async fn insert(connection: &mut SqliteConnection, number: u32) {
    // A reader sees both halves or none.
    let mut transaction = connection.begin().await.unwrap();
    for half in [0, 1] {
        let id = format!("{number}-{half}");
        let message = format!("it's \u{1f600} number {number} {}", "word ".repeat(200));
        let sql = "insert into posts values (?, ?, ?)";
        sqlx::query(sql).bind(id).bind(message).bind(half).execute(&mut *transaction).await.unwrap();
    }
    transaction.commit().await.unwrap();
}

fn copy(dump: Dump) -> Copy {
    match dump.content {
        Content::File(copy) => copy,
        Content::Stream(_) => panic!("a stream"),
    }
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_copy_is_one_moment_while_others_write() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a 'quoted' name.db");
    let mut connection = made(&path).await;
    for number in 0..1000 {
        insert(&mut connection, number).await;
    }
    let ends = Arc::new(AtomicBool::new(false));
    let writes = {
        let ends = Arc::clone(&ends);
        tokio::spawn(async move {
            let mut number = 1000;
            while !ends.load(Ordering::Relaxed) {
                insert(&mut connection, number).await;
                number += 1;
            }
            connection.close().await.unwrap();
            number
        })
    };
    let scratch = tempfile::tempdir().unwrap();
    let source = DataSource::Sqlite(path);
    for _ in 0..3 {
        let dump = dump::begin(&source, &means(scratch.path())).await.unwrap();
        assert_eq!((dump.engine, dump.migration), ("sqlite", Some(137)));
        assert!(dump.server.starts_with("3."), "{}", dump.server);
        let copy = copy(dump);
        assert_eq!(names(scratch.path()), ["mattermost.db"], "one file, and no journal");
        let rows = copy.rows().clone();
        assert!(rows["posts"] >= 2000 && rows["posts"].is_multiple_of(2), "{rows:?}");
        assert_eq!((rows["empty"], rows["db_migrations"]), (0, 2));
        let moved = directory.path().join("restored.db");
        std::fs::copy(copy.path(), &moved).unwrap();
        assert_eq!(dump::rows(&DataSource::Sqlite(moved), PATIENCE).await.unwrap(), rows);
        drop(copy);
        assert!(names(scratch.path()).is_empty(), "the copy is removed");
    }
    ends.store(true, Ordering::Relaxed);
    let written = writes.await.unwrap();
    assert!(written > 1000, "it wrote meanwhile");
    assert_eq!(dump::rows(&source, PATIENCE).await.unwrap()["posts"], u64::from(written) * 2);
}

#[tokio::test]
async fn nothing_is_left_beside_a_database_that_nobody_has_open() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mattermost.db");
    let mut connection = made(&path).await;
    insert(&mut connection, 1).await;
    connection.close().await.unwrap();
    let before = (names(directory.path()), std::fs::read(&path).unwrap());
    let scratch = tempfile::tempdir().unwrap();
    let dump = dump::begin(&DataSource::Sqlite(path.clone()), &means(scratch.path())).await.unwrap();
    assert_eq!(copy(dump).rows()["posts"], 2);
    assert_eq!((names(directory.path()), std::fs::read(&path).unwrap()), before);
}

#[tokio::test]
async fn a_dropped_copy_ends_and_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mattermost.db");
    let mut connection = made(&path).await;
    let many = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 200000)
                insert into posts select i, hex(randomblob(100)), 0 from n";
    sqlx::raw_sql(many).execute(&mut connection).await.unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let source = DataSource::Sqlite(path);
    let means = means(scratch.path());
    let started = std::time::Instant::now();
    let whole = copy(dump::begin(&source, &means).await.unwrap());
    let whole = (whole, started.elapsed()).1;
    let started = std::time::Instant::now();
    let ended = tokio::time::timeout(whole / 10, dump::begin(&source, &means)).await;
    assert!(ended.is_err(), "it was dropped before its end");
    assert!(started.elapsed() < whole / 2, "{:?} of {whole:?}", started.elapsed());
    assert!(names(scratch.path()).is_empty(), "{:?}", names(scratch.path()));
}

#[tokio::test]
async fn what_is_no_database_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let path = directory.path().join("mattermost.db");
    let source = DataSource::Sqlite(path.clone());
    let missing = dump::begin(&source, &means(scratch.path())).await.unwrap_err();
    assert!(missing.to_string().ends_with("mattermost.db: it does not exist"), "{missing}");
    assert!(!path.exists(), "it was not made");

    std::fs::write(&path, "this is no database, though it is long enough to be one".repeat(100)).unwrap();
    let foreign = dump::begin(&source, &means(scratch.path())).await.unwrap_err();
    assert!(matches!(foreign, Error::Damaged { .. }) && foreign.remedy().is_some(), "{foreign}");
    std::fs::remove_file(&path).unwrap();

    let mut connection = made(&path).await;
    for number in 0..500 {
        insert(&mut connection, number).await;
    }
    connection.close().await.unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    for page in (10..bytes.len() / 4096).step_by(7) {
        bytes[page * 4096..page * 4096 + 100].fill(0xff);
    }
    std::fs::write(&path, bytes).unwrap();
    let damaged = dump::begin(&source, &means(scratch.path())).await.unwrap_err();
    assert!(matches!(damaged, Error::Damaged { .. }), "{damaged}");
    assert!(names(scratch.path()).is_empty(), "no half copy is left");
}

//! Bringing the database's schema up to date.

use std::path::Path;

use database::wait_ready;
use dsn::Server;

use super::database::{Database, postgres, sqlite};
use super::{roles, systems};
use crate::failure::ServerError;
use crate::sql::{Connection, query};

/// Mattermost's tables, in SQL that both engines understand.
const TABLES: &str = include_str!("migration/tables.sql");

/// SQLite's indexes, and the index of the search with what keeps it up to date.
const SQLITE_INDEXES: &str =
    concat!(include_str!("migration/indexes.sqlite.sql"), include_str!("migration/search.sqlite.sql"));
const POSTGRES_INDEXES: &str = include_str!("migration/indexes.postgres.sql");

/// The lock makes servers that start at the same time migrate one after the other. Its number is `mainstay` in ASCII.
const POSTGRES_BEGIN: &str = "begin isolation level read committed read write; \
    select pg_advisory_xact_lock(x'6d61696e73746179'::bigint); \
    set local client_min_messages = warning; \
    do $$ begin \
        if to_regtype('channel_type') is null then create type channel_type as enum ('P', 'G', 'O', 'D'); end if; \
        if to_regtype('team_type') is null then create type team_type as enum ('I', 'O'); end if; \
    end $$";

/// The oldest PostgreSQL that Mattermost 11.6 supports.
const MINIMUM: u32 = 140_000;

/// Creates the missing tables, indexes and initial rows.
pub(crate) async fn migrate(database: &Database) -> Result<(), ServerError> {
    match database {
        Database::Sqlite(path) => migrate_sqlite(path).await,
        Database::Postgres(server, _) => migrate_postgres(server).await,
    }
}

/// Whether [`migrate`] would make a table or an index. Changes nothing, and locks nothing.
pub(crate) async fn is_pending(database: &Database) -> Result<bool, ServerError> {
    let (mut connection, names, indexes) = match database {
        Database::Sqlite(path) if !path.exists() => return Ok(true),
        Database::Sqlite(path) => {
            let connection = Connection::Sqlite(sqlite::connect(path, false).await?);
            (connection, "select name from sqlite_master", SQLITE_INDEXES)
        }
        Database::Postgres(server, _) => {
            let connection = Connection::Postgres(postgres::connect(server).await?);
            (connection, POSTGRES_NAMES, POSTGRES_INDEXES)
        }
    };
    let found = query(names).fetch_all::<String>(&mut connection).await;
    let closed = connection.close().await;
    let found = found.and_then(|found| closed.map(|()| found)).map_err(|error| match database {
        Database::Sqlite(path) => sqlite::unusable(path, &error),
        Database::Postgres(server, _) => postgres::unusable(server, &error),
    })?;
    Ok(made_by(TABLES).chain(made_by(indexes)).any(|name| !found.iter().any(|there| there == name)))
}

/// Every table, index and view of the schema that the server works in.
const POSTGRES_NAMES: &str = "select c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace \
    where n.nspname = current_schema()";

/// The names of what statements make.
fn made_by(statements: &'static str) -> impl Iterator<Item = &'static str> {
    let made = statements.lines().filter_map(|line| {
        let line = line.strip_prefix("create ")?;
        line.split_once(" if not exists ").map(|(_, name)| name)
    });
    made.filter_map(|line| line.split([' ', '(']).next())
}

/// In one transaction, which `begin` opens, creates the missing tables, indexes and initial rows.
async fn create_missing(
    mut connection: Connection,
    begin: &'static str,
    indexes: &'static str,
) -> sqlx::Result<Connection> {
    for statements in [begin, TABLES, indexes] {
        connection.run(statements).await?;
    }
    roles::insert_defaults(&mut connection).await?;
    systems::insert_defaults(&mut connection).await?;
    connection.run("commit").await?;
    Ok(connection)
}

async fn migrate_sqlite(path: &Path) -> Result<(), ServerError> {
    let connection = Connection::Sqlite(sqlite::connect(path, true).await?);
    let result = async {
        let mut connection = create_missing(connection, "begin immediate", SQLITE_INDEXES).await?;
        check(path, &mut connection).await?;
        connection.close().await
    };
    result.await.map_err(|error| sqlite::unusable(path, &error))
}

async fn migrate_postgres(server: &Server) -> Result<(), ServerError> {
    let facts = wait_ready(server, MINIMUM, postgres::connect_timeout(server), |waiting| {
        tracing::warn!(failure = %waiting.failure, "waiting for the database");
    })
    .await?;
    for warning in &facts.warnings {
        tracing::info!(%warning, "the database works, but its setup could be better");
    }
    let connection = Connection::Postgres(postgres::connect(server).await?);
    let created = create_missing(connection, POSTGRES_BEGIN, POSTGRES_INDEXES).await;
    let closed = match created {
        Ok(connection) => connection.close().await,
        Err(error) => Err(error),
    };
    closed.map_err(|error| postgres::unusable(server, &error))
}

/// The largest database that is checked for damage at the start, in bytes.
const CHECKED: u64 = 64 << 20;

/// Checks the database for damage, so that it is found at the start and not while people work. A large database is not
/// checked, because that would delay the start.
async fn check(path: &Path, connection: &mut Connection) -> sqlx::Result<()> {
    if std::fs::metadata(path).is_ok_and(|file| file.len() > CHECKED) {
        return Ok(());
    }
    let verdict: String = query("pragma quick_check(1)").fetch_one(connection).await?;
    if verdict == "ok" { Ok(()) } else { Err(sqlx::Error::Protocol(verdict)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_database_that_has_everything_needs_no_migration() {
        assert!(made_by(TABLES).count() > 20 && made_by(SQLITE_INDEXES).count() > 5);
        for statements in [TABLES, SQLITE_INDEXES, POSTGRES_INDEXES] {
            assert_eq!(made_by(statements).count(), statements.matches("if not exists").count());
        }
        let dir = tempfile::tempdir().expect("a directory");
        let database = Database::Sqlite(dir.path().join("a.db"));
        assert!(is_pending(&database).await.expect("an answer"), "there is no file");
        migrate(&database).await.expect("migrated");
        assert!(!is_pending(&database).await.expect("an answer"));
        let Database::Sqlite(path) = &database else { panic!("a file") };
        let mut connection = Connection::Sqlite(sqlite::connect(path, false).await.expect("a file"));
        connection.run("drop table drafts").await.expect("dropped");
        connection.close().await.expect("closed");
        assert!(is_pending(&database).await.expect("an answer"));
    }

    /// What an earlier version stored, and posts of the same millisecond.
    #[tokio::test]
    async fn posts_from_before_the_index_of_the_search_are_in_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a.db");
        let database = Database::Sqlite(path.clone());
        let mut connection = Connection::Sqlite(sqlite::connect(&path, true).await.expect("a file"));
        connection.run(TABLES).await.expect("the tables of an earlier version");
        let post = "insert into posts (id, createat, deleteat, originalid, message, type, hashtags)";
        for (id, at, deleted, original, kind) in [
            ("a", 7, 0, "", ""),
            ("b", 7, 0, "", ""),
            ("c", 8, 0, "", ""),
            ("gone", 8, 9, "", ""),
            ("former", 8, 0, "a", ""),
            ("joined", 8, 0, "", "system_join_team"),
            ("early", i64::MIN, 0, "", ""),
            ("late", i64::MAX, 0, "", ""),
        ] {
            let values = format!("values ('{id}', {at}, {deleted}, '{original}', 'harbour', '{kind}', '')");
            query(format!("{post} {values}")).execute(&mut connection).await.expect("a post");
        }
        connection.close().await.expect("closed");
        migrate(&database).await.expect("migrated");
        migrate(&database).await.expect("migrated again");
        let mut connection = Connection::Sqlite(sqlite::connect(&path, false).await.expect("a file"));
        let late = format!("{post} values ('d', 7, 0, '', 'harbours', '', '')");
        query(late).execute(&mut connection).await.expect("a post");
        let found = query(
            "select s.postid from mainstaypostsearch f join mainstaysearchedposts s on s.number = f.rowid \
             where mainstaypostsearch match 'harbour' order by f.rowid desc",
        );
        let found: Vec<String> = found.fetch_all(&mut connection).await.expect("an answer");
        assert_eq!(found, ["late", "c", "d", "b", "a", "early"]);
        connection.close().await.expect("closed");
        assert!(!is_pending(&database).await.expect("an answer"));
    }
}

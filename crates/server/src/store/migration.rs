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

const SQLITE_INDEXES: &str = include_str!("migration/indexes.sqlite.sql");
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

//! The database on a PostgreSQL server.

use std::time::Duration;

use database::{Failure, Reason, Server, wait_ready};
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};

use super::create_missing;
use crate::error::ServerError;
use crate::store::sql::Connection;

const INDEXES: &str = include_str!("indexes.postgres.sql");

/// Servers that start at once take turns. The number is ours alone: `mainstay` in ASCII.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; \
    SELECT pg_advisory_xact_lock(x'6d61696e73746179'::bigint); \
    SET LOCAL client_min_messages = warning; \
    DO $$ BEGIN \
        IF to_regtype('channel_type') IS NULL THEN CREATE TYPE channel_type AS ENUM ('P', 'G', 'O', 'D'); END IF; \
        IF to_regtype('team_type') IS NULL THEN CREATE TYPE team_type AS ENUM ('I', 'O'); END IF; \
    END $$";

/// The oldest PostgreSQL that Mattermost 11.6 takes.
const MINIMUM: u32 = 140_000;

/// Read connections: a read waits for the network, not for a core.
const READERS: u32 = 10;

/// How long a request waits for a connection to read with, while the server is away or all are busy.
const ACQUIRE: Duration = Duration::from_secs(5);

/// How long a server that is starting is waited for, and a login may take: `connect_timeout` of the address, in
/// seconds, as Mattermost's own examples write it.
fn patience(server: &Server) -> Duration {
    let given = server.parameters.get("connect_timeout").and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(given.filter(|seconds| *seconds > 0).unwrap_or(10))
}

pub(super) async fn migrate(server: &Server) -> Result<(), ServerError> {
    let facts = wait_ready(server, MINIMUM, patience(server), |waiting| {
        tracing::warn!(failure = %waiting.failure, "waiting for the database");
    })
    .await?;
    for warning in &facts.warnings {
        tracing::info!(%warning, "the database works, and could be better");
    }
    let connection = Connection::Postgres(connect(server).await?);
    let created = create_missing(connection, BEGIN, INDEXES).await;
    let closed = match created {
        Ok(connection) => connection.close().await,
        Err(error) => Err(error),
    };
    closed.map_err(|error| unusable(server, &error))
}

pub(super) async fn connect(server: &Server) -> Result<PgConnection, ServerError> {
    let options = options(server).await?;
    let patience = patience(server);
    match tokio::time::timeout(patience, options.connect()).await {
        Ok(connected) => connected.map_err(|error| Failure::of(server, &error).into()),
        Err(_) => Err(Failure::new(server, Reason::TimedOut(patience)).into()),
    }
}

pub(super) async fn readers(server: &Server) -> Result<PgPool, ServerError> {
    Ok(PgPoolOptions::new()
        .max_connections(READERS)
        .acquire_timeout(ACQUIRE)
        // A read that meets a lost connection is tried again, which costs less than trying each one before.
        .test_before_acquire(false)
        .connect_lazy_with(options(server).await?))
}

async fn options(server: &Server) -> Result<PgConnectOptions, Failure> {
    let options = database::postgres_options(server).await?;
    Ok(options.application_name("mattermost").statement_cache_capacity(300))
}

fn unusable(server: &Server, error: &sqlx::Error) -> ServerError {
    match error {
        sqlx::Error::Database(cause) => ServerError::Database {
            database: server.to_string(),
            reason: cause.message().to_owned(),
            way_out: "Give this user the database's tables, or a database of its own".to_owned(),
        },
        other => Failure::of(server, other).into(),
    }
}

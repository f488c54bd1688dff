//! The database on a PostgreSQL server.

use std::time::Duration;

use database::{Failure, Reason};
use dsn::Server;
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};

use crate::failure::ServerError;

/// Read connections: a read waits for the network, not for a core.
const READERS: u32 = 10;

/// How long a request waits for a connection to read with, while the server is away or all are busy.
const ACQUIRE: Duration = Duration::from_secs(5);

/// How long a server that is starting is waited for, and a login may take: `connect_timeout` of the address, in
/// seconds, as Mattermost's own examples write it.
pub(in crate::store) fn patience(server: &Server) -> Duration {
    let given = server.parameters.get("connect_timeout").and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(given.filter(|seconds| *seconds > 0).unwrap_or(10))
}

pub(in crate::store) async fn connect(server: &Server) -> Result<PgConnection, ServerError> {
    let options = options(server).await?;
    let patience = patience(server);
    match tokio::time::timeout(patience, options.connect()).await {
        Ok(connected) => connected.map_err(|error| Failure::of(server, &error).into()),
        Err(_) => Err(Failure::new(server, Reason::TimedOut(patience)).into()),
    }
}

pub(in crate::store) async fn readers(server: &Server) -> Result<PgPool, ServerError> {
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

/// A failure of this server, with what to do about it.
pub(in crate::store) fn unusable(server: &Server, error: &sqlx::Error) -> ServerError {
    match error {
        sqlx::Error::Database(cause) => ServerError::Database {
            database: server.to_string(),
            reason: cause.message().to_owned(),
            way_out: "Give this user the database's tables, or a database of its own".to_owned(),
        },
        other => Failure::of(server, other).into(),
    }
}

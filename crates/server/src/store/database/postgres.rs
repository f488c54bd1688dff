//! Connecting to a PostgreSQL server.

use std::time::Duration;

use database::{Failure, Reason};
use dsn::Server;
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};

use crate::failure::ServerError;

/// The number of connections for reading. Reads wait for the network, not for a core.
const READERS: u32 = 10;

/// How long a read waits for a connection if all are busy, or the database server is down.
const ACQUIRE: Duration = Duration::from_secs(5);

/// How long to wait for a starting database server, and for a login: `connect_timeout` of the address, in seconds, as
/// in Mattermost's own examples.
pub(in crate::store) fn connect_timeout(server: &Server) -> Duration {
    let given = server.parameters.get("connect_timeout").and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(given.filter(|seconds| *seconds > 0).unwrap_or(10))
}

pub(in crate::store) async fn connect(server: &Server) -> Result<PgConnection, ServerError> {
    let options = options(server).await?;
    let connect_timeout = connect_timeout(server);
    match tokio::time::timeout(connect_timeout, options.connect()).await {
        Ok(connected) => connected.map_err(|error| Failure::of(server, &error).into()),
        Err(_) => Err(Failure::new(server, Reason::timed_out(connect_timeout)).into()),
    }
}

pub(in crate::store) async fn readers(server: &Server) -> Result<PgPool, ServerError> {
    Ok(PgPoolOptions::new()
        .max_connections(READERS)
        .acquire_timeout(ACQUIRE)
        // A read on a lost connection is tried again, which costs less than testing every connection before its use.
        .test_before_acquire(false)
        .connect_lazy_with(options(server).await?))
}

async fn options(server: &Server) -> Result<PgConnectOptions, Failure> {
    let options = database::postgres_options(server).await?;
    Ok(options.application_name("mattermost").statement_cache_capacity(300))
}

/// An error of this database server, with a hint.
pub(in crate::store) fn unusable(server: &Server, error: &sqlx::Error) -> ServerError {
    match error {
        sqlx::Error::Database(cause) => ServerError::Database {
            database: server.to_string(),
            reason: cause.message().to_owned(),
            hint: "Give this user the database's tables, or a database of its own".to_owned(),
        },
        other => Failure::of(server, other).into(),
    }
}

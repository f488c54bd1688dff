//! Connecting to a PostgreSQL server.

use std::time::Duration;

use database::{Failure, Reason};
use dsn::Server;
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};

use crate::config::Sql;
use crate::failure::ServerError;

/// The most connections for reading. Reads wait for the network, not for a core.
const READERS: u32 = 10;

/// How long a connection stays idle that `SqlSettings.MaxIdleConns` does not allow to stay.
const SURPLUS: Duration = Duration::from_secs(1);

/// How many connections there may be, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// For reading. One more writes.
    readers: u32,
    /// Ends a connection of any age; none if it may live for ever.
    pub(in crate::store) lifetime: Option<Duration>,
    idle: Option<Duration>,
}

impl Limits {
    /// The limits of `SqlSettings`. One connection writes, so there are always two at least.
    pub(in crate::store) fn of(settings: &Sql) -> Limits {
        let milliseconds = |number: i64| match u64::try_from(number) {
            Ok(number @ 1..) => Some(Duration::from_millis(number)),
            _ => None,
        };
        let readers = u32::try_from(settings.max_open_conns - 1).unwrap_or(READERS).clamp(1, READERS);
        let may_stay = i64::from(readers) < settings.max_idle_conns;
        Limits {
            readers,
            lifetime: milliseconds(settings.conn_max_lifetime_ms),
            idle: if may_stay { milliseconds(settings.conn_max_idle_time_ms) } else { Some(SURPLUS) },
        }
    }
}

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

pub(in crate::store) async fn readers(server: &Server, limits: &Limits) -> Result<PgPool, ServerError> {
    Ok(PgPoolOptions::new()
        .max_connections(limits.readers)
        .max_lifetime(limits.lifetime)
        .idle_timeout(limits.idle)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_limit_the_connections() {
        let limits = |open, idle, lifetime| {
            let settings = Sql {
                max_open_conns: open,
                max_idle_conns: idle,
                conn_max_lifetime_ms: lifetime,
                ..Sql::default()
            };
            let Limits { readers, idle, lifetime } = Limits::of(&settings);
            (readers + 1, idle, lifetime)
        };
        let (hour, minutes) = (Duration::from_secs(3600), Duration::from_secs(300));
        assert_eq!(limits(100, 50, 3_600_000), (11, Some(minutes), Some(hour)));
        assert_eq!(limits(4, 2, 0), (4, Some(SURPLUS), None));
        assert_eq!(limits(1, 50, 0), (2, Some(minutes), None), "one reads, one writes");
        assert_eq!(limits(i64::MAX, 50, 0).0, 11);
    }
}

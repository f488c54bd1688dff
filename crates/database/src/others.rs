//! Who else uses a database: a server that was not stopped.

use std::time::Duration;

use dsn::Server;
use sqlx::Row as _;

use crate::connect::{Connected, connect};
use crate::failure::Failure;
use crate::reason::Reason;

/// Connections of the same user to the same database, by where they come from.
const POSTGRES: &str = "
    select coalesce(host(client_addr), 'this machine'), count(*)
    from pg_stat_activity
    where datname = current_database() and usename = current_user and pid <> pg_backend_pid()
      and backend_type = 'client backend'
    group by 1 order by 1";
const MYSQL: &str = "
    select substring_index(host, ':', 1), count(*)
    from information_schema.processlist
    where db = database() and user = substring_index(current_user(), '@', 1) and id <> connection_id()
    group by 1 order by 1";

/// Other connections of this user to this database: where they come from, and how many. Behind a pooler they say nothing, because it
/// keeps connections of its own.
///
/// # Errors
/// Why the database cannot be asked.
pub async fn others(server: &Server, limit: Duration) -> Result<Vec<(String, i64)>, Failure> {
    let mut connected = connect(server, limit).await?;
    let asked = tokio::time::timeout(limit, async {
        match &mut connected {
            Connected::Postgres(connection) => {
                let rows = sqlx::query(POSTGRES).persistent(false).fetch_all(connection).await?;
                rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
            }
            Connected::MySql(connection) => {
                let rows = sqlx::query(MYSQL).fetch_all(connection).await?;
                rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
            }
        }
    });
    let found: sqlx::Result<_> = match asked.await {
        Ok(found) => found,
        Err(_) => return Err(Failure::new(server, Reason::timed_out(limit))),
    };
    connected.close().await;
    found.map_err(|error| Failure::of(server, &error))
}

//! Whether a pooler between us and PostgreSQL gives each transaction another session.

use std::time::Duration;

use dsn::Server;
use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use crate::connect::{Connected, connect};

/// How long the second connection may take. It is only there to find out.
const LIMIT: Duration = Duration::from_secs(3);

/// How often both connections are asked. A busy pooler may happen to give them different sessions.
const TRIES: usize = 3;

/// Whether two connections that are open at once are served by the same process of PostgreSQL, which is so behind a pooler in
/// transaction mode and nowhere else. Where a second connection is not to be had, the answer is no.
pub(crate) async fn shares_sessions(server: &Server, first: &mut PgConnection) -> bool {
    let Ok(Connected::Postgres(mut second)) = connect(server, LIMIT).await else { return false };
    let shares = tokio::time::timeout(LIMIT, are_one(first, &mut second)).await;
    Connected::Postgres(second).close().await;
    matches!(shares, Ok(Ok(true)))
}

async fn are_one(first: &mut PgConnection, second: &mut PgConnection) -> sqlx::Result<bool> {
    for _ in 0..TRIES {
        let here = process(first).await?;
        if here == process(second).await? || here != process(first).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The process of PostgreSQL that answers. One message and one answer, which no pooler can tear apart.
async fn process(connection: &mut PgConnection) -> sqlx::Result<String> {
    sqlx::raw_sql("select pg_backend_pid()::text").fetch_one(connection).await?.try_get(0)
}

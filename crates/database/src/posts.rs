//! When the messages that a database has were written.

use std::time::Duration;

use dsn::{DataSource, Server};
use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Connection as _};

use crate::connect::{Connected, connect};
use crate::dump::{self, sqlite};
use crate::failure::Failure;
use crate::quote;
use crate::reason::Reason;
use crate::tables::mysql_tables;

/// What a database says of its messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PostTimes {
    /// When the newest of those was written that were written by `until`, in ms since the epoch; 0 = there is none.
    pub newest: i64,
    /// How many were written after `after`.
    pub later: u64,
    /// How many of those were written by `until`.
    pub between: u64,
}

/// `until` and `after` are in ms since the epoch.
///
/// # Errors
/// Why the database cannot be read.
pub async fn post_times(
    source: &DataSource,
    until: i64,
    after: i64,
    limit: Duration,
) -> Result<PostTimes, dump::Error> {
    let (newest, later, between) = match source {
        DataSource::Sqlite(path) => {
            let fails = |error: sqlx::Error| sqlite::unreadable(path, &error);
            let mut connection = sqlite::open(path, limit).await.map_err(fails)?;
            let sql = AssertSqlSafe(sql("posts", "bigint", until, after));
            let found = sqlx::query_as(sql).fetch_one(&mut connection).await;
            sqlite::close(connection).await;
            found.map_err(fails)?
        }
        DataSource::Server(server) => on_server(server, until, after, limit).await?,
    };
    let count = |count: i64| u64::try_from(count).unwrap_or(0);
    Ok(PostTimes { newest, later: count(later), between: count(between) })
}

type Found = (i64, i64, i64);

fn sql(table: &str, integer: &str, until: i64, after: i64) -> String {
    let count =
        |holds: &str| format!("cast(coalesce(sum(case when {holds} then 1 else 0 end), 0) as {integer})");
    format!(
        "select cast(coalesce(max(case when createat <= {until} then createat end), 0) as {integer}), {}, {} from {table}",
        count(&format!("createat > {after}")),
        count(&format!("createat > {after} and createat <= {until}"))
    )
}

async fn on_server(server: &Server, until: i64, after: i64, limit: Duration) -> Result<Found, Failure> {
    let mut connected = connect(server, limit).await?;
    let asked = tokio::time::timeout(limit, async {
        match &mut connected {
            // As for the rows of files: a pooler may give each transaction another session.
            Connected::Postgres(connection) => {
                let mut transaction = connection.begin().await?;
                let sql = AssertSqlSafe(sql("posts", "bigint", until, after));
                let found = sqlx::query_as(sql).persistent(false).fetch_one(&mut *transaction).await?;
                transaction.rollback().await?;
                Ok(found)
            }
            Connected::MySql(connection) => on_mysql(connection, until, after).await,
        }
    });
    let found = match asked.await {
        Ok(found) => found.map_err(|error: sqlx::Error| Failure::of(server, &error)),
        Err(_) => Err(Failure::new(server, Reason::timed_out(limit))),
    };
    connected.close().await;
    found
}

async fn on_mysql(connection: &mut MySqlConnection, until: i64, after: i64) -> sqlx::Result<Found> {
    let names = mysql_tables(connection).await?;
    let Some(name) = names.iter().find(|name| name.eq_ignore_ascii_case("posts")) else {
        return Ok(Found::default());
    };
    let name = quote::mysql_name(name, "table").unwrap_or_default();
    sqlx::query_as(AssertSqlSafe(sql(&name, "signed", until, after))).fetch_one(connection).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_newest_message_is_known_and_what_came_after_it_is_counted() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("mattermost.db");
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let mut connection = sqlx::SqliteConnection::connect_with(&options).await.expect("a file");
        sqlx::raw_sql("create table posts (createat bigint); insert into posts values (1), (5), (8), (20)")
            .execute(&mut connection)
            .await
            .expect("rows");
        let times = async |until, after| {
            let source = DataSource::Sqlite(path.clone());
            post_times(&source, until, after, Duration::from_secs(5)).await.expect("its times")
        };
        assert_eq!(times(10, 5).await, PostTimes { newest: 8, later: 2, between: 1 });
        assert_eq!(times(0, 100).await, PostTimes::default());
    }
}

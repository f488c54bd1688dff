//! What people did since a moment, as counts: what goes when a database goes back to that moment.

use std::time::Duration;

use dsn::{DataSource, Server};
use serde::Serialize;
use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Connection as _};

use crate::connect::{Connected, connect};
use crate::dump::{self, sqlite};
use crate::failure::Failure;
use crate::quote;
use crate::reason::Reason;
use crate::tables::mysql_tables;

/// What was made, changed or deleted after a moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Since {
    /// Messages that were written.
    pub posts: i64,
    /// Older messages that were edited: they get their old text.
    pub edited: i64,
    /// Older messages that were deleted: they are there again.
    pub deleted: i64,
    /// Files that were uploaded: they stay on the disk, and nobody finds them any more.
    pub files: i64,
    /// Accounts that were made.
    pub accounts: i64,
    /// Channels that were made.
    pub channels: i64,
    /// Teams that were made.
    pub teams: i64,
}

type Row = (i64, i64, i64, i64, i64, i64, i64);

/// Table, and which of its rows are counted; `{at}` is the moment, in ms since the epoch.
const COUNTED: [(&str, &str); 7] = [
    ("posts", "createat > {at}"),
    ("posts", "createat <= {at} and editat > {at}"),
    ("posts", "createat <= {at} and deleteat > {at}"),
    ("fileinfo", "createat > {at}"),
    ("users", "createat > {at}"),
    ("channels", "createat > {at}"),
    ("teams", "createat > {at}"),
];

/// The whole question. `name` says what a table is called in this database.
fn question(at: i64, name: impl Fn(&str) -> String) -> String {
    let count = |(table, which): &(&str, &str)| {
        format!("(select count(*) from {} where {})", name(table), which.replace("{at}", &at.to_string()))
    };
    format!("select {}", COUNTED.iter().map(count).collect::<Vec<_>>().join(", "))
}

/// Counts, within the time limit. `at` is in ms since the epoch.
///
/// # Errors
/// Why the database cannot be read.
pub async fn since(source: &DataSource, at: i64, limit: Duration) -> Result<Since, dump::Error> {
    let row = match source {
        DataSource::Sqlite(path) => {
            let fails = |error: sqlx::Error| sqlite::unreadable(path, &error);
            let mut connection = sqlite::open(path, limit).await.map_err(fails)?;
            let row = sqlx::query_as(AssertSqlSafe(question(at, str::to_owned)));
            let row = row.fetch_one(&mut connection).await;
            sqlite::close(connection).await;
            row.map_err(fails)?
        }
        DataSource::Server(server) => on_server(server, at, limit).await?,
    };
    let (posts, edited, deleted, files, accounts, channels, teams): Row = row;
    Ok(Since { posts, edited, deleted, files, accounts, channels, teams })
}

async fn on_server(server: &Server, at: i64, limit: Duration) -> Result<Row, Failure> {
    let mut connected = connect(server, limit).await?;
    let asked = tokio::time::timeout(limit, async {
        match &mut connected {
            // A pooler may give each transaction another session of the server: the statement has no name, and nothing of it stays.
            Connected::Postgres(connection) => {
                let mut transaction = connection.begin().await?;
                let sql = AssertSqlSafe(question(at, str::to_owned));
                let row = sqlx::query_as(sql).persistent(false).fetch_one(&mut *transaction).await?;
                transaction.rollback().await?;
                Ok(row)
            }
            Connected::MySql(connection) => on_mysql(connection, at).await,
        }
    });
    let row = match asked.await {
        Ok(row) => row.map_err(|error: sqlx::Error| Failure::of(server, &error)),
        Err(_) => Err(Failure::new(server, Reason::timed_out(limit))),
    };
    connected.close().await;
    row
}

/// Up to 5.39 the names of Mattermost's tables begin with a capital there.
async fn on_mysql(connection: &mut MySqlConnection, at: i64) -> sqlx::Result<Row> {
    let names = mysql_tables(connection).await?;
    let name = |table: &str| {
        let found = names.iter().find(|name| name.eq_ignore_ascii_case(table));
        found.and_then(|name| quote::mysql_name(name, "table").ok()).unwrap_or_else(|| table.to_owned())
    };
    sqlx::query_as(AssertSqlSafe(question(at, name))).fetch_one(connection).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_count_asks_for_the_same_moment() {
        let sql = question(7, |table| format!("`{table}`"));
        assert_eq!(sql.matches("> 7").count(), COUNTED.len());
        assert!(sql.starts_with("select (select count(*) from `posts` where createat > 7), "), "{sql}");
        assert!(!sql.contains("{at}"));
    }

    #[tokio::test]
    async fn what_was_done_before_the_moment_is_not_counted() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a.db");
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let mut connection = sqlx::SqliteConnection::connect_with(&options).await.expect("a file");
        let sql = "create table posts (createat bigint, editat bigint, deleteat bigint);
                   create table fileinfo (createat bigint); create table users (createat bigint);
                   create table channels (createat bigint); create table teams (createat bigint);
                   insert into posts values (1, 0, 0), (1, 8, 0), (1, 0, 9), (1, 2, 2), (8, 9, 9), (9, 0, 0);
                   insert into fileinfo values (1), (8); insert into users values (1); insert into teams values (7)";
        sqlx::raw_sql(sql).execute(&mut connection).await.expect("tables");
        connection.close().await.expect("closed");
        let found = since(&DataSource::Sqlite(path), 7, Duration::from_secs(5)).await.expect("counts");
        let expected = Since { posts: 2, edited: 1, deleted: 1, files: 1, ..Since::default() };
        assert_eq!(found, expected);
    }
}

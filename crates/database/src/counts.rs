//! How many rows the tables of a database have, as far as that can be counted in a given time: people wait meanwhile.

use std::path::Path;
use std::time::{Duration, Instant};

use dsn::{DataSource, Server};
use sqlx::mysql::MySqlConnection;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection as _};

use crate::connect::{Connected, connect};
use crate::dump::postgres::TABLES;
use crate::dump::postgres_text::table_name;
use crate::dump::{self, Rows, sqlite};
use crate::failure::Failure;
use crate::obstacle::ASIDE;
use crate::quote;

/// After so many of SQLite's instructions a statement looks whether its time is over.
const INSTRUCTIONS: i32 = 10_000;

/// What could be counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counted {
    /// Rows by table, in lower case.
    pub rows: Rows,
    /// Tables for which there was no time, or that this role may not read.
    pub uncounted: Vec<String>,
}

/// The time that is left.
#[derive(Clone, Copy)]
struct Budget {
    until: Instant,
}

impl Budget {
    fn left(self) -> Option<Duration> {
        let left = self.until.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }
}

impl Counted {
    fn add(&mut self, table: &str, rows: Option<i64>) {
        let table = table.to_lowercase();
        match rows {
            Some(rows) => {
                self.rows.insert(table, rows.unsigned_abs());
            }
            None => self.uncounted.push(table),
        }
    }
}

/// Whether a table is among those that are left out; their names are in lower case.
fn is_left_out(without: &[&str], table: &str) -> bool {
    without.iter().any(|name| table.eq_ignore_ascii_case(name))
}

/// Counts the rows of every table but `without`, smaller tables first where their size is known, for `time` in all.
///
/// # Errors
/// Why the database cannot be read.
pub async fn counted(source: &DataSource, without: &[&str], time: Duration) -> Result<Counted, dump::Error> {
    let budget = Budget { until: Instant::now() + time };
    let server = match source {
        DataSource::Sqlite(path) => return in_file(path, without, budget, time).await,
        DataSource::Server(server) => server,
    };
    Ok(on_server(server, without, budget, time).await?)
}

async fn in_file(
    path: &Path,
    without: &[&str],
    budget: Budget,
    time: Duration,
) -> Result<Counted, dump::Error> {
    let fails = |error: sqlx::Error| sqlite::unreadable(path, &error);
    let mut connection = sqlite::open(path, time).await.map_err(fails)?;
    let found = on_sqlite(&mut connection, without, budget).await;
    sqlite::close(connection).await;
    found.map_err(fails)
}

async fn on_sqlite(
    connection: &mut SqliteConnection,
    without: &[&str],
    budget: Budget,
) -> sqlx::Result<Counted> {
    let tables = sqlite::TABLES;
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut *connection).await?;
    let in_time = move || budget.left().is_some();
    connection.lock_handle().await?.set_progress_handler(INSTRUCTIONS, in_time);
    let mut found = Counted::default();
    for name in tables.iter().filter(|name| !is_left_out(without, name)) {
        let sql = format!("select count(*) from \"{}\"", name.replace('"', "\"\""));
        let counted = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut *connection).await;
        let rows = match counted {
            Ok(rows) => Some(rows),
            Err(_) if !in_time() => None,
            Err(error) => return Err(error),
        };
        found.add(name, rows);
    }
    connection.lock_handle().await?.remove_progress_handler();
    Ok(found)
}

async fn on_server(
    server: &Server,
    without: &[&str],
    budget: Budget,
    time: Duration,
) -> Result<Counted, Failure> {
    let mut connected = connect(server, time).await?;
    let found = match &mut connected {
        Connected::Postgres(connection) => on_postgres(connection, without, budget).await,
        Connected::MySql(connection) => on_mysql(connection, without, budget).await,
    };
    connected.close().await;
    found.map_err(|error| Failure::of(server, &error))
}

/// PostgreSQL's codes for a statement whose time was over, and for a table that this role may not read.
const UNCOUNTED: [&str; 2] = ["57014", "42501"];

async fn on_postgres(
    connection: &mut PgConnection,
    without: &[&str],
    budget: Budget,
) -> sqlx::Result<Counted> {
    // By its number: the name of a table in a schema that this role may not enter cannot be resolved.
    let tables = format!(
        "with known (s, t) as ({TABLES})
         select k.s, k.t from known k join pg_namespace n on n.nspname = k.s
         join pg_class c on c.relnamespace = n.oid and c.relname = k.t
         order by pg_relation_size(c.oid), k.s, k.t"
    );
    let tables = sqlx::query_as(AssertSqlSafe(tables)).bind(ASIDE).persistent(false);
    let tables: Vec<(String, String)> = tables.fetch_all(&mut *connection).await?;
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let mut found = Counted::default();
    for (schema, table) in tables {
        let name = table_name(&schema, &table);
        if is_left_out(without, &name) {
            continue;
        }
        let Some(left) = budget.left() else {
            found.add(&name, None);
            continue;
        };
        // Behind a pooler, a setting must end with its transaction.
        let mut transaction = connection.begin().await?;
        let limit = format!("set local statement_timeout = {}", left.as_millis().max(1));
        sqlx::raw_sql(AssertSqlSafe(limit)).execute(&mut *transaction).await?;
        let sql = format!("select count(*) from only {}.{}", quoted(&schema), quoted(&table));
        let counted =
            sqlx::query_scalar(AssertSqlSafe(sql)).persistent(false).fetch_one(&mut *transaction).await;
        let rows = match counted {
            Ok(rows) => Some(rows),
            Err(sqlx::Error::Database(error))
                if error.code().is_some_and(|code| UNCOUNTED.contains(&&*code)) =>
            {
                None
            }
            Err(error) => return Err(error),
        };
        transaction.rollback().await?;
        found.add(&name, rows);
    }
    Ok(found)
}

async fn on_mysql(
    connection: &mut MySqlConnection,
    without: &[&str],
    budget: Budget,
) -> sqlx::Result<Counted> {
    let tables = "select cast(table_name as char) from information_schema.tables
                  where table_schema = database() and table_type = 'BASE TABLE' order by table_rows, 1";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut *connection).await?;
    let mut found = Counted::default();
    for table in tables.iter().filter(|table| !is_left_out(without, table)) {
        let Some(left) = budget.left() else {
            found.add(table, None);
            continue;
        };
        let quoted = quote::mysql_name(table, "table").unwrap_or_default();
        let sql = format!("select count(*) from {quoted}");
        let count = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut *connection);
        // The connection is of no use after it: no time is left for another table.
        match tokio::time::timeout(left, count).await {
            Ok(rows) => found.add(table, Some(rows?)),
            Err(_) => found.add(table, None),
        }
    }
    Ok(found)
}

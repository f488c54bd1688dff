//! What a PostgreSQL database is busy with: its size, connections, slow statements, dead rows.

use std::time::Duration;

use dsn::{Engine, Server};
use sqlx::postgres::PgConnection;

use crate::connect::{Connected, connect};
use crate::failure::Failure;
use crate::reason::Reason;

/// How many statements, and how many tables.
const MOST: i64 = 5;

/// Characters of a statement that are shown.
const SHOWN: i32 = 200;

/// Dead rows below this number are of no interest.
const FEW: i64 = 1000;

/// What a database is busy with.
#[derive(Debug, Clone, PartialEq)]
pub struct Activity {
    /// Its size in bytes.
    pub bytes: u64,
    /// Connections to it, this one not counted.
    pub connections: u32,
    /// The tables with the most dead rows, where those are many.
    pub dead: Vec<DeadRows>,
    /// The statements that took the most time.
    pub statements: Statements,
}

/// A table with rows that were deleted or replaced and still take room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadRows {
    /// The table.
    pub table: String,
    /// Rows that count.
    pub live: u64,
    /// Rows that do not.
    pub dead: u64,
}

/// The statements that took the most time.
#[derive(Debug, Clone, PartialEq)]
pub enum Statements {
    /// Nothing keeps statistics of them here.
    Off,
    /// Slowest first.
    Slowest(Vec<Slow>),
}

/// A kind of statement: its values are left out.
#[derive(Debug, Clone, PartialEq)]
pub struct Slow {
    /// Its text on one line, cut.
    pub text: String,
    /// How often it ran.
    pub calls: u64,
    /// Milliseconds on average.
    pub mean_ms: f64,
    /// Milliseconds in all.
    pub total_ms: f64,
}

/// Looks at the database `name`, through a login that may be to another database of the same PostgreSQL: `tables` is a login to the
/// database itself. `None` for MySQL.
///
/// # Errors
/// A login fails, or a question takes too long.
pub async fn activity(
    tables: &Server,
    statements: &Server,
    limit: Duration,
) -> Result<Option<Activity>, Failure> {
    if tables.engine != Engine::Postgres {
        return Ok(None);
    }
    let looked = tokio::time::timeout(limit, async {
        let Connected::Postgres(mut inside) = connect(tables, limit).await? else { return Ok(None) };
        let found = of_tables(&mut inside).await.map_err(|error| Failure::of(tables, &error))?;
        Connected::Postgres(inside).close().await;
        let Connected::Postgres(mut beside) = connect(statements, limit).await? else { return Ok(None) };
        let slow =
            slowest(&mut beside, &tables.name).await.map_err(|error| Failure::of(statements, &error))?;
        Connected::Postgres(beside).close().await;
        Ok(Some(Activity { statements: slow, ..found }))
    });
    looked.await.unwrap_or_else(|_| Err(Failure::new(tables, Reason::timed_out(limit))))
}

/// Returns whether a PostgreSQL takes logins: one that starts, or recovers after a crash, does not yet.
///
/// # Errors
/// Why it does not, where waiting will not help.
pub async fn answers(server: &Server, limit: Duration) -> Result<bool, Failure> {
    match connect(server, limit).await {
        Ok(connected) => {
            connected.close().await;
            Ok(true)
        }
        Err(failure) if failure.reason.may_pass() || failure.reason == Reason::NoSocket => Ok(false),
        Err(failure) => Err(failure),
    }
}

async fn of_tables(connection: &mut PgConnection) -> sqlx::Result<Activity> {
    let sizes = "select pg_database_size(current_database()),
                        (select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid())";
    let (bytes, connections): (i64, i64) = sqlx::query_as(sizes).fetch_one(&mut *connection).await?;
    let tables = "select relname::text, n_live_tup, n_dead_tup from pg_stat_user_tables
                  where n_dead_tup >= $1 order by n_dead_tup desc limit $2";
    let tables: Vec<(String, i64, i64)> =
        sqlx::query_as(tables).bind(FEW).bind(MOST).persistent(false).fetch_all(connection).await?;
    let dead = tables.into_iter().map(|(table, live, dead)| DeadRows {
        table,
        live: live.unsigned_abs(),
        dead: dead.unsigned_abs(),
    });
    Ok(Activity {
        bytes: bytes.unsigned_abs(),
        connections: connections.unsigned_abs().try_into().unwrap_or(u32::MAX),
        dead: dead.collect(),
        statements: Statements::Off,
    })
}

async fn slowest(connection: &mut PgConnection, name: &str) -> sqlx::Result<Statements> {
    let there = "select exists (select from pg_extension where extname = 'pg_stat_statements')
                    and current_setting('shared_preload_libraries') like '%pg_stat_statements%'";
    // A role without the right to read the setting is told an error.
    let there: sqlx::Result<bool> = sqlx::query_scalar(there).fetch_one(&mut *connection).await;
    if !there.unwrap_or(false) {
        return Ok(Statements::Off);
    }
    let sql =
        "select left(regexp_replace(query, '\\s+', ' ', 'g'), $1), calls, mean_exec_time, total_exec_time
               from pg_stat_statements s join pg_database d on d.oid = s.dbid
               where d.datname = $2 and query is not null order by total_exec_time desc limit $3";
    let rows: Vec<(String, i64, f64, f64)> =
        sqlx::query_as(sql).bind(SHOWN).bind(name).bind(MOST).persistent(false).fetch_all(connection).await?;
    let slow = |(text, calls, mean_ms, total_ms): (String, i64, f64, f64)| Slow {
        text,
        calls: calls.unsigned_abs(),
        mean_ms,
        total_ms,
    };
    Ok(Statements::Slowest(rows.into_iter().map(slow).collect()))
}

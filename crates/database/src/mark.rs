//! Whose a database is: a row that survives a dump and a restore, in a table that every Mattermost has.

use std::time::Duration;

use dsn::Server;
use sqlx::mysql::MySqlConnection;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

use crate::connect::{Connected, connect};
use crate::failure::Failure;
use crate::quote;
use crate::reason::Reason;
use crate::tables::mysql_tables;

/// The name of the row of `systems` that holds the deployment's id. Mattermost leaves rows alone that it does not know.
pub const DEPLOYMENT: &str = "MainstayDeployment";

/// Says in the database which deployment it belongs to; `None` = none. Safe to run again.
///
/// # Errors
/// It cannot be reached, or has no table `systems` that this user may write.
pub async fn mark(server: &Server, id: Option<&str>, limit: Duration) -> Result<(), Failure> {
    let mut connected = connect(server, limit).await?;
    let marked = tokio::time::timeout(limit, async {
        match &mut connected {
            Connected::Postgres(connection) => on_postgres(connection, id).await,
            Connected::MySql(connection) => on_mysql(connection, id).await,
        }
    });
    let marked = match marked.await {
        Ok(marked) => marked.map_err(|error| Failure::of(server, &error)),
        Err(_) => Err(Failure::new(server, Reason::timed_out(limit))),
    };
    connected.close().await;
    marked
}

async fn on_postgres(connection: &mut PgConnection, id: Option<&str>) -> sqlx::Result<()> {
    let query = match id {
        None => sqlx::query("delete from systems where name = $1").bind(DEPLOYMENT),
        Some(id) => sqlx::query(
            "insert into systems (name, value) values ($1, $2) on conflict (name) do update set value = excluded.value",
        )
        .bind(DEPLOYMENT)
        .bind(id),
    };
    // Behind a pooler, a statement lives as long as its transaction, and a name of one would stay for others.
    let mut transaction = connection.begin().await?;
    transaction.execute(query.persistent(false)).await?;
    transaction.commit().await
}

async fn on_mysql(connection: &mut MySqlConnection, id: Option<&str>) -> sqlx::Result<()> {
    // Up to 5.39 its name begins with a capital.
    let names = mysql_tables(connection).await?;
    let table =
        names.iter().find(|name| name.eq_ignore_ascii_case("systems")).map_or("systems", String::as_str);
    let table = quote::mysql_name(table, "table").unwrap_or_default();
    let sql = match id {
        None => format!("delete from {table} where Name = ?"),
        Some(_) => format!(
            "insert into {table} (Name, Value) values (?, ?) on duplicate key update Value = values(Value)"
        ),
    };
    let query = sqlx::query(AssertSqlSafe(sql)).bind(DEPLOYMENT);
    let query = match id {
        Some(id) => query.bind(id.to_owned()),
        None => query,
    };
    connection.execute(query).await.map(drop)
}

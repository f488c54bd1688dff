//! What is in a database: whose tables, and of which Mattermost version.

use std::time::Duration;

use dsn::Server;
use sqlx::mysql::MySqlConnection;
use sqlx::postgres::{PgArguments, PgConnection, PgRow, Postgres};
use sqlx::query::QueryScalar;
use sqlx::{AssertSqlSafe, Connection as _, FromRow};

use crate::connect::{Connected, connect};
use crate::failure::Failure;
use crate::mark::DEPLOYMENT;
use crate::quote;
use crate::reason::Reason;
use crate::tables::mysql_tables;

/// What is in the schema where Mattermost puts its tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contents {
    /// Nothing.
    Nothing,
    /// Mattermost's tables.
    Mattermost(Schema),
    /// Tables of another program: some of their names.
    Strangers(Vec<String>),
}

/// The version that Mattermost has recorded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schema {
    /// The newest version that recorded itself (`systems`, `Version`); releases after 6.3 do not.
    pub version: Option<String>,
    /// The number of its last migration (`db_migrations`); releases before 6.4 have none.
    pub migration: Option<u32>,
    /// The deployment that it belongs to (`systems`, [`crate::DEPLOYMENT`]), where one has said so.
    pub deployment: Option<String>,
}

/// Names of tables that are reported at most.
const SOME: usize = 3;

/// Reads what is in the database, within the time limit. Not with a server's `db version`, which migrates first.
///
/// # Errors
/// Why the database cannot be read.
pub async fn contents(server: &Server, limit: Duration) -> Result<Contents, Failure> {
    let mut connected = connect(server, limit).await?;
    let looked = tokio::time::timeout(limit, async {
        match &mut connected {
            Connected::Postgres(connection) => within_transaction(connection).await,
            Connected::MySql(connection) => on_mysql(connection).await,
        }
    });
    let found = match looked.await {
        Ok(found) => found
            .map_err(|error| Failure::of(server, &error))
            .and_then(|found| found.map_err(|reason| Failure::new(server, reason))),
        Err(_) => return Err(Failure::new(server, Reason::timed_out(limit))),
    };
    connected.close().await;
    found
}

/// Mattermost's tables include one of these. Up to 5.39 their names begin with a capital on MySQL.
const MARKS: [&str; 2] = ["systems", "db_migrations"];

/// Without the tables of extensions.
const POSTGRES_TABLES: &str = "
    select c.relname::text
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = coalesce(current_schema(), 'public') and c.relkind in ('r', 'p', 'v', 'm', 'f')
      and not exists (select from pg_depend d
                      where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
    order by 1";

/// A pooler may give each transaction another session of the server.
async fn within_transaction(connection: &mut PgConnection) -> sqlx::Result<Result<Contents, Reason>> {
    let mut transaction = connection.begin().await?;
    let contents = on_postgres(&mut transaction).await?;
    transaction.rollback().await?;
    Ok(contents)
}

/// A table that another role owns and did not grant everything on.
const POSTGRES_DENIED: &str = "
    select c.relname::text, pg_get_userbyid(c.relowner)::text
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = coalesce(current_schema(), 'public') and c.relkind in ('r', 'p')
      and not (has_table_privilege(c.oid, 'select') and has_table_privilege(c.oid, 'insert')
               and has_table_privilege(c.oid, 'update') and has_table_privilege(c.oid, 'delete'))
      and not exists (select from pg_depend d
                      where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
    order by 1 limit 1";

async fn on_postgres(connection: &mut PgConnection) -> sqlx::Result<Result<Contents, Reason>> {
    let names: Vec<String> = unnamed(POSTGRES_TABLES).fetch_all(&mut *connection).await?;
    let Some(marks) = marks(&names) else { return Ok(Ok(without_mattermost(names))) };
    let denied = sqlx::query_as(POSTGRES_DENIED).persistent(false);
    let denied: Option<(String, String)> = denied.fetch_optional(&mut *connection).await?;
    if let Some((table, owner)) = denied {
        return Ok(Err(Reason::TableDenied { table: Some(table), owner: Some(owner) }));
    }
    let mut schema = Schema::default();
    if marks[0].is_some() {
        let sql = "select value::text from systems where name = $1";
        let value = |name: &'static str| unnamed(sql).bind(name);
        schema.version = value("Version").fetch_optional(&mut *connection).await?;
        schema.deployment = value(DEPLOYMENT).fetch_optional(&mut *connection).await?;
    }
    if marks[1].is_some() {
        let last: Option<i64> =
            unnamed("select max(version)::int8 from db_migrations").fetch_one(connection).await?;
        schema.migration = last.and_then(|last| last.try_into().ok());
    }
    Ok(Ok(Contents::Mattermost(schema)))
}

/// A question whose statement has no name, so that nothing of it stays in a session that others get.
fn unnamed<T>(sql: &'static str) -> QueryScalar<'static, Postgres, T, PgArguments>
where
    (T,): for<'r> FromRow<'r, PgRow>,
{
    sqlx::query_scalar(sql).persistent(false)
}

async fn on_mysql(connection: &mut MySqlConnection) -> sqlx::Result<Result<Contents, Reason>> {
    let names = mysql_tables(connection).await?;
    let Some([systems, migrations]) = marks(&names) else { return Ok(Ok(without_mattermost(names))) };
    let mut schema = Schema::default();
    let quoted = |name: &String| quote::mysql_name(name, "table").unwrap_or_default();
    if let Some(name) = systems {
        for (row, value) in [("Version", &mut schema.version), (DEPLOYMENT, &mut schema.deployment)] {
            let sql = format!("select cast(Value as char) from {} where Name = '{row}'", quoted(name));
            *value = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_optional(&mut *connection).await?;
        }
    }
    if let Some(name) = migrations {
        let sql = format!("select cast(max(Version) as signed) from {}", quoted(name));
        let last: Option<i64> = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(connection).await?;
        schema.migration = last.and_then(|last| last.try_into().ok());
    }
    Ok(Ok(Contents::Mattermost(schema)))
}

/// The names of the marks that exist; `None` if none does.
fn marks(names: &[String]) -> Option<[Option<&String>; 2]> {
    let found = MARKS.map(|mark| names.iter().find(|name| name.eq_ignore_ascii_case(mark)));
    found.iter().any(Option::is_some).then_some(found)
}

fn without_mattermost(mut names: Vec<String>) -> Contents {
    names.truncate(SOME);
    if names.is_empty() { Contents::Nothing } else { Contents::Strangers(names) }
}

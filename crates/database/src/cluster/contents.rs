//! What a cluster has: its databases and its roles, as the superuser sees them.

use std::collections::BTreeSet;
use std::time::Duration;

use dsn::Server;
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;

use super::SUPERUSER;
use crate::connect::{Connected, connect};
use crate::failure::Failure;
use crate::reason::Reason;

/// The databases that somebody has made, without those that every cluster has.
///
/// # Errors
/// The superuser cannot log in.
pub async fn databases(admin: &Server, limit: Duration) -> Result<Vec<String>, Failure> {
    let sql = format!(
        "select datname::text from pg_database where not datistemplate and datallowconn and datname <> '{SUPERUSER}' order by 1"
    );
    asked(admin, &sql, limit).await
}

/// The roles with all that they may and can log in with, each as one text. Not to be shown: it holds the hashes of passwords.
///
/// # Errors
/// The superuser cannot log in.
pub async fn roles(admin: &Server, limit: Duration) -> Result<BTreeSet<String>, Failure> {
    let sql = "select (rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls,
                       rolconnlimit, rolpassword, rolvaliduntil,
                       (select array_agg(pg_get_userbyid(m.roleid) order by 1) from pg_auth_members m where m.member = a.oid))::text
               from pg_authid a where rolname !~ '^pg_'";
    asked(admin, sql, limit).await.map(|rows| rows.into_iter().collect())
}

async fn asked(admin: &Server, sql: &str, limit: Duration) -> Result<Vec<String>, Failure> {
    let mut connection = match connect(admin, limit).await? {
        Connected::Postgres(connection) => connection,
        Connected::MySql(_) => return Ok(Vec::new()),
    };
    let rows = tokio::time::timeout(limit, rows(&mut connection, sql)).await;
    Connected::Postgres(connection).close().await;
    match rows {
        Ok(rows) => rows.map_err(|error| Failure::of(admin, &error)),
        Err(_) => Err(Failure::new(admin, Reason::timed_out(limit))),
    }
}

async fn rows(connection: &mut PgConnection, sql: &str) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).persistent(false).fetch_all(connection).await
}

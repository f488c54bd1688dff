//! What [`create`](crate::create) would have to create, and how to drop what it has created.

use std::time::Duration;

use dsn::{Engine, Server};

use crate::connect::{Connected, connect};
use crate::create::{CreateError, Created, Made, failed, for_administration};
use crate::quote;

/// What does not exist yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lacking {
    /// The role or user.
    pub user: bool,
    /// The database.
    pub database: bool,
}

/// Whether the user or the database is missing, as the administrator sees it. Changes nothing.
///
/// # Errors
/// The administrator cannot log in, or lacks a privilege.
pub async fn lacking(admin: &Server, wanted: &Server, limit: Duration) -> Result<Lacking, CreateError> {
    if admin.engine != wanted.engine {
        return Err(CreateError::Engines { admin: admin.engine, wanted: wanted.engine });
    }
    let admin = for_administration(admin);
    let connected = connect(&admin, limit).await.map_err(CreateError::Admin)?;
    let looked = match connected {
        Connected::Postgres(mut connection) => {
            let sql = "select exists (select from pg_roles where rolname = $1),
                              exists (select from pg_database where datname = $2)";
            let query = sqlx::query_as(sql).bind(&wanted.user).bind(&wanted.name);
            let there: sqlx::Result<(bool, bool)> = query.fetch_one(&mut connection).await;
            Connected::Postgres(connection).close().await;
            there
        }
        Connected::MySql(mut connection) => {
            let sql = "select exists (select 1 from mysql.user where user = ? and host = '%'),
                              exists (select 1 from information_schema.schemata where schema_name = ?)";
            let query = sqlx::query_as(sql).bind(&wanted.user).bind(&wanted.name);
            let there: sqlx::Result<(bool, bool)> = query.fetch_one(&mut connection).await;
            Connected::MySql(connection).close().await;
            there
        }
    };
    let (user, database) = looked.map_err(|error| failed(&admin, "look at the server", &error))?;
    Ok(Lacking { user: !user, database: !database })
}

/// Drops what was created, if it is unused: a database without tables or further schemas that nobody is connected to, and a user who
/// owns nothing. What is in use stays, which is not an error; nor is it if something is gone already.
///
/// # Errors
/// The administrator cannot log in, or lacks a privilege.
pub async fn discard(
    admin: &Server,
    wanted: &Server,
    made: Created,
    limit: Duration,
) -> Result<(), CreateError> {
    let admin = for_administration(admin);
    match wanted.engine {
        Engine::Postgres => on_postgres(&admin, wanted, made, limit).await,
        Engine::MySql => on_mysql(&admin, wanted, made, limit).await,
    }
}

/// Whether the database contains nothing but its catalogue.
const POSTGRES_EMPTY: &str = "
    select not exists (select from pg_namespace where nspname !~ '^pg_' and nspname not in ('public', 'information_schema'))
       and not exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'public')";

async fn on_postgres(
    admin: &Server,
    wanted: &Server,
    made: Created,
    limit: Duration,
) -> Result<(), CreateError> {
    let there = lacking(admin, wanted, limit).await?;
    if made.database == Made::New && !there.database {
        let inside = Server { name: wanted.name.clone(), ..admin.clone() };
        let empty = match connect(&inside, limit).await.map_err(CreateError::Admin)? {
            Connected::Postgres(mut connection) => {
                let empty = sqlx::query_scalar(POSTGRES_EMPTY).fetch_one(&mut connection).await;
                Connected::Postgres(connection).close().await;
                empty.map_err(|error| failed(&inside, "look into the database", &error))?
            }
            Connected::MySql(_) => false,
        };
        if empty {
            let sql = format!("drop database {}", quote::postgres_name(&wanted.name, "database name")?);
            drop_unless(admin, &sql, "drop the database", &IN_USE, limit).await?;
        }
    }
    if made.user == Made::New && !there.user {
        let sql = format!("drop role {}", quote::postgres_name(&wanted.user, "user")?);
        drop_unless(admin, &sql, "drop the role", &IN_USE, limit).await?;
    }
    Ok(())
}

async fn on_mysql(
    admin: &Server,
    wanted: &Server,
    made: Created,
    limit: Duration,
) -> Result<(), CreateError> {
    let there = lacking(admin, wanted, limit).await?;
    let mut empty = there.database;
    if made.database == Made::New && !there.database {
        empty = match connect(admin, limit).await.map_err(CreateError::Admin)? {
            Connected::MySql(mut connection) => {
                let sql =
                    "select not exists (select 1 from information_schema.tables where table_schema = ?)";
                let empty = sqlx::query_scalar(sql).bind(&wanted.name).fetch_one(&mut connection).await;
                Connected::MySql(connection).close().await;
                empty.map_err(|error| failed(admin, "look into the database", &error))?
            }
            Connected::Postgres(_) => false,
        };
        if empty {
            let sql = format!("drop database {}", quote::mysql_name(&wanted.name, "database name")?);
            drop_unless(admin, &sql, "drop the database", &[], limit).await?;
        }
    }
    // MySQL drops a user even if the user still owns something.
    if made.user == Made::New && !there.user && empty {
        let sql = format!("drop user {}@'%'", quote::mysql_user(&wanted.user)?);
        drop_unless(admin, &sql, "drop the user", &[], limit).await?;
    }
    Ok(())
}

/// PostgreSQL's codes: a session is connected (55006), something depends on it (2BP01).
const IN_USE: [&str; 2] = ["55006", "2BP01"];

async fn drop_unless(
    admin: &Server,
    sql: &str,
    does: &'static str,
    in_use: &[&str],
    limit: Duration,
) -> Result<(), CreateError> {
    let mut connection = connect(admin, limit).await.map_err(CreateError::Admin)?;
    let dropped = connection.execute(sql).await;
    connection.close().await;
    let used = |error: &sqlx::Error| {
        error.as_database_error().and_then(|error| error.code()).is_some_and(|code| in_use.contains(&&*code))
    };
    match dropped {
        Err(error) if !used(&error) => Err(failed(admin, does, &error)),
        _ => Ok(()),
    }
}

//! Moves the contents of a schema into another one, and back.

use std::time::Duration;

use dsn::Server;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

use crate::aside_mysql;
use crate::connect::{Connected, connect};
use crate::failure::Failure;
use crate::obstacle::Obstacle;
use crate::quote;
use crate::reason::Reason;

/// Why [`set_aside`] would fail: the user may not create what the tables would be moved into, or something cannot be moved. `None` where
/// it would not.
///
/// # Errors
/// It cannot be asked.
pub async fn obstacle_aside(server: &Server, limit: Duration) -> Result<Option<Obstacle>, Failure> {
    within(server, limit, async |connected| match connected {
        Connected::MySql(connection) => aside_mysql::obstacle(connection, server).await,
        Connected::Postgres(connection) => {
            let sql = "select has_database_privilege(current_database(), 'create')";
            let may: bool = sqlx::query_scalar(sql).persistent(false).fetch_one(connection).await?;
            let (user, name) = (server.user.escape_debug(), server.name.escape_debug());
            Ok((!may).then(|| Obstacle {
                what: format!(
                    "user \"{user}\" may not create a schema in database \"{name}\" on {}, into which its tables would be moved",
                    server.place()
                ),
                fix: format!("as its owner or a superuser: GRANT CREATE ON DATABASE \"{name}\" TO \"{user}\""),
            }))
        }
    })
    .await
}

/// Moves all objects of this user in the schema that Mattermost uses. Objects of extensions stay; indexes, triggers, and the
/// sequences and row types of tables move with their tables.
const MOVE: &str = r"
    do $$
    declare
        here text := @HERE@;
        there text := @THERE@;
        source oid := (select oid from pg_namespace where nspname = here);
        commands text[];
        command text;
    begin
        select array_agg(every.command) into commands from (
            select format('alter %s %I.%I set schema %I',
                          case c.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence'
                                         when 'f' then 'foreign table' else 'table' end,
                          here, c.relname, there) as command
            from pg_class c
            where c.relnamespace = source and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
              and pg_has_role(c.relowner, 'usage')
              and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid
                              and (d.deptype = 'e' or c.relkind = 'S' and d.deptype in ('a', 'i')))
            union all
            select format('alter routine %s set schema %I', p.oid::regprocedure, there)
            from pg_proc p
            where p.pronamespace = source and pg_has_role(p.proowner, 'usage')
              and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid
                              and d.deptype = 'e')
            union all
            select format('alter type %I.%I set schema %I', here, t.typname, there)
            from pg_type t
            where t.typnamespace = source and t.typtype in ('e', 'd') and pg_has_role(t.typowner, 'usage')
              and not exists (select from pg_depend d where d.classid = 'pg_type'::regclass and d.objid = t.oid
                              and d.deptype = 'e')) every;
        if commands is null then
            return;
        end if;
        if not exists (select from pg_namespace where nspname = there) then
            execute format('create schema %I', there);
        end if;
        foreach command in array commands loop
            execute command;
        end loop;
    end $$";

/// Moves everything in the database's schema into a schema called `name`, in one transaction: afterwards the database is empty, and
/// nothing is lost. A second call does nothing. MySQL has no schemas in a database: there it is another database, and one statement.
///
/// # Errors
/// It cannot be reached; the user may not create a schema; another session locks a table.
pub async fn set_aside(server: &Server, name: &str, limit: Duration) -> Result<(), Failure> {
    let sql = moving(CURRENT, &quote::postgres_text(name));
    within(server, limit, async |connected| match connected {
        Connected::Postgres(connection) => move_all(connection, &sql).await,
        Connected::MySql(connection) => aside_mysql::set_aside(connection, name).await,
    })
    .await
}

/// Moves everything that [`set_aside`] has moved into a schema called `name` back, in one transaction, and drops that schema. Where there
/// is no such schema, nothing was moved, and nothing is done.
///
/// # Errors
/// As [`set_aside`]; what is in the schema now has the same names.
pub async fn bring_back(server: &Server, name: &str, limit: Duration) -> Result<(), Failure> {
    let there = quote::postgres_text(name);
    let gone = format!(
        "do $$ begin if exists (select from pg_namespace where nspname = {there}) then execute format('drop schema %I', {there}); end if;
         exception when dependent_objects_still_exist then null; end $$"
    );
    let sql = format!("{};{gone}", moving(&there, CURRENT));
    within(server, limit, async |connected| match connected {
        Connected::Postgres(connection) => move_all(connection, &sql).await,
        Connected::MySql(connection) => aside_mysql::bring_back(connection, name).await,
    })
    .await
}

/// The schema that Mattermost uses.
const CURRENT: &str = "coalesce(current_schema(), 'public')";

/// From one schema into another; both as SQL.
fn moving(here: &str, there: &str) -> String {
    MOVE.replace("@HERE@", here).replace("@THERE@", there)
}

async fn within<T>(
    server: &Server,
    limit: Duration,
    work: impl AsyncFnOnce(&mut Connected) -> sqlx::Result<T>,
) -> Result<T, Failure> {
    let mut connected = connect(server, limit).await?;
    let done = match tokio::time::timeout(limit, work(&mut connected)).await {
        Ok(done) => done.map_err(|error| Failure::of(server, &error)),
        Err(_) => return Err(Failure::new(server, Reason::timed_out(limit))),
    };
    connected.close().await;
    done
}

async fn move_all(connection: &mut PgConnection, sql: &str) -> sqlx::Result<()> {
    let mut transaction = connection.begin().await?;
    // Without a limit, a lock of a running server would block this forever.
    transaction.execute("set local lock_timeout = '10s'").await?;
    transaction.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
    transaction.commit().await
}

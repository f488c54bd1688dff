//! Moves the contents of a schema into another one, and back.

use std::time::Duration;

use dsn::Server;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

use crate::connect::{Connected, connect};
use crate::failure::Failure;
use crate::quote;
use crate::reason::Reason;

/// How the names of schemas begin that something was moved aside to. No dump has them.
pub const ASIDE: &str = "mainstay_undone_";

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
/// nothing is lost. A second call does nothing. On MySQL, whose databases have no schemas, nothing is moved.
///
/// # Errors
/// It cannot be reached; the user may not create a schema; another session locks a table.
pub async fn set_aside(server: &Server, name: &str, limit: Duration) -> Result<(), Failure> {
    let sql = moving(CURRENT, &quote::postgres_text(name));
    moved(server, &sql, limit).await
}

/// Moves everything that [`set_aside`] has moved into a schema called `name` back, in one transaction, and drops that schema. Where there
/// is no such schema, nothing was moved, and nothing is done. On MySQL, nothing was moved.
///
/// # Errors
/// As [`set_aside`]; what is in the schema now has the same names.
pub async fn bring_back(server: &Server, name: &str, limit: Duration) -> Result<(), Failure> {
    let there = quote::postgres_text(name);
    let gone = format!(
        "do $$ begin if exists (select from pg_namespace where nspname = {there}) then execute format('drop schema %I', {there}); end if;
         exception when dependent_objects_still_exist then null; end $$"
    );
    moved(server, &format!("{};{gone}", moving(&there, CURRENT)), limit).await
}

/// The schema that Mattermost uses.
const CURRENT: &str = "coalesce(current_schema(), 'public')";

/// From one schema into another; both as SQL.
fn moving(here: &str, there: &str) -> String {
    MOVE.replace("@HERE@", here).replace("@THERE@", there)
}

async fn moved(server: &Server, sql: &str, limit: Duration) -> Result<(), Failure> {
    let Connected::Postgres(mut connection) = connect(server, limit).await? else { return Ok(()) };
    let moved = match tokio::time::timeout(limit, move_all(&mut connection, sql)).await {
        Ok(moved) => moved.map_err(|error| Failure::of(server, &error)),
        Err(_) => return Err(Failure::new(server, Reason::timed_out(limit))),
    };
    Connected::Postgres(connection).close().await;
    moved
}

async fn move_all(connection: &mut PgConnection, sql: &str) -> sqlx::Result<()> {
    let mut transaction = connection.begin().await?;
    // Without a limit, a lock of a running server would block this forever.
    transaction.execute("set local lock_timeout = '10s'").await?;
    transaction.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
    transaction.commit().await
}

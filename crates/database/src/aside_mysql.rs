//! Moves the tables of a MySQL database into another one, and back: a database has no schemas there.

use dsn::Server;
use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Executor as _, Row as _};

use crate::obstacle::{ASIDE, Obstacle};
use crate::tables::mysql_tables;

/// What `RENAME TABLE` cannot move into another database, or what a load would find in its way.
const IMMOVABLE: &str = "
    select kind, name from (
        select 'view' as kind, cast(table_name as char) as name
        from information_schema.views where table_schema = database()
        union all
        select 'trigger', cast(trigger_name as char)
        from information_schema.triggers where trigger_schema = database()
        union all
        select cast(lower(routine_type) as char), cast(routine_name as char)
        from information_schema.routines where routine_schema = database()
    ) found order by 1, 2 limit 3";

/// How many of the privileges that a move needs the user has on a database of that name.
const PRIVILEGES: &str = r"
    select count(distinct privilege_type)
    from (
        select cast(privilege_type as char) as privilege_type, cast(grantee as char) as grantee
        from information_schema.user_privileges
        union all
        select cast(privilege_type as char), cast(grantee as char)
        from information_schema.schema_privileges where ? like table_schema
    ) granted
    where privilege_type in ('ALTER', 'CREATE', 'DROP', 'INSERT')
      and grantee = concat('''', left(current_user(), char_length(current_user()) - char_length(substring_index(current_user(), '@', -1)) - 1),
                           '''@''', substring_index(current_user(), '@', -1), '''')";

/// Alter, create, drop, insert.
const NEEDED: i64 = 4;

pub(crate) async fn obstacle(
    connection: &mut MySqlConnection,
    server: &Server,
) -> sqlx::Result<Option<Obstacle>> {
    let sql = sqlx::query_scalar(PRIVILEGES).bind(format!("{ASIDE}1"));
    let privileges: i64 = sql.fetch_one(&mut *connection).await?;
    let user = server.user.escape_debug();
    if privileges < NEEDED {
        return Ok(Some(Obstacle {
            what: format!(
                "user \"{user}\" may not create a database on {}, into which the tables of \"{}\" would be moved",
                server.place(),
                server.name.escape_debug()
            ),
            fix: format!(
                "as root: GRANT ALL PRIVILEGES ON `{}%`.* TO '{user}'@'%'",
                ASIDE.replace('_', "\\_")
            ),
        }));
    }
    let found = sqlx::query(IMMOVABLE).fetch_all(connection).await?;
    let found = found.iter().map(|row| {
        let (kind, name): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        Ok(format!("{kind} \"{}\"", name.escape_debug()))
    });
    let found = found.collect::<sqlx::Result<Vec<_>>>()?;
    Ok((!found.is_empty()).then(|| Obstacle {
        what: format!(
            "database \"{}\" on {} has what cannot be moved into another database: {}",
            server.name.escape_debug(),
            server.place(),
            found.join(", ")
        ),
        fix: "Mattermost makes no such thing: drop it, or use a database of Mattermost's own".to_owned(),
    }))
}

/// Moves every table of the session's database into the one called `name`.
pub(crate) async fn set_aside(connection: &mut MySqlConnection, name: &str) -> sqlx::Result<()> {
    let here: String =
        sqlx::query_scalar("select cast(database() as char)").fetch_one(&mut *connection).await?;
    let tables = mysql_tables(connection).await?;
    if tables.is_empty() {
        return Ok(());
    }
    run(connection, format!("create database if not exists {}", quoted(name))).await?;
    moved(connection, &tables, (&here, name)).await
}

/// Moves every table of the database called `name` into the session's, and drops that database.
pub(crate) async fn bring_back(connection: &mut MySqlConnection, name: &str) -> sqlx::Result<()> {
    let here: String =
        sqlx::query_scalar("select cast(database() as char)").fetch_one(&mut *connection).await?;
    let is_there = "select count(*) from information_schema.schemata where schema_name = ?";
    let is_there: i64 = sqlx::query_scalar(is_there).bind(name).fetch_one(&mut *connection).await?;
    if is_there == 0 {
        return Ok(());
    }
    run(connection, format!("use {}", quoted(name))).await?;
    let tables = mysql_tables(connection).await?;
    run(connection, format!("use {}", quoted(&here))).await?;
    if !tables.is_empty() {
        moved(connection, &tables, (name, &here)).await?;
    }
    run(connection, format!("drop database {}", quoted(name))).await
}

/// In one statement: all of them, or none.
async fn moved(
    connection: &mut MySqlConnection,
    tables: &[String],
    (from, to): (&str, &str),
) -> sqlx::Result<()> {
    // Without a limit, a lock of a running server would block this for a year.
    run(connection, "set session lock_wait_timeout = 10".to_owned()).await?;
    let each = tables.iter().map(|table| {
        let table = quoted(table);
        format!("{from}.{table} to {to}.{table}", from = quoted(from), to = quoted(to))
    });
    run(connection, format!("rename table {}", each.collect::<Vec<_>>().join(", "))).await
}

async fn run(connection: &mut MySqlConnection, sql: String) -> sqlx::Result<()> {
    connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.map(|_| ())
}

/// Names that the server itself has said, and ours.
fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

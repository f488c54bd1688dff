//! The shape of a database: its tables, columns and indexes, and the migrations that made them; and how two of them differ.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use dsn::{DataSource, Server};
use serde::{Deserialize, Serialize};
use sqlx::mysql::MySqlConnection;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection as _};

use crate::connect::{Connected, connect};
use crate::dump::postgres::TABLES;
use crate::dump::postgres_text::table_name;
use crate::dump::{self, sqlite};
use crate::failure::Failure;
use crate::obstacle::ASIDE;
use crate::reason::Reason;

/// The shape of a database. Names are in lower case: up to 5.39 those of Mattermost on MySQL have capitals.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalogue {
    /// Its tables. On PostgreSQL the name of one that is not in `public` has its schema before it.
    pub tables: BTreeMap<String, Table>,
    /// The names of the migrations that have run (`db_migrations`), and of what a server has recorded of its own ones, which it does in
    /// code (`systems`).
    pub migrations: BTreeSet<String>,
}

/// The shape of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its columns, each with its type.
    pub columns: BTreeMap<String, String>,
    /// Its indexes, each with what defines it.
    pub indexes: BTreeMap<String, String>,
}

/// How the shape of a database has changed. Columns and indexes are written `table.name`; those of a table that was added or removed
/// are not listed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaDifference {
    /// Tables that are new.
    pub tables_added: Vec<String>,
    /// Tables that are gone.
    pub tables_removed: Vec<String>,
    /// Columns that are new.
    pub columns_added: Vec<String>,
    /// Columns that are gone.
    pub columns_removed: Vec<String>,
    /// Columns that have another type.
    pub columns_changed: Vec<Changed>,
    /// Indexes that are new.
    pub indexes_added: Vec<String>,
    /// Indexes that are gone.
    pub indexes_removed: Vec<String>,
    /// Indexes that are defined in another way.
    pub indexes_changed: Vec<Changed>,
}

/// Something that has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// What.
    pub name: String,
    /// What it was.
    pub before: String,
    /// What it is.
    pub after: String,
}

impl SchemaDifference {
    /// Whether nothing has changed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Catalogue {
    /// What has changed since `self`.
    pub fn difference(&self, after: &Self) -> SchemaDifference {
        let mut found = SchemaDifference::default();
        let tables = names(&self.tables, &after.tables);
        (found.tables_added, found.tables_removed) = (tables.added, tables.removed);
        for (name, before) in &self.tables {
            let Some(now) = after.tables.get(name) else { continue };
            let columns = names(&before.columns, &now.columns).of(name);
            found.columns_added.extend(columns.added);
            found.columns_removed.extend(columns.removed);
            found.columns_changed.extend(changed(name, &before.columns, &now.columns));
            let indexes = names(&before.indexes, &now.indexes).of(name);
            found.indexes_added.extend(indexes.added);
            found.indexes_removed.extend(indexes.removed);
            found.indexes_changed.extend(changed(name, &before.indexes, &now.indexes));
        }
        found
    }

    fn column(&mut self, table: &str, column: &str, kind: String) {
        let table = self.tables.entry(table.to_lowercase()).or_default();
        table.columns.insert(column.to_lowercase(), kind);
    }

    /// Indexes of views are left out: their tables are not known.
    fn index(&mut self, table: &str, index: &str, definition: &str) {
        if let Some(table) = self.tables.get_mut(&table.to_lowercase()) {
            let words: Vec<&str> = definition.split_whitespace().collect();
            table.indexes.insert(index.to_lowercase(), words.join(" "));
        }
    }

    /// The tables that name migrations, among those that are there.
    fn naming_migrations(&self) -> impl Iterator<Item = &'static str> {
        let has_names =
            |table: &&str| self.tables.get(*table).is_some_and(|table| table.columns.contains_key("name"));
        ["db_migrations", "systems"].into_iter().filter(has_names)
    }
}

/// Names that are only in one of two maps.
struct Names {
    added: Vec<String>,
    removed: Vec<String>,
}

impl Names {
    fn of(self, table: &str) -> Self {
        let within =
            |names: Vec<String>| names.into_iter().map(|name| format!("{table}.{name}")).collect::<Vec<_>>();
        Self { added: within(self.added), removed: within(self.removed) }
    }
}

fn names<T>(before: &BTreeMap<String, T>, after: &BTreeMap<String, T>) -> Names {
    let only = |one: &BTreeMap<String, T>, other: &BTreeMap<String, T>| {
        one.keys().filter(|name| !other.contains_key(*name)).cloned().collect()
    };
    Names { added: only(after, before), removed: only(before, after) }
}

fn changed<'a>(
    table: &'a str,
    before: &'a BTreeMap<String, String>,
    after: &'a BTreeMap<String, String>,
) -> impl Iterator<Item = Changed> + 'a {
    before.iter().filter_map(move |(name, was)| {
        let now = after.get(name).filter(|now| *now != was)?;
        Some(Changed { name: format!("{table}.{name}"), before: was.clone(), after: now.clone() })
    })
}

/// Reads the shape of a database, within the time limit.
///
/// # Errors
/// Why it cannot be read.
pub async fn catalogue(source: &DataSource, limit: Duration) -> Result<Catalogue, dump::Error> {
    let server = match source {
        DataSource::Sqlite(path) => return of_file(path, limit).await,
        DataSource::Server(server) => server,
    };
    Ok(of_server(server, limit).await?)
}

async fn of_file(path: &Path, limit: Duration) -> Result<Catalogue, dump::Error> {
    let fails = |error: sqlx::Error| sqlite::unreadable(path, &error);
    let mut connection = sqlite::open(path, limit).await.map_err(fails)?;
    let found = on_sqlite(&mut connection).await;
    sqlite::close(connection).await;
    found.map_err(fails)
}

async fn of_server(server: &Server, limit: Duration) -> Result<Catalogue, Failure> {
    let mut connected = connect(server, limit).await?;
    let looked = tokio::time::timeout(limit, async {
        match &mut connected {
            Connected::Postgres(connection) => on_postgres(connection).await,
            Connected::MySql(connection) => on_mysql(connection).await,
        }
    });
    let found = match looked.await {
        Ok(found) => found.map_err(|error| Failure::of(server, &error)),
        Err(_) => Err(Failure::new(server, Reason::timed_out(limit))),
    };
    connected.close().await;
    found
}

async fn on_sqlite(connection: &mut SqliteConnection) -> sqlx::Result<Catalogue> {
    let mut found = Catalogue::default();
    let columns = "select t.name, c.name, c.type from pragma_table_list t, pragma_table_info(t.name) c
                   where t.schema = 'main' and t.type = 'table' and t.name not like 'sqlite\\_%' escape '\\'";
    let columns: Vec<(String, String, String)> = sqlx::query_as(columns).fetch_all(&mut *connection).await?;
    for (table, column, kind) in columns {
        found.column(&table, &column, kind.to_lowercase());
    }
    // An index without a text belongs to a key of its table.
    let indexes = "select tbl_name, name, sql from sqlite_schema where type = 'index' and sql is not null";
    let indexes: Vec<(String, String, String)> = sqlx::query_as(indexes).fetch_all(&mut *connection).await?;
    for (table, index, definition) in indexes {
        found.index(&table, &index, &definition);
    }
    for table in found.naming_migrations().collect::<Vec<_>>() {
        let sql = AssertSqlSafe(format!("select name from {table}"));
        let names: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut *connection).await?;
        found.migrations.extend(names);
    }
    Ok(found)
}

/// A pooler may give each transaction another session of the server.
async fn on_postgres(connection: &mut PgConnection) -> sqlx::Result<Catalogue> {
    let mut found = Catalogue::default();
    let mut transaction = connection.begin().await?;
    let columns = format!(
        "with known (s, t) as ({TABLES})
         select k.s, k.t, a.attname::text, format_type(a.atttypid, a.atttypmod)
         from known k join pg_namespace n on n.nspname = k.s
         join pg_class c on c.relnamespace = n.oid and c.relname = k.t
         join pg_attribute a on a.attrelid = c.oid
         where a.attnum > 0 and not a.attisdropped"
    );
    let columns = sqlx::query_as(AssertSqlSafe(columns)).bind(ASIDE).persistent(false);
    let columns: Vec<(String, String, String, String)> = columns.fetch_all(&mut *transaction).await?;
    for (schema, table, column, kind) in columns {
        found.column(&table_name(&schema, &table), &column, kind);
    }
    let indexes = "select schemaname::text, tablename::text, indexname::text, indexdef from pg_indexes";
    let indexes = sqlx::query_as(indexes).persistent(false);
    let indexes: Vec<(String, String, String, String)> = indexes.fetch_all(&mut *transaction).await?;
    for (schema, table, index, definition) in indexes {
        found.index(&table_name(&schema, &table), &index, &definition);
    }
    for table in found.naming_migrations().collect::<Vec<_>>() {
        let names =
            sqlx::query_scalar(AssertSqlSafe(format!("select name::text from {table}"))).persistent(false);
        let names: Vec<String> = names.fetch_all(&mut *transaction).await?;
        found.migrations.extend(names);
    }
    transaction.rollback().await?;
    Ok(found)
}

async fn on_mysql(connection: &mut MySqlConnection) -> sqlx::Result<Catalogue> {
    let mut found = Catalogue::default();
    let columns = "select cast(c.table_name as char), cast(c.column_name as char), cast(c.column_type as char)
                   from information_schema.columns c
                   join information_schema.tables t on t.table_schema = c.table_schema and t.table_name = c.table_name
                   where c.table_schema = database() and t.table_type = 'BASE TABLE'";
    let columns: Vec<(String, String, String)> = sqlx::query_as(columns).fetch_all(&mut *connection).await?;
    for (table, column, kind) in columns {
        found.column(&table, &column, kind);
    }
    let indexes = "select cast(table_name as char), cast(index_name as char),
                          cast(concat(if(min(non_unique) = 0, 'unique ', ''),
                                      group_concat(column_name order by seq_in_index)) as char)
                   from information_schema.statistics where table_schema = database() group by 1, 2";
    let indexes: Vec<(String, String, String)> = sqlx::query_as(indexes).fetch_all(&mut *connection).await?;
    for (table, index, definition) in indexes {
        found.index(&table, &index, &definition.to_lowercase());
    }
    // `systems` has a capital up to 5.39; what the server recorded there is of later releases, which know no MySQL.
    if found.naming_migrations().any(|table| table == "db_migrations") {
        let names = "select cast(Name as char) from db_migrations";
        let names: Vec<String> = sqlx::query_scalar(names).fetch_all(connection).await?;
        found.migrations.extend(names);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table with its columns and its indexes.
    type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [(&'a str, &'a str)]);

    fn of(text: &[Row<'_>]) -> Catalogue {
        let mut found = Catalogue::default();
        for (table, columns, indexes) in text {
            for (column, kind) in *columns {
                found.column(table, column, (*kind).to_owned());
            }
            for (index, definition) in *indexes {
                found.index(table, index, definition);
            }
        }
        found
    }

    #[test]
    fn what_is_added_removed_and_changed_is_named_once() {
        let before = of(&[
            (
                "Posts",
                &[("Id", "varchar(26)"), ("ParentId", "varchar(26)"), ("Props", "text")],
                &[("a", "on (id)"), ("b", "on (x)")],
            ),
            ("tokens", &[("token", "text")], &[("t", "on (token)")]),
        ]);
        let after = of(&[
            (
                "posts",
                &[("id", "varchar(26)"), ("props", "jsonb"), ("remoteid", "text")],
                &[("b", "on\n (y)"), ("c", "")],
            ),
            ("drafts", &[("id", "text")], &[("d", "on (id)")]),
        ]);
        let found = before.difference(&after);
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let changed = |name: &str, before: &str, after: &str| {
            vec![Changed { name: name.to_owned(), before: before.to_owned(), after: after.to_owned() }]
        };
        assert_eq!(
            found,
            SchemaDifference {
                tables_added: texts(&["drafts"]),
                tables_removed: texts(&["tokens"]),
                columns_added: texts(&["posts.remoteid"]),
                columns_removed: texts(&["posts.parentid"]),
                columns_changed: changed("posts.props", "text", "jsonb"),
                indexes_added: texts(&["posts.c"]),
                indexes_removed: texts(&["posts.a"]),
                indexes_changed: changed("posts.b", "on (x)", "on (y)"),
            }
        );
        assert!(before.difference(&before).is_empty() && !found.is_empty());
    }

    #[tokio::test]
    async fn the_shape_of_a_file_is_read() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a.db");
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let mut connection = SqliteConnection::connect_with(&options).await.expect("made");
        let sql =
            "create table Posts (id VARCHAR(26) primary key, at bigint); create index posts_at on posts (at);
                   create table db_migrations (version bigint primary key, name text);
                   insert into db_migrations values (1, 'create_posts')";
        sqlx::raw_sql(sql).execute(&mut connection).await.expect("made");
        sqlite::close(connection).await;
        let limit = Duration::from_secs(5);
        let found = catalogue(&DataSource::Sqlite(path.clone()), limit).await.expect("read");
        let posts = &found.tables["posts"];
        assert_eq!((posts.columns["id"].as_str(), posts.columns["at"].as_str()), ("varchar(26)", "bigint"));
        assert_eq!(posts.indexes.keys().collect::<Vec<_>>(), ["posts_at"]);
        assert!(found.migrations.contains("create_posts"));
        let counted = crate::counted(&DataSource::Sqlite(path), &["posts"], limit).await.expect("counted");
        assert_eq!((counted.rows.len(), counted.rows["db_migrations"]), (1, 1));
        assert!(counted.uncounted.is_empty());
    }
}

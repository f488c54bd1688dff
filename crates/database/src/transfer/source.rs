//! Where rows come from: an SQLite file, or MySQL or MariaDB. All is read in one transaction.

use std::collections::BTreeMap;
use std::time::Duration;

use dsn::{DataSource, Engine, Server};
use futures_util::TryStreamExt as _;
use futures_util::stream::BoxStream;
use sqlx::mysql::{MySqlConnection, MySqlRow};
use sqlx::sqlite::{Sqlite, SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Decode, Executor as _, Row as _, TypeInfo as _, ValueRef as _};

use super::cell::Cell;
use super::error::Error;
use crate::connect::{Connected, connect};
use crate::dump::sqlite;
use crate::failure::Failure;
use crate::quote;

/// A database to read from.
pub(super) enum Source {
    Sqlite(std::path::PathBuf, SqliteConnection),
    MySql(Server, MySqlConnection),
}

/// A table of a source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Table {
    /// As it is written there.
    pub name: String,
    pub rows: u64,
    pub columns: Vec<Column>,
}

/// A column of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    /// As it is written there.
    pub name: String,
    /// What selects it.
    pub sql: String,
    /// Whether that is its bytes in hexadecimal.
    pub hex: bool,
}

impl Source {
    /// Opens it, at one moment.
    pub(super) async fn open(source: &DataSource, limit: Duration) -> Result<Self, Error> {
        let server = match source {
            DataSource::Sqlite(path) => {
                let failed = |error: sqlx::Error| sqlite::unreadable(path, &error);
                let mut connection = sqlite::open(path, limit).await.map_err(failed)?;
                connection.execute("begin").await.map_err(failed)?;
                return Ok(Self::Sqlite(path.clone(), connection));
            }
            DataSource::Server(server) => server,
        };
        match connect(server, limit).await? {
            Connected::MySql(mut connection) => {
                // The rows are read no faster than the target takes them.
                let begin = "set session net_write_timeout = 3600; set session wait_timeout = 28800;
                             set session transaction isolation level repeatable read;
                             start transaction with consistent snapshot, read only";
                let begun = sqlx::raw_sql(begin).execute(&mut connection).await;
                begun.map_err(|error| Failure::of(server, &error))?;
                Ok(Self::MySql(server.clone(), connection))
            }
            Connected::Postgres(_) => Err(Error::NoPlace(vec![format!(
                "the data of {server}: that is a PostgreSQL already, and `pg_dump` moves one"
            )])),
        }
    }

    /// Whether rows can be moved out of such a database.
    pub(super) fn is_possible(source: &DataSource) -> bool {
        !matches!(source, DataSource::Server(server) if server.engine == Engine::Postgres)
    }

    fn failed(&self, error: &sqlx::Error) -> Error {
        match self {
            Self::Sqlite(path, _) => sqlite::unreadable(path, error).into(),
            Self::MySql(server, _) => Failure::of(server, error).into(),
        }
    }

    /// Its tables by their names in lower case.
    pub(super) async fn tables(&mut self) -> Result<BTreeMap<String, Table>, Error> {
        let read = match self {
            Self::Sqlite(_, connection) => sqlite_tables(connection).await,
            Self::MySql(_, connection) => mysql_tables(connection).await,
        };
        read.map_err(|error| self.failed(&error))
    }

    /// In how many rows a column says anything.
    pub(super) async fn said(&mut self, table: &Table, column: &Column) -> Result<u64, Error> {
        let (name, from) = (self.quoted(&column.name), self.quoted(&table.name));
        let text = format!("cast({name} as char)");
        let sql = format!("select count(*) from {from} where {name} is not null and {text} not in ('', '0')");
        let counted = match self {
            Self::Sqlite(_, connection) => sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(connection).await,
            Self::MySql(_, connection) => sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(connection).await,
        };
        counted.map(i64::unsigned_abs).map_err(|error| self.failed(&error))
    }

    fn quoted(&self, name: &str) -> String {
        match self {
            Self::Sqlite(..) => format!("\"{}\"", name.replace('"', "\"\"")),
            Self::MySql(..) => mysql_quoted(name),
        }
    }

    /// The rows of a table, with these columns.
    pub(super) fn rows<'a>(
        &'a mut self,
        table: &Table,
        columns: &[Column],
    ) -> BoxStream<'a, Result<Vec<Cell>, Error>> {
        let selected = columns.iter().map(|column| column.sql.as_str()).collect::<Vec<_>>().join(", ");
        let sql = AssertSqlSafe(format!("select {selected} from {}", self.quoted(&table.name)));
        match self {
            Self::Sqlite(path, connection) => {
                let path = path.clone();
                let rows = sqlx::query(sql).fetch(connection);
                let cells = rows.and_then(async |row| sqlite_cells(&row));
                Box::pin(cells.map_err(move |error| sqlite::unreadable(&path, &error).into()))
            }
            Self::MySql(server, connection) => {
                let server = server.clone();
                let hex: Vec<bool> = columns.iter().map(|column| column.hex).collect();
                let rows = sqlx::query(sql).fetch(connection);
                let cells = rows.and_then(move |row| std::future::ready(mysql_cells(&row, &hex)));
                Box::pin(cells.map_err(move |error| Failure::of(&server, &error).into()))
            }
        }
    }

    pub(super) async fn close(self) {
        match self {
            Self::Sqlite(_, connection) => sqlite::close(connection).await,
            Self::MySql(_, connection) => Connected::MySql(connection).close().await,
        }
    }
}

async fn sqlite_tables(connection: &mut SqliteConnection) -> sqlx::Result<BTreeMap<String, Table>> {
    let sql = sqlite::TABLES;
    let names: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut *connection).await?;
    let mut tables = BTreeMap::new();
    for name in names {
        let quoted = format!("\"{}\"", name.replace('"', "\"\""));
        let count = AssertSqlSafe(format!("select count(*) from {quoted}"));
        let rows: i64 = sqlx::query_scalar(count).fetch_one(&mut *connection).await?;
        let columns = sqlx::query_scalar("select name from pragma_table_info(?)").bind(&name);
        let columns: Vec<String> = columns.fetch_all(&mut *connection).await?;
        let column =
            |name: String| Column { sql: format!("\"{}\"", name.replace('"', "\"\"")), name, hex: false };
        let table =
            Table { name, rows: rows.unsigned_abs(), columns: columns.into_iter().map(column).collect() };
        tables.insert(table.name.to_lowercase(), table);
    }
    Ok(tables)
}

fn mysql_quoted(name: &str) -> String {
    quote::mysql_name(name, "name").unwrap_or_else(|_| format!("`{}`", name.replace('`', "``")))
}

async fn mysql_tables(connection: &mut MySqlConnection) -> sqlx::Result<BTreeMap<String, Table>> {
    let sql = "select cast(c.table_name as char), cast(c.column_name as char), cast(c.data_type as char)
               from information_schema.columns c join information_schema.tables t
                 on t.table_schema = c.table_schema and t.table_name = c.table_name
               where c.table_schema = database() and t.table_type = 'BASE TABLE' order by c.table_name, c.ordinal_position";
    let mut tables: BTreeMap<String, Table> = BTreeMap::new();
    for row in sqlx::query(sql).fetch_all(&mut *connection).await? {
        let (name, column, kind): (String, String, String) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let table = tables.entry(name.to_lowercase()).or_insert_with(|| Table { name, ..Table::default() });
        table.columns.push(mysql_column(column, &kind.to_lowercase()));
    }
    for table in tables.values_mut() {
        let count = AssertSqlSafe(format!("select count(*) from {}", mysql_quoted(&table.name)));
        let rows: i64 = sqlx::query_scalar(count).fetch_one(&mut *connection).await?;
        table.rows = rows.unsigned_abs();
    }
    Ok(tables)
}

/// The server makes texts of everything but bytes: in UTF-8, whatever the column is in.
fn mysql_column(name: String, kind: &str) -> Column {
    let quoted = mysql_quoted(&name);
    let hex = kind.ends_with("blob") || kind.ends_with("binary");
    let sql = match kind {
        _ if hex => format!("hex({quoted})"),
        "bit" => format!("cast({quoted} + 0 as char)"),
        _ => format!("cast({quoted} as char)"),
    };
    Column { name, sql, hex }
}

fn sqlite_cells(row: &SqliteRow) -> sqlx::Result<Vec<Cell>> {
    let cell = |at: usize| {
        let raw = row.try_get_raw(at)?;
        if raw.is_null() {
            return Ok(Cell::Null);
        }
        let decoded = |error| sqlx::Error::Decode(error);
        let kind = raw.type_info().name().to_owned();
        Ok(match &*kind {
            "INTEGER" => Cell::Integer(<i64 as Decode<'_, Sqlite>>::decode(raw).map_err(decoded)?),
            "REAL" => Cell::Real(<f64 as Decode<'_, Sqlite>>::decode(raw).map_err(decoded)?),
            kind => {
                let bytes = <Vec<u8> as Decode<'_, Sqlite>>::decode(raw).map_err(decoded)?;
                match kind {
                    "BLOB" => Cell::Bytes(bytes),
                    _ => String::from_utf8(bytes)
                        .map_or_else(|error| Cell::Bytes(error.into_bytes()), Cell::Text),
                }
            }
        })
    };
    (0..row.len()).map(cell).collect()
}

fn mysql_cells(row: &MySqlRow, hex: &[bool]) -> sqlx::Result<Vec<Cell>> {
    let cell = |(at, hex): (usize, &bool)| {
        let text: Option<String> = row.try_get_unchecked(at)?;
        Ok(match text {
            None => Cell::Null,
            Some(text) if *hex => Cell::Bytes(unhexed(&text)),
            Some(text) => Cell::Text(text),
        })
    };
    hex.iter().enumerate().map(cell).collect()
}

/// The bytes that MySQL has written as hexadecimal digits.
fn unhexed(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or_default() as u8;
    text.as_bytes().chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mysql_is_asked_for_texts_and_for_bytes_in_digits() {
        assert_eq!(mysql_column("CreateAt".to_owned(), "bigint").sql, "cast(`CreateAt` as char)");
        assert_eq!(mysql_column("MiniPreview".to_owned(), "mediumblob").sql, "hex(`MiniPreview`)");
        assert_eq!(mysql_column("Flag".to_owned(), "bit").sql, "cast(`Flag` + 0 as char)");
        assert_eq!(unhexed("00FF5c"), [0, 255, 0x5c]);
        assert_eq!(unhexed(""), [0_u8; 0]);
    }
}

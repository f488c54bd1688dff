//! Statements that SQLite and PostgreSQL both run.
//!
//! They are written once, in PostgreSQL's dialect, with `$1` for values. For SQLite, `= any($1)` (a list) and `greatest(`
//! are replaced. If the engines differ in more, [`Dialects`] has both statements side by side.

mod column;
mod row;
mod value;

use std::borrow::Cow;
use std::time::Duration;

pub(crate) use column::Column;
use row::Rows;
pub(crate) use row::{FromRow, Row, row};
use sqlx::postgres::{PgArguments, PgConnection, PgPool};
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqlitePool};
use sqlx::{AssertSqlSafe, Executor, Postgres, Sqlite};
pub(crate) use value::Value;

/// One connection.
pub(crate) enum Connection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// Connections for reading.
pub(crate) enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// Where a statement runs.
pub(crate) enum Place<'a> {
    Connection(&'a mut Connection),
    Pool(&'a Pool),
}

/// One statement in two dialects, for values in the same order.
pub(crate) struct Dialects {
    pub(crate) sqlite: &'static str,
    pub(crate) postgres: &'static str,
}

/// A statement's text.
pub(crate) enum Text {
    Common(Cow<'static, str>),
    Each(Dialects),
}

/// A statement with its values.
#[must_use = "a statement does nothing until it runs"]
pub(crate) struct Query {
    text: Text,
    values: Vec<Value>,
}

/// How long a read on PostgreSQL may take before it fails: longer than any statement takes, shorter than clients wait.
const READ_TIMEOUT: Duration = Duration::from_secs(20);

/// How many lost connections a read may get before it fails: more than the pool has.
const TRIES: u32 = 20;

/// A statement that has no values yet.
pub(crate) fn query(text: impl Into<Text>) -> Query {
    Query { text: text.into(), values: Vec::new() }
}

/// The statement that inserts a row with these columns.
pub(crate) fn insert(table: &str, columns: &[&str]) -> String {
    let marks: Vec<String> = (1..=columns.len()).map(|number| format!("${number}")).collect();
    format!("insert into {table} ({}) values ({})", columns.join(", "), marks.join(", "))
}

impl From<&'static str> for Text {
    fn from(text: &'static str) -> Text {
        Text::Common(Cow::Borrowed(text))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Text {
        Text::Common(Cow::Owned(text))
    }
}

impl From<Dialects> for Text {
    fn from(both: Dialects) -> Text {
        Text::Each(both)
    }
}

impl<'a> From<&'a mut Connection> for Place<'a> {
    fn from(connection: &'a mut Connection) -> Place<'a> {
        Place::Connection(connection)
    }
}

impl<'a> From<&'a Pool> for Place<'a> {
    fn from(pool: &'a Pool) -> Place<'a> {
        Place::Pool(pool)
    }
}

impl Connection {
    /// Runs statements that have no values, unchanged.
    pub(crate) async fn run(&mut self, statements: &'static str) -> sqlx::Result<()> {
        match self {
            Connection::Sqlite(connection) => connection.execute(statements).await.map(drop),
            Connection::Postgres(connection) => connection.execute(statements).await.map(drop),
        }
    }

    /// Closes the connection properly.
    pub(crate) async fn close(self) -> sqlx::Result<()> {
        match self {
            Connection::Sqlite(connection) => sqlx::Connection::close(connection).await,
            Connection::Postgres(connection) => sqlx::Connection::close(connection).await,
        }
    }
}

/// Evaluates `$run` with sqlx's query and executor for the engine of `$place`.
macro_rules! run {
    ($query:expr, $place:expr, |$statement:ident, $executor:ident| $run:expr) => {
        match $place {
            Place::Connection(Connection::Sqlite($executor)) => {
                let $statement = $query.for_sqlite()?;
                $run
            }
            Place::Pool(Pool::Sqlite($executor)) => {
                let $statement = $query.for_sqlite()?;
                $run
            }
            Place::Connection(Connection::Postgres($executor)) => {
                let $statement = $query.for_postgres()?;
                $run
            }
            Place::Pool(Pool::Postgres($executor)) => {
                let mut tries = 0;
                let read = async {
                    loop {
                        let $statement = $query.for_postgres()?;
                        match async { $run }.await {
                            Err(error) if is_loss(&error) && tries < TRIES => tries += 1,
                            done => break done,
                        }
                    }
                };
                tokio::time::timeout(READ_TIMEOUT, read).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
            }
        }
    };
}

/// Whether `error` means that the connection was lost, for example because the database server restarts.
fn is_loss(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        // Class 57: the server shuts down, or an administrator ended the connection.
        sqlx::Error::Database(cause) => cause.code().is_some_and(|code| code.starts_with("57P0")),
        _ => false,
    }
}

impl Query {
    /// Binds the next of `$1`, `$2`, …
    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Query {
        self.values.push(value.into());
        self
    }

    /// Appends to the text.
    pub(crate) fn push(&mut self, more: &str) -> &mut Query {
        if let Text::Common(text) = &mut self.text {
            text.to_mut().push_str(more);
        }
        self
    }

    /// Binds a value, and appends its `$1` to the text.
    pub(crate) fn push_bind(&mut self, value: impl Into<Value>) -> &mut Query {
        self.values.push(value.into());
        let mark = format!("${}", self.values.len());
        self.push(&mark)
    }

    /// Runs the statement; returns how many rows it changed.
    pub(crate) async fn execute<'a>(self, place: impl Into<Place<'a>>) -> sqlx::Result<u64> {
        self.change(place.into()).await
    }

    /// All rows.
    pub(crate) async fn fetch_all<'a, T: FromRow>(self, place: impl Into<Place<'a>>) -> sqlx::Result<Vec<T>> {
        self.read(place.into()).await?.iter().map(|row| T::from_row(&row)).collect()
    }

    /// The first row, if there is one.
    pub(crate) async fn fetch_optional<'a, T: FromRow>(
        self,
        place: impl Into<Place<'a>>,
    ) -> sqlx::Result<Option<T>> {
        self.read(place.into()).await?.iter().next().map(|row| T::from_row(&row)).transpose()
    }

    /// The first row, which must be there.
    pub(crate) async fn fetch_one<'a, T: FromRow>(self, place: impl Into<Place<'a>>) -> sqlx::Result<T> {
        self.fetch_optional(place).await?.ok_or(sqlx::Error::RowNotFound)
    }

    // The drivers' futures are large: here they are compiled once, not for every type of row.

    async fn change(self, place: Place<'_>) -> sqlx::Result<u64> {
        run!(self, place, |statement, executor| Ok(statement.execute(executor).await?.rows_affected()))
    }

    async fn read(self, place: Place<'_>) -> sqlx::Result<Rows> {
        run!(self, place, |statement, executor| statement.fetch_all(executor).await.map(Rows::from))
    }

    fn for_sqlite(self) -> sqlx::Result<sqlx::query::Query<'static, Sqlite, SqliteArguments>> {
        let mut arguments = SqliteArguments::default();
        for value in self.values {
            value.add_to_sqlite(&mut arguments).map_err(sqlx::Error::Encode)?;
        }
        Ok(match self.text {
            Text::Each(both) => sqlx::query_with(both.sqlite, arguments),
            Text::Common(text) => match in_sqlite(text) {
                Cow::Borrowed(text) => sqlx::query_with(text, arguments),
                Cow::Owned(text) => sqlx::query_with(AssertSqlSafe(text), arguments),
            },
        })
    }

    fn for_postgres(&self) -> sqlx::Result<sqlx::query::Query<'static, Postgres, PgArguments>> {
        let mut arguments = PgArguments::default();
        for value in &self.values {
            value.add_to_postgres(&mut arguments).map_err(sqlx::Error::Encode)?;
        }
        Ok(match &self.text {
            Text::Each(both) => sqlx::query_with(both.postgres, arguments),
            Text::Common(Cow::Borrowed(text)) => sqlx::query_with(*text, arguments),
            Text::Common(Cow::Owned(text)) => sqlx::query_with(AssertSqlSafe(text.clone()), arguments),
        })
    }
}

/// `text` for a LIKE pattern with `ESCAPE '\'`.
pub(crate) fn escape_like(text: &str) -> String {
    text.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_")
}

/// The statement in SQLite's dialect: lists are read from JSON, and `greatest` is called `max`.
fn in_sqlite(text: Cow<'static, str>) -> Cow<'static, str> {
    const LIST: &str = "= any($";
    const GREATEST: &str = "greatest(";
    if !text.contains(LIST) && !text.contains(GREATEST) {
        return text;
    }
    let mut translated = String::with_capacity(text.len() + 64);
    let mut rest = text.as_ref();
    while let Some((before, list)) = rest.split_once(LIST) {
        let (number, after) = list.split_once(')').unwrap_or((list, ""));
        translated.push_str(before);
        translated.push_str("in (select value from json_each($");
        translated.push_str(number);
        translated.push_str("))");
        rest = after;
    }
    translated.push_str(rest);
    Cow::Owned(translated.replace(GREATEST, "max("))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn for_sqlite_lists_are_read_from_json_and_greatest_is_max() {
        let text = "select greatest(a, $1) from t where a = any($2) or b = any($11) and c = $3";
        let expected = "select max(a, $1) from t where a in (select value from json_each($2)) or \
                        b in (select value from json_each($11)) and c = $3";
        assert_eq!(in_sqlite(text.into()), expected);
        assert!(matches!(in_sqlite("select max(a) from t".into()), Cow::Borrowed(_)));
    }
}

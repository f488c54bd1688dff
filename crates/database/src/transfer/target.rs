//! The PostgreSQL that rows are moved into: its tables, and the rows that it has afterwards.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::TryStreamExt as _;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Executor as _, Row as _};

use super::cell::{Kind, form};
use super::error::Error;
use super::tally::Tally;
use super::text;
use crate::failure::Failure;
use crate::quote;

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub name: String,
    /// `Err` is the name of a type that is not known.
    pub kind: Result<Kind, String>,
    pub nullable: bool,
    /// Whether it has a value where none is given.
    pub has_default: bool,
    /// The place in the primary key, from 1 on.
    pub key: Option<i32>,
}

/// The tables of the schema that Mattermost uses, each with its columns.
pub(super) type Tables = BTreeMap<String, Vec<Column>>;

/// A generated column takes no values. Its name in the catalogue is not known to PostgreSQL 11.
const COLUMNS: &str = "
    select c.relname::text, a.attname::text, t.typname::text, t.typtype::text, a.atttypmod, a.attnotnull,
           a.atthasdef or a.attidentity <> '',
           (select array_position(i.indkey::int2[], a.attnum) from pg_index i where i.indrelid = c.oid and i.indisprimary)
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
         join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
         join pg_type t on t.oid = a.atttypid
    where n.nspname = coalesce(current_schema(), 'public') and c.relkind = 'r'
      and coalesce(to_jsonb(a)->>'attgenerated', '') = ''
      and not exists (select from pg_depend d
                      where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
    order by c.relname, a.attnum";

pub(super) async fn tables(connection: &mut PgConnection) -> sqlx::Result<Tables> {
    let mut tables = Tables::new();
    for row in sqlx::query(COLUMNS).persistent(false).fetch_all(connection).await? {
        let (kind, class): (String, String) = (row.try_get(2)?, row.try_get(3)?);
        let (length, not_null): (i32, bool) = (row.try_get(4)?, row.try_get(5)?);
        let column = Column {
            name: row.try_get(1)?,
            kind: known(&kind, &class, length).ok_or(kind),
            nullable: !not_null,
            has_default: row.try_get(6)?,
            key: row.try_get(7)?,
        };
        tables.entry(row.try_get(0)?).or_default().push(column);
    }
    Ok(tables)
}

fn known(kind: &str, class: &str, length: i32) -> Option<Kind> {
    // PostgreSQL counts the four bytes of a length along.
    let most = usize::try_from(length - 4).ok();
    Some(match (kind, class) {
        (_, "e") => Kind::Text(None),
        ("bool", _) => Kind::Boolean,
        ("int2", _) => Kind::Integer(2),
        ("int4", _) => Kind::Integer(4),
        ("int8", _) => Kind::Integer(8),
        ("numeric", _) => Kind::Numeric,
        ("float8", _) => Kind::Float,
        ("varchar", _) => Kind::Text(most),
        ("text" | "json", _) => Kind::Text(None),
        ("jsonb", _) => Kind::Json,
        ("bytea", _) => Kind::Bytes,
        _ => return None,
    })
}

/// Which table must be filled before which.
pub(super) async fn references(connection: &mut PgConnection) -> sqlx::Result<Vec<(String, String)>> {
    let sql = "select p.relname::text, c.relname::text from pg_constraint k
               join pg_class c on c.oid = k.conrelid join pg_class p on p.oid = k.confrelid
               where k.contype = 'f' and p.oid <> c.oid";
    sqlx::query_as(sql).persistent(false).fetch_all(connection).await
}

/// The names in an order in which a table comes after those that it refers to. In a circle, none is right: PostgreSQL says so then.
pub(super) fn ordered(names: BTreeSet<String>, references: &[(String, String)]) -> Vec<String> {
    let mut left: Vec<String> = names.into_iter().collect();
    let mut done = Vec::new();
    while !left.is_empty() {
        let waits = |name: &String| {
            references.iter().any(|(parent, child)| child == name && parent != name && left.contains(parent))
        };
        let (later, mut now): (Vec<_>, Vec<_>) = left.iter().cloned().partition(waits);
        let stuck = now.is_empty();
        done.append(&mut now);
        if stuck {
            done.extend(later);
            break;
        }
        left = later;
    }
    done
}

/// `"table"`.
pub(super) fn quoted(name: &str) -> String {
    quote::postgres_name(name, "table").unwrap_or_else(|_| format!("\"{}\"", name.replace('"', "\"\"")))
}

/// `"a", "b"`.
pub(super) fn listed(columns: &[Column]) -> String {
    columns.iter().map(|column| quoted(&column.name)).collect::<Vec<_>>().join(", ")
}

/// Reads a table again, and says what is in it.
pub(super) async fn tally(
    connection: &mut PgConnection,
    table: &str,
    columns: &[Column],
    kinds: &[Kind],
) -> sqlx::Result<Tally> {
    let sql = format!("copy {} ({}) to stdout", quoted(table), listed(columns));
    let mut stream = connection.copy_out_raw(&sql).await?;
    let (mut tally, mut line) = (Tally::default(), Vec::new());
    while let Some(bytes) = stream.try_next().await? {
        let mut rest = &bytes[..];
        while let Some(end) = memchr::memchr(b'\n', rest) {
            line.extend_from_slice(&rest[..end]);
            add(&mut tally, &line, kinds);
            line.clear();
            rest = &rest[end + 1..];
        }
        line.extend_from_slice(rest);
    }
    Ok(tally)
}

fn add(tally: &mut Tally, line: &[u8], kinds: &[Kind]) {
    let forms: Vec<Option<Vec<u8>>> = text::columns(line)
        .zip(kinds)
        .map(|(stored, kind)| {
            let stored = stored?;
            let is_text = !matches!(kind, Kind::Json | Kind::Numeric | Kind::Float);
            let form = (!is_text).then(|| form(std::str::from_utf8(&stored).ok()?, *kind)).flatten();
            Some(form.map_or(stored, String::into_bytes))
        })
        .collect();
    tally.add(forms.iter().map(Option::as_deref));
}

/// Sequences go on after the greatest number that was moved.
pub(super) async fn set_sequences(
    connection: &mut PgConnection,
    table: &str,
    columns: &[Column],
) -> sqlx::Result<()> {
    for column in columns.iter().filter(|column| matches!(column.kind, Ok(Kind::Integer(_)))) {
        let sql = "select pg_get_serial_sequence($1, $2)";
        let found = sqlx::query_scalar(sql).bind(quoted(table)).bind(&column.name).persistent(false);
        let sequence: Option<String> = found.fetch_one(&mut *connection).await?;
        if let Some(sequence) = sequence {
            let sql = format!(
                "select setval({}, coalesce((select max({}) from {}), 0) + 1, false)",
                quote::postgres_text(&sequence),
                quoted(&column.name),
                quoted(table)
            );
            connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
        }
    }
    Ok(())
}

/// A failure of the target.
pub(super) fn failed(server: &dsn::Server) -> impl Fn(sqlx::Error) -> Error + Copy + '_ {
    |error| Error::Server(Failure::of(server, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_filled_after_those_that_it_refers_to() {
        let names = || ["a", "b", "c", "d"].map(str::to_owned).into_iter().collect::<BTreeSet<_>>();
        let refers = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(parent, child)| ((*parent).to_owned(), (*child).to_owned()))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            ordered(names(), &refers(&[("d", "a"), ("c", "d"), ("other", "b")])),
            ["b", "c", "d", "a"]
        );
        assert_eq!(ordered(names(), &refers(&[("a", "b"), ("b", "a")])), ["c", "d", "a", "b"]);
    }
}

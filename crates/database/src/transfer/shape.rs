//! Which table and which column of a source goes where in the target.

use std::collections::{BTreeMap, BTreeSet};

use super::cell::{Cell, Kind};
use super::error::Error;
use super::source::{self, Source};
use super::target::{self, Tables, ordered};
use super::{Way, kind_of};

/// What each side writes for itself: the target's release has just made its own. The last is the index of the search on SQLite,
/// which PostgreSQL makes of the posts.
const BOOKKEEPING: [&str; 6] = [
    "db_migrations",
    "db_lock",
    "schema_migrations",
    "db_config_migrations",
    "gorp_migrations",
    "mainstaysearchedposts",
];

/// The longest part of a key that a message has.
const LONGEST: usize = 40;

/// A table, and where it comes from. Columns, their kinds, and those of the source belong together by their places.
pub(super) struct Pair {
    /// Its name in the target.
    pub table: String,
    pub columns: Vec<target::Column>,
    pub kinds: Vec<Kind>,
    pub source: source::Table,
    pub from: Vec<source::Column>,
}

/// All tables that are moved, in order.
pub(super) struct Shape {
    pub pairs: Vec<Pair>,
}

impl Shape {
    /// Matches them by name.
    ///
    /// # Errors
    /// Something that says something has no place; a column must have a value, and there is none; a type is not known.
    pub(super) async fn of(
        source: &mut Source,
        targets: Tables,
        references: &[(String, String)],
        way: &Way,
    ) -> Result<Self, Error> {
        let sources = source.tables().await?;
        let left_out: BTreeSet<String> = way.leave_out.iter().map(|name| name.to_lowercase()).collect();
        let Matched { mut pairs, tables, columns } = matched(&sources, &targets, &left_out)?;
        let mut without = tables;
        for (table, column) in columns {
            let rows = source.said(table, column).await?;
            if rows > 0 {
                let rows = finding::counted(rows, "row says", "rows say");
                without.push(format!("column {}.{} ({rows} something)", table.name, column.name));
            }
        }
        if !without.is_empty() {
            return Err(Error::NoPlace(without));
        }
        if pairs.is_empty() {
            return Err(Error::NoTables);
        }
        let order = ordered(pairs.keys().cloned().collect(), references);
        Ok(Self { pairs: order.iter().filter_map(|name| pairs.remove(name)).collect() })
    }

    pub(super) fn rows(&self) -> u64 {
        self.pairs.iter().map(|pair| pair.source.rows).sum()
    }
}

/// What matches, and what does not.
struct Matched<'a> {
    pairs: BTreeMap<String, Pair>,
    /// Tables with rows that have no place, in words.
    tables: Vec<String>,
    /// Columns that have no place, if they say something.
    columns: Vec<(&'a source::Table, &'a source::Column)>,
}

fn matched<'a>(
    sources: &'a BTreeMap<String, source::Table>,
    targets: &Tables,
    left_out: &BTreeSet<String>,
) -> Result<Matched<'a>, Error> {
    let mut found = Matched { pairs: BTreeMap::new(), tables: Vec::new(), columns: Vec::new() };
    for (name, table) in sources {
        if BOOKKEEPING.contains(&&**name) || left_out.contains(name) {
            continue;
        }
        let Some((there, columns)) = targets.iter().find(|(there, _)| there.to_lowercase() == *name) else {
            if table.rows > 0 {
                found.tables.push(format!(
                    "table {} ({})",
                    table.name,
                    finding::counted(table.rows, "row", "rows")
                ));
            }
            continue;
        };
        let mut pair = Pair {
            table: there.clone(),
            columns: Vec::new(),
            kinds: Vec::new(),
            source: table.clone(),
            from: Vec::new(),
        };
        for column in &table.columns {
            let lower = column.name.to_lowercase();
            match columns.iter().find(|there| there.name.to_lowercase() == lower) {
                _ if left_out.contains(&format!("{name}.{lower}")) => {}
                None => found.columns.push((table, column)),
                Some(there) => {
                    pair.kinds.push(kind_of(&pair.table, there)?);
                    pair.columns.push(there.clone());
                    pair.from.push(column.clone());
                }
            }
        }
        let is_missing =
            |there: &&target::Column| !there.nullable && !there.has_default && !pair.columns.contains(there);
        if let Some(missing) = columns.iter().find(is_missing).filter(|_| table.rows > 0) {
            found.tables.push(format!(
                "the rows of {}, which have no {}: the two databases are of different releases",
                table.name, missing.name
            ));
            continue;
        }
        if !pair.columns.is_empty() {
            found.pairs.insert(pair.table.clone(), pair);
        }
    }
    Ok(found)
}

impl Pair {
    /// How a message names a row: by its primary key.
    pub(super) fn name(&self, row: &[Cell]) -> String {
        let mut keys: Vec<_> =
            self.columns.iter().zip(row).filter_map(|(column, cell)| Some((column.key?, cell))).collect();
        keys.sort_by_key(|(place, _)| *place);
        if keys.is_empty() {
            keys = row.iter().take(1).map(|cell| (1, cell)).collect();
        }
        keys.into_iter().map(|(_, cell)| shown(cell)).collect::<Vec<_>>().join("/")
    }
}

fn shown(cell: &Cell) -> String {
    match cell {
        Cell::Null => "NULL".to_owned(),
        Cell::Integer(number) => number.to_string(),
        Cell::Real(number) => number.to_string(),
        Cell::Text(text) => finding::one_line(text, LONGEST),
        Cell::Bytes(_) => "(bytes)".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(name: &str, rows: u64, columns: &[&str]) -> (String, source::Table) {
        let column =
            |name: &&str| source::Column { name: (*name).to_owned(), sql: String::new(), hex: false };
        let columns = columns.iter().map(column).collect();
        (name.to_lowercase(), source::Table { name: name.to_owned(), rows, columns })
    }

    fn into(name: &str, columns: &[(&str, bool)]) -> (String, Vec<target::Column>) {
        let column = |(name, nullable): &(&str, bool)| target::Column {
            name: (*name).to_owned(),
            kind: Ok(Kind::Text(None)),
            nullable: *nullable,
            has_default: false,
            key: (*name == "id").then_some(1),
        };
        (name.to_owned(), columns.iter().map(column).collect())
    }

    #[test]
    fn names_are_matched_whatever_their_case_and_nothing_is_dropped_silently() {
        let sources = BTreeMap::from([
            from("Posts", 2, &["Id", "Message", "ParentId"]),
            from("db_migrations", 9, &["Version"]),
            from("Focalboard_Blocks", 3, &["Id"]),
            from("Empty", 0, &["Id"]),
            from("Old", 1, &["Id"]),
        ]);
        let targets = Tables::from([
            into("posts", &[("message", true), ("id", false), ("remoteid", true)]),
            into("old", &[("id", false), ("needed", false)]),
            into("db_migrations", &[("version", false)]),
        ]);
        let found = matched(&sources, &targets, &BTreeSet::new()).expect("types are known");
        let [(name, posts)] = &found.pairs.iter().collect::<Vec<_>>()[..] else { panic!("one table") };
        assert_eq!(*name, "posts");
        let columns: Vec<_> =
            posts.columns.iter().zip(&posts.from).map(|(to, from)| (&*to.name, &*from.name)).collect();
        assert_eq!(columns, [("id", "Id"), ("message", "Message")]);
        assert_eq!(posts.name(&[Cell::Text("abc".to_owned()), Cell::Null]), "abc");
        assert_eq!(found.columns.iter().map(|(_, column)| &*column.name).collect::<Vec<_>>(), ["ParentId"]);
        assert!(found.tables[0].contains("Focalboard_Blocks (3 rows)"), "{:?}", found.tables);
        assert!(found.tables[1].contains("have no needed"), "{:?}", found.tables);
        let left_out = ["focalboard_blocks", "posts.parentid", "old"].map(str::to_owned).into();
        let found = matched(&sources, &targets, &left_out).expect("types are known");
        assert!(found.tables.is_empty() && found.columns.is_empty());
    }
}

//! The comparison of what people had with what they have. Pure.

use std::collections::BTreeSet;

use database::SchemaDifference;
use finding::counted;
use serde::{Deserialize, Serialize};

use super::Census;
use super::expected::{NOT_COMPARED, ON_PURPOSE, Removed};
use crate::error::{Error, Exit};

/// As many rows of one table may go with what an interrupted acceptance test has left.
const LEFT_BY_TEST: u64 = 100;

/// How many losses are named.
const NAMED: usize = 5;

/// What a comparison came to in which nothing was lost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compared {
    /// Tables whose rows were counted.
    pub tables: u64,
    /// The rows that were there before, and are there still.
    pub rows: u64,
    /// Uploaded files that are there as before.
    pub files: u64,
    /// What was not compared, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_compared: Vec<String>,
    /// What is gone because the release removes it on purpose, or because it was allowed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<String>,
    /// How the shape of the database has changed.
    #[serde(default, skip_serializing_if = "SchemaDifference::is_empty")]
    pub schema: SchemaDifference,
}

impl Compared {
    /// In a sentence.
    pub fn in_words(&self) -> String {
        let rows = counted(self.rows, "row", "rows");
        let mut text = format!("{}, {rows}: as before", counted(self.tables, "table", "tables"));
        if self.files > 0 {
            text = format!("{text}; {} as before", counted(self.files, "uploaded file", "uploaded files"));
        }
        text
    }

    /// All that a person wants to know of it.
    pub fn in_lines(&self) -> Vec<String> {
        let removed = self.removed.iter().map(|what| format!("removed: {what}"));
        let not_compared = self.not_compared.iter().map(|what| format!("not compared: {what}"));
        [self.in_words()].into_iter().chain(removed).chain(not_compared).collect()
    }
}

/// Compares. `allowed` names tables and columns (`table.column`) that may be lost.
///
/// # Errors
/// What is lost, each as a part of a sentence.
pub(crate) fn compare(before: &Census, after: &Census, allowed: &[String]) -> Result<Compared, Vec<String>> {
    let schema = before.catalogue.difference(&after.catalogue);
    let ran: BTreeSet<&str> =
        after.catalogue.migrations.difference(&before.catalogue.migrations).map(String::as_str).collect();
    let judge = Judge { ran, allowed };
    let (mut lost, mut found) = (Vec::new(), Compared::default());
    for table in schema.tables_removed.iter().filter(|table| had(before, table)) {
        let reason = judge.reason(table, |removed| matches!(removed, Removed::Table(name) if *name == table));
        let rows = before.rows.get(table).map(|rows| format!(" with {}", counted(*rows, "row", "rows")));
        place(reason, format!("table {table} is gone{}", rows.unwrap_or_default()), &mut found, &mut lost);
    }
    for column in &schema.columns_removed {
        let Some((table, name)) = column.rsplit_once('.').filter(|(table, _)| had(before, table)) else {
            continue;
        };
        let is_it = |removed: &Removed| matches!(removed, Removed::Column(t, c) if *t == table && *c == name);
        let reason = judge.reason(column, is_it).or_else(|| judge.allowed(table));
        place(reason, format!("column {column} is gone"), &mut found, &mut lost);
    }
    for (table, had) in &before.rows {
        let Some(has) = after.rows.get(table) else {
            if after.uncounted.contains(table) {
                found.not_compared.push(format!("table {table}: there was no time to count it again"));
            }
            continue;
        };
        (found.tables, found.rows) = (found.tables + 1, found.rows + had);
        let gone = had.saturating_sub(*has);
        if gone == 0 {
            continue;
        }
        let is_it = |removed: &Removed| matches!(removed, Removed::Rows(name) if *name == table);
        let left = before.leftovers && gone <= LEFT_BY_TEST;
        let left = left.then(|| "the acceptance test removed what an interrupted one had left".to_owned());
        let what = format!("{table}: {} gone ({had} before, {has} now)", are(gone, "row"));
        place(judge.reason(table, is_it).or(left), what, &mut found, &mut lost);
    }
    let uncounted = before
        .uncounted
        .iter()
        .map(|table| format!("table {table}: there was no time to count it, or no right to"));
    found.not_compared.extend(uncounted);
    files(before, after, &mut found, &mut lost);
    found.schema = schema;
    if lost.is_empty() { Ok(found) } else { Err(lost) }
}

fn files(before: &Census, after: &Census, found: &mut Compared, lost: &mut Vec<String>) {
    let (was, is) = (&before.files, &after.files);
    found.not_compared.extend(was.unknown.clone());
    if was.not_looked_at > 0 {
        let files = counted(was.not_looked_at, "uploaded file", "uploaded files");
        found.not_compared.push(format!("{files}: looking at the others took too long"));
    }
    let new_flaws = is.flawed.iter().filter(|(path, _)| !was.flawed.contains_key(*path));
    lost.extend(new_flaws.map(|(path, flaw)| format!("file {path}: {flaw}")));
    if was.unknown.is_none() {
        found.files = was.looked_at.saturating_sub(was.flawed.len() as u64);
    }
}

/// Whether people may have had anything in a table: it is theirs, and was not empty.
fn had(before: &Census, table: &str) -> bool {
    let is_theirs = NOT_COMPARED.iter().all(|(name, _)| *name != table);
    is_theirs && before.rows.get(table) != Some(&0)
}

fn are(count: u64, what: &str) -> String {
    let verb = if count == 1 { "is" } else { "are" };
    format!("{} {verb}", counted(count, what, &format!("{what}s")))
}

fn place(reason: Option<String>, what: String, found: &mut Compared, lost: &mut Vec<String>) {
    match reason {
        Some(reason) => found.removed.push(format!("{what}: {reason}")),
        None => lost.push(what),
    }
}

/// Decides whether something may be gone.
struct Judge<'a> {
    /// The migrations that ran in between.
    ran: BTreeSet<&'a str>,
    allowed: &'a [String],
}

impl Judge<'_> {
    /// Why it may be gone.
    fn reason(&self, name: &str, is_it: impl Fn(&Removed) -> bool) -> Option<String> {
        let mut rules = ON_PURPOSE.iter();
        let rule = rules.find(|(migration, removed, _)| self.ran.contains(migration) && is_it(removed));
        let rule = rule.map(|(migration, _, why)| format!("the migration `{migration}` removes it ({why})"));
        rule.or_else(|| self.allowed(name))
    }

    fn allowed(&self, name: &str) -> Option<String> {
        let allows = |allowed: &String| allowed.eq_ignore_ascii_case(name);
        self.allowed.iter().any(allows).then(|| "it was allowed with `--may-lose`".to_owned())
    }
}

/// What was lost, as the error that ends the run.
pub(crate) fn loss(lost: &[String]) -> Error {
    let named = lost.iter().take(NAMED).cloned().collect::<Vec<_>>().join("; ");
    let more = match lost.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    Error::new(Exit::NotVerified, format!("the new release lost what people had: {named}{more}")).hint(
        "if the release removes it on purpose, name the table or the column: `mainstay upgrade --may-lose TABLE` or `--may-lose TABLE.COLUMN`",
    )
}

#[cfg(test)]
mod tests {
    use database::Table;

    use super::super::files::Files;
    use super::*;

    fn census(tables: &[(&str, u64, &[&str])], migrations: &[&str]) -> Census {
        let mut census = Census::default();
        for (table, rows, columns) in tables {
            let columns = columns.iter().map(|column| ((*column).to_owned(), "text".to_owned())).collect();
            let table_of = Table { columns, ..Table::default() };
            census.catalogue.tables.insert((*table).to_owned(), table_of);
            census.rows.insert((*table).to_owned(), *rows);
        }
        census.catalogue.migrations = migrations.iter().map(|name| (*name).to_owned()).collect();
        census
    }

    const NOTHING: [String; 0] = [];

    #[test]
    fn more_rows_tables_and_columns_are_as_before() {
        let before = census(&[("posts", 3, &["id"]), ("empty", 0, &["id"])], &[]);
        let after = census(&[("posts", 5, &["id", "new"]), ("drafts", 1, &["id"])], &[]);
        let found = compare(&before, &after, &NOTHING).expect("nothing is lost");
        assert_eq!((found.tables, found.rows), (1, 3));
        assert_eq!(found.in_words(), "1 table, 3 rows: as before");
        assert_eq!(found.schema.tables_removed, ["empty"], "it is told, and nobody had anything in it");
        assert_eq!(found.schema.columns_added, ["posts.new"]);
    }

    #[test]
    fn lost_rows_columns_tables_and_files_are_named_with_numbers() {
        let mut before =
            census(&[("posts", 3, &["id", "message"]), ("teams", 2, &["id"]), ("sessions", 9, &["id"])], &[]);
        let mut after = census(&[("posts", 2, &["id"])], &[]);
        before.files =
            Files { looked_at: 2, flawed: [("a".into(), "it is missing".into())].into(), ..Files::default() };
        after.files.flawed =
            ["a", "b"].map(|path| (path.to_owned(), "it is missing".to_owned())).into_iter().collect();
        let lost = compare(&before, &after, &NOTHING).expect_err("lost");
        assert_eq!(
            lost,
            [
                "table teams is gone with 2 rows",
                "column posts.message is gone",
                "posts: 1 row is gone (3 before, 2 now)",
                "file b: it is missing",
            ]
        );
        let error = loss(&lost);
        assert!(error.exit == Exit::NotVerified && error.what.contains("posts: 1 row is gone"), "{error}");
        let allowed = ["teams", "posts.message", "Posts"].map(str::to_owned);
        after.files.flawed.clear();
        let found = compare(&before, &after, &allowed).expect("allowed");
        assert!(found.removed.len() == 3 && found.removed[0].contains("--may-lose"), "{found:?}");
    }

    #[test]
    fn what_a_migration_removes_on_purpose_is_not_lost_where_that_migration_ran() {
        let before =
            census(&[("posts", 3, &["id", "parentid"]), ("oauthaccessdata", 4, &["id"])], &["first"]);
        let tables: [(&str, u64, &[&str]); 2] = [("posts", 3, &["id"]), ("oauthaccessdata", 1, &["id"])];
        let after = census(&tables, &["first", "remove_posts_parentid", "remove_tokens"]);
        let found = compare(&before, &after, &NOTHING).expect("on purpose");
        assert_eq!(found.removed.len(), 2, "{found:?}");
        let lost = compare(&before, &census(&tables, &["first"]), &NOTHING).expect_err("nothing ran");
        assert_eq!(lost.len(), 2, "{lost:?}");
        let ran_before = census(
            &[("posts", 3, &["id", "parentid"]), ("oauthaccessdata", 1, &["id"])],
            &["first", "remove_posts_parentid", "remove_tokens"],
        );
        compare(&ran_before, &after, &NOTHING).expect_err("it ran long ago");
    }

    #[test]
    fn what_an_interrupted_test_left_may_go_and_no_more() {
        let mut before = census(&[("users", 200, &["id"])], &[]);
        before.leftovers = true;
        let with = |rows| census(&[("users", rows, &["id"])], &[]);
        assert_eq!(compare(&before, &with(198), &NOTHING).expect("left").removed.len(), 1);
        compare(&before, &with(50), &NOTHING).expect_err("too many");
    }

    #[test]
    fn what_there_was_no_time_for_is_said() {
        let mut before = census(&[("users", 2, &["id"])], &[]);
        before.uncounted.push("posts".to_owned());
        before.files = Files { looked_at: 5, not_looked_at: 7, ..Files::default() };
        let mut after = census(&[], &[]);
        after.catalogue = before.catalogue.clone();
        after.uncounted = vec!["posts".to_owned(), "users".to_owned()];
        let found = compare(&before, &after, &NOTHING).expect("nothing is known to be lost");
        assert_eq!(found.tables, 0);
        assert_eq!(found.not_compared.len(), 3, "{found:?}");
    }
}

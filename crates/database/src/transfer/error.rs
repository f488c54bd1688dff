//! Why rows cannot be moved.

use std::fmt;

use super::cell::Misfit;
use crate::dump;
use crate::failure::Failure;

/// How many rows are named of each problem.
pub(super) const NAMED: usize = 5;

/// Values of one column that the target cannot store as they are, for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// The table in the target.
    pub table: String,
    /// Its column.
    pub column: String,
    /// What is wrong with them.
    pub misfit: Misfit,
    /// In how many rows.
    pub rows: u64,
    /// Some of these rows, by their primary keys.
    pub some: Vec<String>,
}

impl Unfit {
    /// What was done about them by a repair.
    pub fn repaired(&self) -> String {
        format!("{self}: it {}", self.misfit.repair().unwrap_or("stays"))
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rows, some) = (self.rows, self.some.join(", "));
        let more = if rows > self.some.len() as u64 { ", ..." } else { "" };
        let rows = finding::counted(rows, "row", "rows");
        write!(f, "{}.{} {} in {rows} ({some}{more})", self.table, self.column, self.misfit.words())
    }
}

/// Why rows cannot be moved. Nothing was changed in the target then.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// A server cannot be reached, or refuses.
    #[error(transparent)]
    Server(#[from] Failure),
    /// The SQLite file cannot be read.
    #[error(transparent)]
    Source(#[from] dump::Error),
    /// The target has no place for something that the source has.
    #[error("the new database has no place for {}", .0.join(", "))]
    NoPlace(Vec<String>),
    /// The target has nothing of Mattermost's.
    #[error("the new database has no tables of Mattermost")]
    NoTables,
    /// Values that do not fit.
    #[error("the new database cannot store these values as they are:\n{}", lines(.0))]
    Unfit(Vec<Unfit>),
    /// The target has other rows than the source.
    #[error(
        "table {table} has other rows in the new database: {there} instead of {here}, or not the same ones"
    )]
    Differs {
        /// Which table.
        table: String,
        /// Rows in the source.
        here: u64,
        /// Rows in the target.
        there: u64,
    },
    /// The target uses a type that nobody knows here.
    #[error("column {table}.{column} of the new database has the type {kind}, which is not known")]
    Type {
        /// Which table.
        table: String,
        /// Which column.
        column: String,
        /// The type's name.
        kind: String,
    },
}

fn lines(unfit: &[Unfit]) -> String {
    unfit.iter().map(|unfit| format!("  {unfit}")).collect::<Vec<_>>().join("\n")
}

impl Error {
    /// What to do about it.
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::Source(error) => error.remedy(),
            Self::NoPlace(_) => Some(
                "`--leave-out NAME` goes on without that table, or without that column as TABLE.COLUMN; the old database keeps it"
                    .to_owned(),
            ),
            Self::Unfit(unfit) => {
                let (mendable, other): (Vec<_>, Vec<_>) = unfit.iter().partition(|unfit| unfit.misfit.repair().is_some());
                let repair = "`--repair` cuts what is too long, removes NUL characters, and makes NULL empty, zero or false";
                Some(match (mendable.is_empty(), other.is_empty()) {
                    (_, true) => format!("{repair}; or correct these rows in the old database"),
                    (true, false) => "correct these rows in the old database".to_owned(),
                    (false, false) => format!(
                        "correct the values that are no JSON, text, number or boolean in the old database; for the others, {repair}"
                    ),
                })
            }
            _ => None,
        }
    }
}

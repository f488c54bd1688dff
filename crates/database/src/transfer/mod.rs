//! Rows moved from one engine to another: from SQLite, MySQL or MariaDB into the tables that a release has made on PostgreSQL.
//!
//! Tables and columns are matched by their names, whatever their case. Each row is brought into the form of the target, counted and
//! hashed; then the target is read again and must have the same. All of it is one transaction of the target, and one of the source.
//!
//! # Promises
//! - The source is not changed.
//! - The target has all rows afterwards, or nothing of them: it is as before where anything fails.
//! - Nothing is left out or changed silently: what has no place, and what does not fit, is named with its rows.
//! - Memory does not grow with the number of rows.
mod cell;
mod error;
mod json;
mod shape;
mod source;
mod tally;
mod target;
mod text;

use std::collections::BTreeMap;
use std::time::Duration;

use dsn::{DataSource, Server};
use futures_util::TryStreamExt as _;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

use self::cell::{Fitted, Kind, fit};
use self::error::NAMED;
use self::shape::{Pair, Shape};
use self::source::Source;
use crate::connect::{Connected, connect};

pub use cell::Misfit;
pub use error::{Error, Unfit};
pub use tally::Tally;

/// How rows are moved.
#[derive(Debug, Clone, Default)]
pub struct Way {
    /// Whether what does not fit is made to, where that can be.
    pub repair: bool,
    /// Tables, and columns as TABLE.COLUMN, that stay behind.
    pub leave_out: Vec<String>,
}

/// What was moved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Moved {
    /// By table of the target: the rows of the source, and of the target, which are the same.
    pub tables: BTreeMap<String, Tally>,
    /// What was made to fit.
    pub repaired: Vec<Unfit>,
}

impl Moved {
    /// All rows.
    pub fn rows(&self) -> u64 {
        self.tables.values().map(|tally| tally.rows).sum()
    }
}

/// So many bytes are sent at once.
const CHUNK: usize = 256 << 10;

/// After so many rows, whoever waits hears of it.
const TOLD: u64 = 2000;

/// Whether rows can be moved out of such a database: PostgreSQL has tools of its own for that.
pub fn is_possible(source: &DataSource) -> bool {
    Source::is_possible(source)
}

/// How many rows the source has, by table in lower case.
///
/// # Errors
/// It cannot be read.
pub async fn survey(source: &DataSource, limit: Duration) -> Result<BTreeMap<String, u64>, Error> {
    let mut source = Source::open(source, limit).await?;
    let tables = source.tables().await?;
    source.close().await;
    Ok(tables.into_iter().map(|(name, table)| (name, table.rows)).collect())
}

/// Moves all rows. What the target's tables have is replaced: a release has just made them. `progress` hears how many of how many rows
/// are done.
///
/// # Errors
/// Something cannot be reached; something has no place, or does not fit; the target has other rows afterwards. The target is as before.
pub async fn run(
    from: &DataSource,
    to: &Server,
    way: &Way,
    limit: Duration,
    mut progress: impl FnMut(u64, u64) + Send,
) -> Result<Moved, Error> {
    let mut source = Source::open(from, limit).await?;
    let failed = target::failed(to);
    let mut connection = match connect(to, limit).await? {
        Connected::Postgres(connection) => connection,
        Connected::MySql(_) => return Err(Error::NoTables),
    };
    let mut transaction = connection.begin().await.map_err(failed)?;
    let settings =
        "set local statement_timeout = 0; set local lock_timeout = '10s'; set local bytea_output = 'hex';
                    set local idle_in_transaction_session_timeout = 0";
    transaction.execute(sqlx::raw_sql(settings)).await.map_err(failed)?;
    let targets = target::tables(&mut transaction).await.map_err(failed)?;
    let references = target::references(&mut transaction).await.map_err(failed)?;
    let shape = Shape::of(&mut source, targets, &references, way).await?;
    let names: Vec<String> = shape.pairs.iter().map(|pair| target::quoted(&pair.table)).collect();
    let sql = format!("truncate {}", names.join(", "));
    transaction.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.map_err(failed)?;
    let mut load = Load { repair: way.repair, unfit: BTreeMap::new(), done: 0, total: shape.rows() };
    let mut moved = Moved::default();
    for pair in &shape.pairs {
        let here = load.table(&mut source, &mut transaction, pair, to, &mut progress).await?;
        if load.is_refused() {
            continue;
        }
        let there =
            target::tally(&mut transaction, &pair.table, &pair.columns, &pair.kinds).await.map_err(failed)?;
        if here != there {
            return Err(Error::Differs { table: pair.table.clone(), here: here.rows, there: there.rows });
        }
        target::set_sequences(&mut transaction, &pair.table, &pair.columns).await.map_err(failed)?;
        moved.tables.insert(pair.table.clone(), here);
    }
    let refused = load.is_refused();
    let unfit: Vec<Unfit> = load.unfit.into_values().collect();
    if refused {
        return Err(Error::Unfit(unfit));
    }
    moved.repaired = unfit;
    transaction.commit().await.map_err(failed)?;
    // The planner knows nothing of rows that were loaded just now.
    connection.execute("analyze").await.map_err(failed)?;
    Connected::Postgres(connection).close().await;
    source.close().await;
    Ok(moved)
}

/// What is known while rows go over.
struct Load {
    repair: bool,
    /// By table, column and reason.
    unfit: BTreeMap<(String, String, Misfit), Unfit>,
    done: u64,
    total: u64,
}

impl Load {
    /// Whether a value was found that cannot be stored.
    fn is_refused(&self) -> bool {
        let mut unfit = self.unfit.keys();
        unfit.any(|(_, _, misfit)| !self.repair || misfit.repair().is_none())
    }

    /// Moves the rows of one table. Where a row does not fit, the rest is looked through and not stored.
    async fn table(
        &mut self,
        source: &mut Source,
        connection: &mut PgConnection,
        pair: &Pair,
        to: &Server,
        progress: &mut (impl FnMut(u64, u64) + Send),
    ) -> Result<Tally, Error> {
        let failed = target::failed(to);
        let mut tally = Tally::default();
        // The table was emptied in the same transaction, so its rows need no second look by a vacuum.
        let sql = format!(
            "copy {} ({}) from stdin with (freeze)",
            target::quoted(&pair.table),
            target::listed(&pair.columns)
        );
        let mut copy = connection.copy_in_raw(&sql).await.map_err(failed)?;
        let mut rows = source.rows(&pair.source, &pair.from);
        let mut chunk: Vec<u8> = Vec::with_capacity(CHUNK * 2);
        while let Some(row) = rows.try_next().await? {
            let mut fitted: Vec<Option<Fitted<'_>>> = Vec::with_capacity(row.len());
            for ((cell, column), kind) in row.iter().zip(&pair.columns).zip(&pair.kinds) {
                let result = fit(cell, *kind, column.nullable, self.repair);
                let misfit = match &result {
                    Ok(fitted) => fitted.repaired,
                    Err(misfit) => Some(*misfit),
                };
                if let Some(misfit) = misfit {
                    self.note(pair, &column.name, misfit, &row);
                }
                fitted.push(result.ok());
            }
            if !self.is_refused() {
                let whole = || fitted.iter().flatten();
                tally.add(whole().map(|fitted| fitted.form().map(str::as_bytes)));
                for (at, fitted) in whole().enumerate() {
                    text::push(&mut chunk, at == 0, fitted.stored.as_deref());
                }
                chunk.push(b'\n');
                if chunk.len() >= CHUNK {
                    copy.send(chunk.as_slice()).await.map_err(failed)?;
                    chunk.clear();
                }
            }
            self.done += 1;
            if self.done.is_multiple_of(TOLD) {
                progress(self.done, self.total);
            }
        }
        if !chunk.is_empty() {
            copy.send(chunk.as_slice()).await.map_err(failed)?;
        }
        copy.finish().await.map_err(failed)?;
        progress(self.done, self.total);
        Ok(tally)
    }

    fn note(&mut self, pair: &Pair, column: &str, misfit: Misfit, row: &[cell::Cell]) {
        let (table, column) = (pair.table.clone(), column.to_owned());
        let unfit = self.unfit.entry((table.clone(), column.clone(), misfit)).or_insert_with(|| Unfit {
            table,
            column,
            misfit,
            rows: 0,
            some: Vec::new(),
        });
        unfit.rows += 1;
        if unfit.some.len() < NAMED {
            unfit.some.push(pair.name(row));
        }
    }
}

/// What a column of the target takes, where its type is known.
fn kind_of(table: &str, column: &target::Column) -> Result<Kind, Error> {
    column.kind.clone().map_err(|kind| Error::Type {
        table: table.to_owned(),
        column: column.name.clone(),
        kind,
    })
}

//! The durable record of every run: one SQLite file that stock tools can read.
//!
//! `sqlite3 state.db 'select * from entries'` shows it; times are milliseconds since the epoch, so
//! `datetime(at / 1000, 'unixepoch')` makes them readable. A run's `outcome` is written in the same
//! transaction as the entry that brings it about, and `finished_at` stays null until nothing is left to do.
//!
//! The file appears under its name only when it is complete, so an empty `state.db` is damage and never "new":
//! taking it for new would forget a run that is half done. Every opening runs SQLite's own check, and every
//! reading replays the entries.

mod error;
mod file;
mod room;

pub use error::JournalError;

use crate::{Action, Entry, EntryKind, FORMAT, Holder, Lock, NotUndone, Phase, Plan, State};
use error::Reason;
use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use sqlx::{Connection, Row, SqliteConnection, sqlite::SqliteRow};
use std::{
    fmt,
    path::{Path, PathBuf},
};
use tokio::sync::Mutex;

/// The journal of a deployment, `state.db`.
///
/// Several processes may have it open; only the holder of the [`Lock`](crate::Lock) writes runs.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    connection: Mutex<SqliteConnection>,
}

/// A run's number, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(i64);

/// One run as the journal knows it, replay-checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Run<A = Value> {
    /// Its number.
    pub id: RunId,
    /// Who held the lock.
    pub who: String,
    /// What for.
    pub why: String,
    /// The version of the program that began it; `None` in runs from before this was kept.
    pub program: Option<String>,
    /// What was to be done.
    pub plan: Plan<A>,
    /// When it began.
    pub started_at: Timestamp,
    /// When nothing was left to do. `None`: it is running, or was killed, or needs you.
    pub finished_at: Option<Timestamp>,
    /// What happened, in order.
    pub entries: Vec<Entry>,
    /// Where that left it.
    pub state: State,
    /// Whether somebody gave it up where it stood.
    pub abandoned: bool,
}

impl<A> Run<A> {
    /// What stays of a run that was undone: steps that began, cannot be undone, and were not covered by a snapshot.
    pub fn not_undone(&self) -> Vec<NotUndone> {
        match (&self.state.phase, &self.state.cause) {
            (Phase::Undone | Phase::Stuck(..), Some((failed, _))) => {
                self.plan.uncovered(self.plan.kept(*failed), failed + 1)
            }
            _ => Vec::new(),
        }
    }
}

impl Journal {
    /// Opens the journal at `path`, and makes it if there is none.
    ///
    /// # Errors
    /// [`JournalError::Corrupt`] for a file that is damaged or not a journal, [`JournalError::Newer`] for one
    /// of a later version, [`JournalError::Unopenable`] for a directory that cannot be written.
    pub async fn open(path: &Path) -> Result<Self, JournalError> {
        let opened = match file::open(path).await {
            // A run that was killed on a full disk has left some.
            Err(Reason::Storage(_) | Reason::Unopenable(_)) if room::give_up(path) => file::open(path).await,
            opened => opened,
        };
        let connection = opened.map_err(|reason| reason.at(path))?;
        Ok(Self { path: path.to_owned(), connection: Mutex::new(connection) })
    }

    /// Opens the journal at `path` to read it. Changes nothing, and works while another process writes.
    ///
    /// # Errors
    /// As [`open`](Self::open); a file that does not exist is [`JournalError::Unopenable`].
    pub async fn open_read_only(path: &Path) -> Result<Self, JournalError> {
        let connection = file::open_read_only(path).await.map_err(|reason| reason.at(path))?;
        Ok(Self { path: path.to_owned(), connection: Mutex::new(connection) })
    }

    /// Moves a damaged journal out of the way, to `state.db.corrupt-DATE` beside it, and returns where it is now.
    /// Touches nothing else; the next [`open`](Self::open) begins a new journal.
    ///
    /// # Errors
    /// [`JournalError::Unopenable`], saying why the file cannot be renamed.
    pub fn set_aside(path: &Path) -> Result<PathBuf, JournalError> {
        file::set_aside(path).map_err(|reason| reason.at(path))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The last `limit` runs, newest first.
    ///
    /// # Errors
    /// [`JournalError::Corrupt`] when a run cannot have happened so.
    pub async fn runs(&self, limit: u32) -> Result<Vec<Run>, JournalError> {
        self.load("select * from runs order by id desc limit ?", limit.into(), Use::Read).await
    }

    /// The newest run and whether it is finished. Cheap: nothing is replayed.
    ///
    /// # Errors
    /// [`JournalError::Storage`].
    pub async fn last(&self) -> Result<Option<(RunId, bool)>, JournalError> {
        let last = sqlx::query_as("select id, finished_at is not null from runs order by id desc limit 1")
            .fetch_optional(&mut *self.connection.lock().await)
            .await;
        let last: Option<(i64, bool)> = last.map_err(|error| Reason::from(error).at(&self.path))?;
        Ok(last.map(|(id, finished)| (RunId(id), finished)))
    }

    /// One run; `None` when there is none with this number.
    ///
    /// # Errors
    /// [`JournalError::Corrupt`] when the run cannot have happened so.
    pub async fn run(&self, id: RunId) -> Result<Option<Run>, JournalError> {
        Ok(self.load("select * from runs where id = ?", id.0, Use::Read).await?.pop())
    }

    /// Gives the unfinished run up: it stays in the history as it stands, and is never resumed or undone. For a run whose
    /// plan this version cannot read; what its steps did stays. Returns which run it was.
    ///
    /// # Errors
    /// [`JournalError::Storage`].
    pub async fn abandon(&self, _lock: &Lock) -> Result<Option<RunId>, JournalError> {
        let abandoned = sqlx::query_scalar(
            "update runs set outcome = 'abandoned', finished_at = ? where finished_at is null returning id",
        )
        .bind(Timestamp::now().as_millisecond())
        .fetch_optional(&mut *self.connection.lock().await)
        .await;
        abandoned.map(|id| id.map(RunId)).map_err(|error| Reason::from(error).at(&self.path))
    }

    /// The run that is neither done nor undone, if there is one: there is at most one.
    ///
    /// # Errors
    /// [`JournalError::ForeignPlan`] when another version wrote its plan, [`JournalError::Corrupt`] when the run
    /// cannot have happened so.
    pub async fn unfinished<A: Action>(&self) -> Result<Option<(RunId, Plan<A>, State)>, JournalError> {
        let run = self.unfinished_run::<A>().await?;
        Ok(run.map(|run| (run.id, run.plan, run.state)))
    }

    pub(crate) async fn unfinished_run<A: DeserializeOwned>(&self) -> Result<Option<Run<A>>, JournalError> {
        let mut runs =
            self.load("select * from runs where finished_at is null limit ?", 1, Use::GoOn).await?;
        Ok(runs.pop())
    }

    /// Closes the file, so that no `-wal` stays beside it. Dropping a journal is as safe.
    ///
    /// # Errors
    /// [`JournalError::Storage`].
    pub async fn close(self) -> Result<(), JournalError> {
        let Self { path, connection } = self;
        connection.into_inner().close().await.map_err(|error| Reason::from(error).at(&path))
    }

    /// Notes a new run; durable on return.
    pub(crate) async fn begin<A>(
        &self,
        plan: &Plan<A>,
        json: &str,
        holder: &Holder,
    ) -> Result<RunId, JournalError> {
        let now = Timestamp::now().as_millisecond();
        let outcome = State::new(plan).phase.outcome();
        let id = sqlx::query_scalar(
            "insert into runs (operation, title, who, why, program, plan, started_at, finished_at, outcome)
             values (?, ?, ?, ?, ?, ?, ?, ?, ?) returning id",
        )
        .bind(&plan.operation)
        .bind(&plan.title)
        .bind(&holder.who)
        .bind(&holder.why)
        .bind(&holder.program)
        .bind(json)
        .bind(now)
        .bind(outcome.map(|_| now))
        .bind(outcome)
        .fetch_one(&mut *self.connection.lock().await)
        .await;
        id.map(RunId).map_err(|error| Reason::from(error).at(&self.path))
    }

    /// Notes one entry and the phase it leads to; durable on return. Where the disk is full, in the room that is kept.
    pub(crate) async fn record(
        &self,
        run: RunId,
        step: &str,
        kind: &EntryKind,
        phase: &Phase,
    ) -> Result<(), JournalError> {
        let written = match self.write(run, step, kind, phase).await {
            Err(Reason::Storage(_)) if self.give_up_room() => self.write_again(run, step, kind, phase).await,
            written => written,
        };
        written.map_err(|reason| reason.at(&self.path))
    }

    /// Writes what the disk refused, on another connection: the first may still think that it is in a transaction, which SQLite has ended.
    async fn write_again(
        &self,
        run: RunId,
        step: &str,
        kind: &EntryKind,
        phase: &Phase,
    ) -> Result<(), Reason> {
        let mut connection = file::open(&self.path).await?;
        let last: Option<(String, String)> =
            sqlx::query_as("select step, kind from entries where run = ? order by seq desc limit 1")
                .bind(run.0)
                .fetch_optional(&mut connection)
                .await?;
        *self.connection.lock().await = connection;
        // Of two entries that follow each other none is like the other: it was written before the disk refused more.
        if last.is_some_and(|(last, word)| last == step && word == kind.word()) {
            return Ok(());
        }
        self.write(run, step, kind, phase).await
    }

    /// Keeps room on the disk for an undo.
    pub(crate) fn keep_room(&self) {
        room::keep(&self.path);
    }

    /// Gives the room to whoever needs it, and says whether there was any.
    pub(crate) fn give_up_room(&self) -> bool {
        room::give_up(&self.path)
    }

    /// What beside the journal keeps room for an undo, in bytes.
    pub fn room(path: &Path) -> u64 {
        file::beside(path, "-room").metadata().map_or(0, |file| file.len())
    }

    async fn write(&self, run: RunId, step: &str, kind: &EntryKind, phase: &Phase) -> Result<(), Reason> {
        let now = Timestamp::now().as_millisecond();
        let mut connection = self.connection.lock().await;
        let mut transaction = connection.begin_with("begin immediate").await?;
        sqlx::query(
            "insert into entries (run, seq, step, kind, at, detail)
             values (?1, (select count(*) from entries where run = ?1), ?2, ?3, ?4, ?5)",
        )
        .bind(run.0)
        .bind(step)
        .bind(kind.word())
        .bind(now)
        .bind(kind.detail())
        .execute(&mut *transaction)
        .await?;
        sqlx::query("update runs set outcome = ?, finished_at = ? where id = ?")
            .bind(phase.outcome())
            .bind(phase.is_over().then_some(now))
            .bind(run.0)
            .execute(&mut *transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    async fn load<A: DeserializeOwned>(
        &self,
        select: &'static str,
        parameter: i64,
        how: Use,
    ) -> Result<Vec<Run<A>>, JournalError> {
        let runs = async {
            let mut connection = self.connection.lock().await;
            // One transaction: a run and its entries must be of one moment.
            let mut transaction = connection.begin().await?;
            let rows = sqlx::query(select).bind(parameter).fetch_all(&mut *transaction).await?;
            let mut runs = Vec::with_capacity(rows.len());
            for row in rows {
                let id: i64 = row.try_get("id")?;
                let entries = sqlx::query("select * from entries where run = ? order by seq")
                    .bind(id)
                    .fetch_all(&mut *transaction)
                    .await?;
                runs.push(replay(&row, &entries, how).map_err(|reason| reason.in_run(RunId(id)))?);
            }
            Ok(runs)
        };
        runs.await.map_err(|reason: Reason| reason.at(&self.path))
    }
}

/// Reads a run back and checks that it can have happened so.
fn replay<A: DeserializeOwned>(run: &SqliteRow, entries: &[SqliteRow], how: Use) -> Result<Run<A>, Reason> {
    let plan = plan(run, how)?;
    let entries =
        entries.iter().enumerate().map(|(seq, row)| entry(seq, row)).collect::<Result<Vec<_>, _>>()?;
    let state = State::after(&plan, &entries).map_err(|error| Reason::Corrupt(error.to_string()))?;
    let outcome: Option<&str> = run.try_get("outcome")?;
    let finished_at = run.try_get::<Option<i64>, _>("finished_at")?.map(timestamp).transpose()?;
    let abandoned = outcome == Some("abandoned") && finished_at.is_some() && !state.phase.is_over();
    if !abandoned && (outcome != state.phase.outcome() || finished_at.is_some() != state.phase.is_over()) {
        let said = |outcome: Option<&str>| outcome.unwrap_or("unfinished").to_owned();
        let (row, entries) = (said(outcome), said(state.phase.outcome()));
        return Err(Reason::Corrupt(format!("it is marked {row}, but its entries leave it {entries}")));
    }
    Ok(Run {
        id: RunId(run.try_get("id")?),
        who: run.try_get("who")?,
        why: run.try_get("why")?,
        program: program(run)?,
        plan,
        started_at: timestamp(run.try_get("started_at")?)?,
        finished_at,
        entries,
        state,
        abandoned,
    })
}

/// What a run is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// To show it: a plan of a later format is shown as far as it can be read.
    Read,
    /// To go on with it: what it means must be known.
    GoOn,
}

/// Reads a run's plan; one that another version wrote is told from one that is damaged.
fn plan<A: DeserializeOwned>(run: &SqliteRow, how: Use) -> Result<Plan<A>, Reason> {
    let text: &str = run.try_get("plan")?;
    let damaged = |error: &dyn fmt::Display| Reason::Corrupt(format!("its plan cannot be read: {error}"));
    let json: Value = serde_json::from_str(text).map_err(|error| damaged(&error))?;
    let foreign = |reason: String| {
        let (id, operation) = (run.try_get("id")?, run.try_get("operation")?);
        Ok::<_, sqlx::Error>(Reason::ForeignPlan {
            run: RunId(id),
            operation,
            program: program(run)?,
            reason,
        })
    };
    let format = json["format"].as_u64().unwrap_or(1);
    if format > u64::from(FORMAT) && how == Use::GoOn {
        return Err(foreign(format!("it has format {format}, and this version knows up to {FORMAT}"))?);
    }
    let readable: Plan<Value> = serde_json::from_value(json).map_err(|error| damaged(&error))?;
    readable.check().map_err(|error| Reason::Corrupt(error.to_string()))?;
    // From the text: an error of serde says where in it.
    match serde_json::from_str(text) {
        Ok(plan) => Ok(plan),
        Err(error) => Err(foreign(error.to_string())?),
    }
}

/// The version that began a run; a file of format 1 that is only read has no such column.
fn program(run: &SqliteRow) -> Result<Option<String>, sqlx::Error> {
    match run.try_get("program") {
        Err(sqlx::Error::ColumnNotFound(_)) => Ok(None),
        program => program,
    }
}

fn entry(expected: usize, row: &SqliteRow) -> Result<Entry, Reason> {
    let seq: i64 = row.try_get("seq")?;
    if usize::try_from(seq) != Ok(expected) {
        return Err(Reason::Corrupt(format!("entry {expected} is missing")));
    }
    let kind = EntryKind::read(row.try_get("kind")?, row.try_get("detail")?)
        .map_err(|error| Reason::Corrupt(format!("entry {seq} cannot be read: {error}")))?;
    Ok(Entry { step: row.try_get("step")?, at: timestamp(row.try_get("at")?)?, kind })
}

fn timestamp(ms: i64) -> Result<Timestamp, Reason> {
    Timestamp::from_millisecond(ms).map_err(|error| Reason::Corrupt(error.to_string()))
}

impl EntryKind {
    /// What the `detail` column holds: an output or a failure, as JSON.
    fn detail(&self) -> Option<String> {
        match self {
            Self::Succeeded(output) => Some(output.to_string()),
            Self::Failed(failure) | Self::UndoFailed(failure) => Some(serde_json::json!(failure).to_string()),
            Self::Started | Self::UndoStarted | Self::UndoFinished => None,
        }
    }

    fn read(word: &str, detail: Option<&str>) -> Result<Self, serde_json::Error> {
        let detail = detail.unwrap_or("null");
        Ok(match word {
            "started" => Self::Started,
            "succeeded" => Self::Succeeded(serde_json::from_str(detail)?),
            "failed" => Self::Failed(serde_json::from_str(detail)?),
            "undo-started" => Self::UndoStarted,
            "undo-finished" => Self::UndoFinished,
            "undo-failed" => Self::UndoFailed(serde_json::from_str(detail)?),
            other => return Err(serde::de::Error::custom(format!("`{other}` is no kind of entry"))),
        })
    }
}

impl std::str::FromStr for RunId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{Failure, Step, Undo};

    #[tokio::test]
    async fn an_entry_that_the_disk_refuses_is_written_in_the_room() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(&dir.path().join("state.db")).await.unwrap();
        let step = Step {
            name: "a".into(),
            title: "A".into(),
            undo: Undo::by("undo"),
            snapshot: false,
            checkpoint: false,
            estimate: Duration::ZERO,
            action: Value::Null,
        };
        let plan = Plan::new("up", "Up", vec![step]);
        let json = serde_json::to_string(&plan).unwrap();
        let run = journal.begin(&plan, &json, &Holder::new("ann", "up", "to test", "0.1.0")).await.unwrap();
        journal.record(run, "a", &EntryKind::Started, &Phase::Running(0)).await.unwrap();
        // SQLite says the same of this as of a full disk.
        sqlx::query("pragma max_page_count = 1")
            .execute(&mut *journal.connection.lock().await)
            .await
            .unwrap();
        let failed = EntryKind::Failed(Failure::new("no".repeat(100_000)));
        let record = || journal.record(run, "a", &failed, &Phase::Unwinding(0));
        assert!(matches!(record().await, Err(JournalError::Storage { .. })), "there is no room");
        journal.keep_room();
        record().await.unwrap();
        assert_eq!(Journal::room(journal.path()), 0);
        // It is there, once.
        journal.keep_room();
        journal.write_again(run, "a", &failed, &Phase::Unwinding(0)).await.unwrap();
        let runs = journal.runs(1).await.unwrap();
        let words: Vec<_> = runs[0].entries.iter().map(|entry| entry.kind.word()).collect();
        assert_eq!(words, ["started", "failed"]);
    }
}

//! The only writer. Waiting jobs are committed together, so that they share one fsync, and on PostgreSQL round trips as
//! well.
//!
//! If the connection to PostgreSQL is lost, the jobs of the current batch fail, and the next batch connects again.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::caches::Touched;
use super::database::Database;
use crate::error::{AppError, Result};
use crate::sql::Connection;

/// The most jobs in one transaction: limits how long the first job waits for the last.
const BATCH: usize = 256;

/// The most jobs in the queue; further callers wait until there is room.
const QUEUE: usize = 1024;

/// How long a batch may take before it fails: longer than any batch takes.
const BATCH_TIMEOUT: Duration = Duration::from_secs(30);

/// The open transaction of a job, and the list of the rows that it changed.
pub(crate) struct Transaction<'c> {
    pub(crate) connection: &'c mut Connection,
    /// The rows that caches must forget after the commit.
    pub(crate) touched: &'c mut Vec<Touched>,
}

/// The connection that the writer uses; none after it was lost.
struct WriteConnection {
    database: Database,
    connection: Option<Connection>,
    connected_at: Instant,
}

/// A job. It returns how to answer its caller after the commit.
type Job = Box<dyn for<'c, 't> FnOnce(&'c mut Transaction<'t>) -> BoxFuture<'c, Option<Answer>> + Send>;

/// Answers a job's caller with the result of the commit.
type Answer = Box<dyn FnOnce(Result<(), AppError>) + Send>;

/// The sending side of the writer.
#[derive(Clone)]
pub(crate) struct Writer {
    jobs: mpsc::Sender<Job>,
}

impl Writer {
    /// Starts the writer on a `connection` to `database`. It calls `forget` for each changed row, after the commit and
    /// before any caller is answered. When the last `Writer` is dropped, the task writes everything and ends.
    pub(super) fn start(
        connection: Connection,
        database: Database,
        forget: impl Fn(Touched) + Send + 'static,
    ) -> (Writer, JoinHandle<()>) {
        let (jobs, waiting) = mpsc::channel(QUEUE);
        let writes = WriteConnection { database, connection: Some(connection), connected_at: Instant::now() };
        (Writer { jobs }, tokio::spawn(run(writes, waiting, forget)))
    }

    /// Runs `job` inside a transaction and returns when it is durable. If the job fails, all its changes are undone.
    pub(crate) async fn write<T, F>(&self, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c, 't> FnOnce(&'c mut Transaction<'t>) -> BoxFuture<'c, Result<T>> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let job: Job = Box::new(move |transaction| {
            async move {
                // A job that panics must not end the writer.
                let done = AssertUnwindSafe(job(transaction)).catch_unwind().await;
                match done.unwrap_or_else(|_| Err(AppError::internal("a write job panicked"))) {
                    Ok(value) => {
                        let answer: Answer = Box::new(move |committed| {
                            let _caller_left = sender.send(committed.map(|()| value));
                        });
                        Some(answer)
                    }
                    Err(error) => {
                        let _caller_left = sender.send(Err(error));
                        None
                    }
                }
            }
            .boxed()
        });
        self.jobs.send(job).await.map_err(|_| AppError::internal("the database's writer has ended"))?;
        // A job that was dropped has not been committed.
        receiver.await.map_err(|_| AppError::database_away("the database is away"))?
    }
}

async fn run(mut writes: WriteConnection, mut waiting: mpsc::Receiver<Job>, forget: impl Fn(Touched)) {
    let mut batch = Vec::with_capacity(BATCH);
    while waiting.recv_many(&mut batch, BATCH).await > 0 {
        let mut answers = Vec::with_capacity(batch.len());
        let mut touched = Vec::new();
        let result = match writes.begin().await {
            Ok(connection) => {
                let committed = commit(connection, batch.drain(..), &mut answers, &mut touched);
                let committed = tokio::time::timeout(BATCH_TIMEOUT, committed).await;
                committed.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map_err(AppError::internal)
            }
            Err(error) => {
                // Dropping the jobs makes their callers fail.
                batch.clear();
                Err(error)
            }
        };
        if let Err(error) = &result {
            tracing::error!(error = error.detail_text(), "a batch of writes was not committed");
            writes.abandon().await;
        }
        touched.into_iter().for_each(&forget);
        for answer in answers {
            answer(result.clone());
        }
    }
    if let Some(connection) = writes.connection
        && let Err(error) = connection.close().await
    {
        tracing::error!(%error, "the database was not closed cleanly");
    }
}

/// Runs the jobs, each in a savepoint called `job`, and commits them. The first savepoint exists already.
async fn commit(
    connection: &mut Connection,
    batch: impl Iterator<Item = Job>,
    answers: &mut Vec<Answer>,
    touched: &mut Vec<Touched>,
) -> sqlx::Result<()> {
    let mut batch = batch.peekable();
    while let Some(job) = batch.next() {
        let before = touched.len();
        let answer = job(&mut Transaction { connection, touched }).await;
        let last = batch.peek().is_none();
        let done = answer.is_some();
        // Added before the release: if that fails, this caller gets the same error as the rest of the batch.
        answers.extend(answer);
        if !done {
            touched.truncate(before);
        }
        // If a statement failed, the release fails too, even if the job ignored the error. A commit alone would seem to
        // succeed.
        connection
            .run(match (done, last) {
                (true, false) => "release job; savepoint job",
                (true, true) => "release job; commit",
                (false, false) => "rollback to job",
                (false, true) => "rollback to job; commit",
            })
            .await?;
    }
    Ok(())
}

impl WriteConnection {
    /// Opens a transaction with a savepoint, on a new connection if the former one was lost.
    async fn begin(&mut self) -> Result<&mut Connection> {
        self.end_old_connection().await;
        if let Some(connection) = &mut self.connection {
            let begun = begin(connection).await;
            match connection {
                Connection::Sqlite(_) => begun?,
                // The connection was lost since the last batch. No job was lost, because none has run.
                Connection::Postgres(_) if begun.is_err() => self.connection = None,
                Connection::Postgres(_) => {}
            }
        }
        match &mut self.connection {
            Some(connection) => Ok(connection),
            none => {
                let mut connection = self.database.connect().await.map_err(AppError::database_away)?;
                begin(&mut connection).await?;
                tracing::info!("connected to the database again");
                self.connected_at = Instant::now();
                Ok(none.insert(connection))
            }
        }
    }

    /// Closes a connection that `SqlSettings.ConnMaxLifetimeMilliseconds` ends.
    async fn end_old_connection(&mut self) {
        let is_old = self.database.lifetime().is_some_and(|lifetime| self.connected_at.elapsed() > lifetime);
        if is_old
            && let Some(connection) = self.connection.take()
            && let Err(error) = connection.close().await
        {
            tracing::debug!(%error, "an old connection was not closed cleanly");
        }
    }

    /// Cleans up after a failed batch. On SQLite the transaction may still be open (after a full disk), and is rolled back.
    /// A connection to a server is dropped.
    async fn abandon(&mut self) {
        match &mut self.connection {
            Some(connection @ Connection::Sqlite(_)) => {
                let _no_transaction = connection.run("rollback").await;
            }
            _ => self.connection = None,
        }
    }
}

/// Begins a transaction with a savepoint. On SQLite this takes the write lock, which another process (a backup,
/// `sqlite3`) may hold for a moment.
async fn begin(connection: &mut Connection) -> sqlx::Result<()> {
    let statements = match connection {
        Connection::Sqlite(_) => "begin immediate; savepoint job",
        Connection::Postgres(_) => "begin isolation level read committed read write; savepoint job",
    };
    let mut attempts = 0;
    loop {
        let begun = tokio::time::timeout(BATCH_TIMEOUT, connection.run(statements)).await;
        match begun.unwrap_or(Err(sqlx::Error::PoolTimedOut)) {
            Ok(()) => return Ok(()),
            Err(error) if attempts < 5 && error.to_string().contains("locked") => {
                attempts += 1;
                tokio::time::sleep(Duration::from_millis(20 << attempts)).await;
            }
            Err(error) => return Err(error),
        }
    }
}

//! The one writer. Jobs that wait together are committed together, so that many of them share one fsync, and on
//! PostgreSQL round trips as well.
//!
//! A connection to PostgreSQL may be lost. Then the jobs of the batch fail, and the next batch connects again.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::caches::Touched;
use super::database::Database;
use crate::error::{AppError, Result};
use crate::sql::Connection;

/// Jobs in one transaction at most: bounds how long the first of them waits for the last.
const BATCH: usize = 256;

/// Jobs that may wait for the writer; more make their callers wait before queueing.
const QUEUE: usize = 1024;

/// How long a batch may take: longer than any does.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a job works on: the open transaction, and the note of what it changed.
pub(crate) struct Transaction<'c> {
    pub(crate) connection: &'c mut Connection,
    /// What caches must forget once this is committed.
    pub(crate) touched: &'c mut Vec<Touched>,
}

/// The way to the database, which may break.
struct Line {
    database: Database,
    connection: Option<Connection>,
}

/// A job, which hands back how to answer its caller once the commit is known.
type Job = Box<dyn for<'c, 't> FnOnce(&'c mut Transaction<'t>) -> BoxFuture<'c, Option<Answer>> + Send>;

/// Tells the caller: `Ok` when the batch was committed.
type Answer = Box<dyn FnOnce(Result<(), AppError>) + Send>;

/// The sending side of the writer.
#[derive(Clone)]
pub(crate) struct Writer {
    jobs: mpsc::Sender<Job>,
}

impl Writer {
    /// Starts the writer on a `connection` to `database`. `forget` is called after each commit, before any caller is answered. The
    /// task ends, with everything written, when the last `Writer` is gone.
    pub(super) fn start(
        connection: Connection,
        database: Database,
        forget: impl Fn(Touched) + Send + 'static,
    ) -> (Writer, JoinHandle<()>) {
        let (jobs, waiting) = mpsc::channel(QUEUE);
        let line = Line { database, connection: Some(connection) };
        (Writer { jobs }, tokio::spawn(run(line, waiting, forget)))
    }

    /// Runs `job` inside a transaction and returns when it is durable. If the job fails, nothing of it stays.
    pub(crate) async fn write<T, F>(&self, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c, 't> FnOnce(&'c mut Transaction<'t>) -> BoxFuture<'c, Result<T>> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let job: Job = Box::new(move |transaction| {
            async move {
                // A job that panics must not take the writer with it.
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
        receiver.await.map_err(|_| AppError::internal("the database is away"))?
    }
}

async fn run(mut line: Line, mut waiting: mpsc::Receiver<Job>, forget: impl Fn(Touched)) {
    let mut batch = Vec::with_capacity(BATCH);
    while waiting.recv_many(&mut batch, BATCH).await > 0 {
        let mut answers = Vec::with_capacity(batch.len());
        let mut touched = Vec::new();
        let result = match line.begin().await {
            Ok(connection) => {
                let committed = commit(connection, batch.drain(..), &mut answers, &mut touched);
                let committed = tokio::time::timeout(PATIENCE, committed).await;
                committed.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map_err(AppError::internal)
            }
            Err(error) => {
                // The callers learn it from the end of their jobs.
                batch.clear();
                Err(error)
            }
        };
        if let Err(error) = &result {
            tracing::error!(error = error.detail_text(), "a batch of writes was not committed");
            line.abandon().await;
        }
        touched.into_iter().for_each(&forget);
        for answer in answers {
            answer(result.clone());
        }
    }
    if let Some(connection) = line.connection
        && let Err(error) = connection.close().await
    {
        tracing::error!(%error, "the database was not closed cleanly");
    }
}

/// Runs the jobs, each in a savepoint called `job`, the first of which is there, and commits them.
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
        // Pushed first: if the release fails, the caller learns it with the whole batch.
        answers.extend(answer);
        if !done {
            touched.truncate(before);
        }
        // A release fails where a statement did, whatever the job made of that; a commit would only seem to be one.
        connection
            .run(match (done, last) {
                (true, false) => "RELEASE job; SAVEPOINT job",
                (true, true) => "RELEASE job; COMMIT",
                (false, false) => "ROLLBACK TO job",
                (false, true) => "ROLLBACK TO job; COMMIT",
            })
            .await?;
    }
    Ok(())
}

impl Line {
    /// Opens a transaction and a savepoint in it, on a new connection where the former one is lost.
    async fn begin(&mut self) -> Result<&mut Connection> {
        if let Some(connection) = &mut self.connection {
            let begun = begin(connection).await;
            match connection {
                Connection::Sqlite(_) => begun?,
                // It was lost since the last batch. Nothing else was: no job has run.
                Connection::Postgres(_) if begun.is_err() => self.connection = None,
                Connection::Postgres(_) => {}
            }
        }
        match &mut self.connection {
            Some(connection) => Ok(connection),
            none => {
                let mut connection = self.database.connect().await.map_err(AppError::internal)?;
                begin(&mut connection).await?;
                tracing::info!("connected to the database again");
                Ok(none.insert(connection))
            }
        }
    }

    /// Ends what a failed batch left. On SQLite the transaction may still be open (a full disk); if it is not, SQLite says
    /// so and nothing is lost. A connection to a server is not trusted again.
    async fn abandon(&mut self) {
        match &mut self.connection {
            Some(connection @ Connection::Sqlite(_)) => {
                let _already_over = connection.run("ROLLBACK").await;
            }
            _ => self.connection = None,
        }
    }
}

/// Takes the write lock where there is one. Another process (a backup, a reader with `sqlite3`) may hold it for a moment.
async fn begin(connection: &mut Connection) -> sqlx::Result<()> {
    let statements = match connection {
        Connection::Sqlite(_) => "BEGIN IMMEDIATE; SAVEPOINT job",
        Connection::Postgres(_) => "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SAVEPOINT job",
    };
    let mut attempts = 0;
    loop {
        let begun = tokio::time::timeout(PATIENCE, connection.run(statements)).await;
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

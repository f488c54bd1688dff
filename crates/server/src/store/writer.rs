//! The one writer. Jobs that wait together are committed together, so that many of them share one fsync.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sqlx::{Connection, Executor, SqliteConnection};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::Touched;
use crate::error::{AppError, Result};

/// Jobs in one transaction at most: bounds how long the first of them waits for the last.
const BATCH: usize = 256;

/// Jobs that may wait for the writer; more make their callers wait before queueing.
const QUEUE: usize = 1024;

/// What a job works on: the open transaction, and the note of what it changed.
pub(crate) struct Transaction<'c> {
    pub(crate) connection: &'c mut SqliteConnection,
    /// What caches must forget once this is committed.
    pub(crate) touched: &'c mut Vec<Touched>,
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
    /// Starts the writer on `connection`. `forget` is called after each commit, before any caller is answered. The
    /// task ends, with everything written, when the last `Writer` is gone.
    pub(super) fn start(
        connection: SqliteConnection,
        forget: impl Fn(Touched) + Send + 'static,
    ) -> (Writer, JoinHandle<()>) {
        let (jobs, waiting) = mpsc::channel(QUEUE);
        (Writer { jobs }, tokio::spawn(run(connection, waiting, forget)))
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
        receiver.await.map_err(|_| AppError::internal("the database's writer dropped the job"))?
    }
}

async fn run(mut connection: SqliteConnection, mut waiting: mpsc::Receiver<Job>, forget: impl Fn(Touched)) {
    let mut batch = Vec::with_capacity(BATCH);
    while waiting.recv_many(&mut batch, BATCH).await > 0 {
        let mut answers = Vec::with_capacity(batch.len());
        let mut touched = Vec::new();
        let result = commit(&mut connection, batch.drain(..), &mut answers, &mut touched).await;
        let result = result.map_err(|error| {
            tracing::error!(%error, "a batch of writes was not committed");
            AppError::internal(error)
        });
        if result.is_err() {
            // The transaction may still be open (a full disk); if it is not, SQLite says so and nothing is lost.
            let _already_over = connection.execute("ROLLBACK").await;
        }
        touched.into_iter().for_each(&forget);
        for answer in answers {
            answer(result.clone());
        }
    }
    if let Err(error) = connection.close().await {
        tracing::error!(%error, "the database was not closed cleanly");
    }
}

async fn commit(
    connection: &mut SqliteConnection,
    batch: impl Iterator<Item = Job>,
    answers: &mut Vec<Answer>,
    touched: &mut Vec<Touched>,
) -> sqlx::Result<()> {
    begin(connection).await?;
    for job in batch {
        connection.execute("SAVEPOINT job").await?;
        let before = touched.len();
        match job(&mut Transaction { connection, touched }).await {
            Some(answer) => {
                // Pushed first: if the release fails, the caller learns it with the whole batch.
                answers.push(answer);
                connection.execute("RELEASE job").await?;
            }
            None => {
                touched.truncate(before);
                connection.execute("ROLLBACK TO job; RELEASE job").await?;
            }
        }
    }
    connection.execute("COMMIT").await?;
    Ok(())
}

/// Takes the write lock. Another process (a backup, a reader with `sqlite3`) may hold it for a moment.
async fn begin(connection: &mut SqliteConnection) -> sqlx::Result<()> {
    let mut attempts = 0;
    loop {
        match connection.execute("BEGIN IMMEDIATE").await {
            Ok(_) => return Ok(()),
            Err(error) if attempts < 5 && error.to_string().contains("locked") => {
                attempts += 1;
                tokio::time::sleep(Duration::from_millis(20 << attempts)).await;
            }
            Err(error) => return Err(error),
        }
    }
}

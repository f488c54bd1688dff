//! The handle of the open database.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::task::JoinHandle;

use super::caches::Caches;
use super::database::Database;
use super::writer::{Transaction, Writer};
use crate::error::Result;
use crate::failure::ServerError;
use crate::sql::Pool;

/// The database's readers, writer and caches.
pub(crate) struct Store {
    pub(super) writer: Writer,
    pub(super) readers: Pool,
    pub(super) caches: Arc<Caches>,
}

impl Store {
    /// Opens the database, which [`migrate`] made. The handle ends when all was written after the last store is gone.
    pub(crate) async fn open(database: Database) -> Result<(Store, JoinHandle<()>), ServerError> {
        let connection = database.connect().await?;
        let readers = database.readers().await?;
        let caches = Arc::new(Caches::new());
        let (writer, ended) = Writer::start(connection, database, {
            let caches = Arc::clone(&caches);
            move |touched| caches.forget(touched)
        });
        Ok((Store { writer, readers, caches }, ended))
    }

    /// Runs `job` in the writer's next transaction; returns when it is durable. See [`Writer::write`].
    pub(crate) async fn write<T, F>(&self, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c, 't> FnOnce(&'c mut Transaction<'t>) -> BoxFuture<'c, Result<T>> + Send + 'static,
    {
        self.writer.write(job).await
    }
}

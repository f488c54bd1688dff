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
    /// Opens a database whose schema is up to date. The returned task ends when the last `Store` is dropped and everything
    /// is written.
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

    /// Runs `job` in the writer's next transaction and returns when it is durable. See [`Writer::write`].
    pub(crate) async fn write<T, F>(&self, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c, 't> FnOnce(&'c mut Transaction<'t>) -> BoxFuture<'c, Result<T>> + Send + 'static,
    {
        self.writer.write(job).await
    }
}

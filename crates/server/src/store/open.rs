//! The two databases: where they are, how to connect, and bringing their schema up to date.

mod postgres;
mod sqlite;

use std::path::PathBuf;
use std::sync::Arc;

use database::Server;
use sqlx::Executor;
use tokio::task::JoinHandle;

use super::sql::{Connection, Pool};
use super::{Caches, Store, Writer, roles, systems};
use crate::error::ServerError;

/// Mattermost's tables, in words that both engines read.
const TABLES: &str = include_str!("open/tables.sql");

/// Where the server's data is.
#[derive(Debug, Clone)]
pub(crate) enum Database {
    /// A file.
    Sqlite(PathBuf),
    /// A database on a PostgreSQL server.
    Postgres(Box<Server>),
}

impl Database {
    /// A connection that may write.
    pub(super) async fn connect(&self) -> Result<Connection, ServerError> {
        match self {
            Database::Sqlite(path) => sqlite::connect(path, false).await.map(Connection::Sqlite),
            Database::Postgres(server) => postgres::connect(server).await.map(Connection::Postgres),
        }
    }

    async fn readers(&self) -> Result<Pool, ServerError> {
        match self {
            Database::Sqlite(path) => sqlite::readers(path).await.map(Pool::Sqlite),
            Database::Postgres(server) => postgres::readers(server).await.map(Pool::Postgres),
        }
    }
}

/// Creates what is missing of the schema and of the rows that a server starts with.
pub(crate) async fn migrate(database: &Database) -> Result<(), ServerError> {
    match database {
        Database::Sqlite(path) => sqlite::migrate(path).await,
        Database::Postgres(server) => postgres::migrate(server).await,
    }
}

/// In the transaction that `begin` opens: the tables, the indexes of the engine, and the first rows.
async fn create_missing(
    mut connection: Connection,
    begin: &'static str,
    indexes: &'static str,
) -> sqlx::Result<Connection> {
    for statements in [begin, TABLES, indexes] {
        connection.run(statements).await?;
    }
    roles::insert_defaults(&mut connection).await?;
    systems::insert_defaults(&mut connection).await?;
    connection.run("COMMIT").await?;
    Ok(connection)
}

impl Connection {
    /// Runs statements without values, as they are.
    pub(super) async fn run(&mut self, statements: &'static str) -> sqlx::Result<()> {
        match self {
            Connection::Sqlite(connection) => connection.execute(statements).await.map(drop),
            Connection::Postgres(connection) => connection.execute(statements).await.map(drop),
        }
    }

    /// Says good-bye.
    pub(super) async fn close(self) -> sqlx::Result<()> {
        match self {
            Connection::Sqlite(connection) => sqlx::Connection::close(connection).await,
            Connection::Postgres(connection) => sqlx::Connection::close(connection).await,
        }
    }
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
}

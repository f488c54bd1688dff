//! [`ServerError`]: why the server did not start, or stopped.

use std::path::PathBuf;

use database::Failure;
use dsn::AddressError;

use crate::config::ConfigError;

/// Why the server could not start, migrate or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The configuration is not one this server can run with.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// `SqlSettings.DriverName` names an engine that this server does not speak.
    #[error(
        "SqlSettings.DriverName is {driver:?}, but \"postgres\" or \"sqlite\" is allowed: the built-in server does not \
         speak MySQL, as no Mattermost since 11.0 does. Set it to one of them, and DataSource with it"
    )]
    Driver {
        /// What the configuration asks for.
        driver: String,
    },
    /// `SqlSettings.DataSource` is no address.
    #[error("SqlSettings.DataSource: {0}")]
    DataSource(#[source] AddressError),
    /// `SqlSettings.DataSource` is a file, or the address of another engine.
    #[error(
        "SqlSettings.DriverName is \"postgres\", but DataSource is no address of PostgreSQL. Write \
         postgres://USER:PASSWORD@HOST:5432/NAME, or set DriverName to \"sqlite\""
    )]
    OtherDataSource,
    /// The database server cannot be used.
    #[error(transparent)]
    Server(#[from] Failure),
    /// The database cannot be opened or read.
    #[error("the database {database} cannot be used: {reason}. {way_out}")]
    Database {
        /// The file, or the address without its password.
        database: String,
        /// What the engine or the system said.
        reason: String,
        /// What to do next.
        way_out: String,
    },
    /// A directory the server writes to cannot be written.
    #[error("the directory {} cannot be written: {reason}. Create it, or give it to the server's user", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        reason: std::io::Error,
    },
    /// The listener could not be used.
    #[error("the listening socket failed: {0}")]
    Listener(#[source] std::io::Error),
}

//! [`ServerError`]: why the server did not start, or had to stop.

use std::path::PathBuf;

use database::Failure;
use dsn::AddressError;

use crate::config::ConfigError;

/// Why the server could not start, migrate or keep running.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The configuration has a value that is not allowed.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// `SqlSettings.DriverName` names an engine that this server does not support.
    #[error(
        "SqlSettings.DriverName is {driver:?}, but \"postgres\" or \"sqlite\" is allowed: like Mattermost since 11.0, the \
         built-in server does not support MySQL. Set it to one of them, and DataSource to match"
    )]
    Driver {
        /// What the configuration asks for.
        driver: String,
    },
    /// `SqlSettings.DataSource` is not an address.
    #[error("SqlSettings.DataSource: {0}")]
    DataSource(#[source] AddressError),
    /// `SqlSettings.DataSource` is a file, or the address of another engine.
    #[error(
        "SqlSettings.DriverName is \"postgres\", but DataSource is not a PostgreSQL address. Write \
         postgres://USER:PASSWORD@HOST:5432/NAME, or set DriverName to \"sqlite\""
    )]
    OtherDataSource,
    /// The database server cannot be used.
    #[error(transparent)]
    Server(#[from] Failure),
    /// The database cannot be opened or read.
    #[error("the database {database} cannot be used: {reason}. {hint}")]
    Database {
        /// The file, or the address without its password.
        database: String,
        /// What the engine or the system said.
        reason: String,
        /// What to do next.
        hint: String,
    },
    /// A directory the server writes to cannot be written.
    #[error("the directory {} cannot be written: {reason}. Create it, or give it to the server's user", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        reason: std::io::Error,
    },
    /// The socket of the local channel could not be opened.
    #[error("the local channel {} cannot be opened: {reason}. {hint}", path.display())]
    LocalChannel {
        /// The socket.
        path: PathBuf,
        /// What is in the way.
        reason: String,
        /// What to do next.
        hint: String,
    },
    /// The server cannot listen for its clients' requests.
    #[error("cannot listen at {address}: {reason}{hint}")]
    Front {
        /// An address, or the path of a socket.
        address: String,
        /// What is in the way.
        reason: String,
        /// What to do next, as a further sentence, if that is known.
        hint: String,
    },
    /// The listener could not be used.
    #[error("the listening socket failed: {0}")]
    Listener(#[source] std::io::Error),
}

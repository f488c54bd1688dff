//! A database: a file, or a database on a server.

use std::fmt;
use std::path::PathBuf;

use crate::server::Server;

/// A database, as one address names it. `Display` masks the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataSource {
    /// The built-in server's file.
    Sqlite(PathBuf),
    /// A database on a server.
    Server(Server),
}

impl DataSource {
    /// `SqlSettings.DriverName` of config.json.
    pub fn driver_name(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "sqlite",
            Self::Server(server) => server.engine.driver_name(),
        }
    }
}

impl fmt::Display for DataSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Server(server) => server.fmt(f),
        }
    }
}

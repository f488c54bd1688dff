//! Where the server's data is, and how to connect to it.

pub(super) mod postgres;
pub(super) mod sqlite;

use std::path::PathBuf;
use std::time::Duration;

use dsn::{DataSource, Engine, Server};

use crate::config::Sql;
use crate::failure::ServerError;
use crate::sql::{Connection, Pool};

/// Where the server's data is.
#[derive(Debug, Clone)]
pub(crate) enum Database {
    /// A file.
    Sqlite(PathBuf),
    /// A database on a PostgreSQL server.
    Postgres(Box<Server>, postgres::Limits),
}

impl Database {
    /// The database that `SqlSettings.DriverName` and `DataSource` name. SQLite's file is a path or `sqlite://PATH`.
    pub(crate) fn of(settings: &Sql) -> Result<Database, ServerError> {
        let driver = settings.driver_name.to_ascii_lowercase();
        let source = settings.data_source.as_str();
        match driver.as_str() {
            "sqlite" => {
                let source = source
                    .strip_prefix("sqlite:")
                    .map_or(source, |rest| rest.strip_prefix("//").unwrap_or(rest));
                Ok(Database::Sqlite(PathBuf::from(source.split_once('?').map_or(source, |(path, _)| path))))
            }
            "postgres" => match source.parse() {
                Ok(DataSource::Server(server)) if server.engine == Engine::Postgres => {
                    Ok(Database::Postgres(Box::new(server), postgres::Limits::of(settings)))
                }
                Err(error) if source.starts_with("postgres") => Err(ServerError::DataSource(error)),
                _ => Err(ServerError::OtherDataSource),
            },
            _ => Err(ServerError::Driver { driver }),
        }
    }

    /// Opens a connection for writing.
    pub(super) async fn connect(&self) -> Result<Connection, ServerError> {
        match self {
            Database::Sqlite(path) => sqlite::connect(path, false).await.map(Connection::Sqlite),
            Database::Postgres(server, _) => postgres::connect(server).await.map(Connection::Postgres),
        }
    }

    /// How long a connection for writing may be used.
    pub(super) fn lifetime(&self) -> Option<Duration> {
        match self {
            Database::Sqlite(_) => None,
            Database::Postgres(_, limits) => limits.lifetime,
        }
    }

    /// Opens the connections for reading.
    pub(super) async fn readers(&self) -> Result<Pool, ServerError> {
        match self {
            Database::Sqlite(path) => sqlite::readers(path).await.map(Pool::Sqlite),
            Database::Postgres(server, limits) => postgres::readers(server, limits).await.map(Pool::Postgres),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn database(driver: &str, source: &str) -> Result<Database, ServerError> {
        Database::of(&Sql {
            driver_name: driver.to_owned(),
            data_source: source.to_owned(),
            ..Sql::default()
        })
    }

    #[test]
    fn a_data_source_is_a_path_or_a_url() -> Result<(), ServerError> {
        for source in ["/var/m.db", "sqlite:///var/m.db", "sqlite:/var/m.db?mode=rwc"] {
            let found = database("sqlite", source)?;
            assert!(matches!(found, Database::Sqlite(path) if path == Path::new("/var/m.db")));
        }
        let url =
            "postgres://mm:s%40fe@db:5433/chat?sslmode=disable&connect_timeout=10&binary_parameters=yes";
        let found = database("postgres", url)?;
        assert!(matches!(found, Database::Postgres(server, _)
            if server.to_string() == "postgres://mm:***@db:5433/chat" && server.parameters.len() == 2));
        Ok(())
    }

    #[test]
    fn an_invalid_data_source_is_refused_and_not_shown() {
        for (driver, source, expected) in [
            ("mysql", "mm:secret@tcp(db:3306)/chat", "like Mattermost since 11.0"),
            ("oracle", "secret", "\"oracle\""),
            ("postgres", "mm:secret@tcp(db:3306)/chat", "not a PostgreSQL address"),
            ("postgres", "/var/secret.db", "postgres://USER:PASSWORD@HOST"),
            ("postgres", "postgres://mm:se/cret@db/chat", "percent-encode"),
        ] {
            let text = database(driver, source).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(text.contains(expected) && !text.contains("secret") && !text.contains("cret@"), "{text}");
        }
    }
}

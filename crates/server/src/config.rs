//! The server's configuration: Mattermost's `config.json`, overridden by `MM_SECTION_KEY` variables.
//!
//! Keys match in any case and unknown ones are ignored, as in the official server; a known key of the wrong type
//! or outside its range is refused with its place.

mod reading;
mod sections;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use database::{DataSource, Engine};
use reading::Document;
pub(crate) use sections::{
    Email, File, Localization, NativeApp, Password, Plugin, Privacy, Service, Sql, Support, Team,
};

use crate::error::ServerError;
use crate::store::Database;

/// What the server runs with. Read it with [`Config::load`].
#[derive(Debug, Clone, Default)]
pub struct Config {
    pub(crate) service: Service,
    pub(crate) team: Team,
    pub(crate) sql: Sql,
    pub(crate) file: File,
    pub(crate) email: Email,
    pub(crate) password: Password,
    pub(crate) privacy: Privacy,
    pub(crate) support: Support,
    pub(crate) localization: Localization,
    pub(crate) native_app: NativeApp,
    pub(crate) plugin: Plugin,
}

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration {} cannot be read: {reason}. Name another with --config or MM_CONFIG", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: std::io::Error,
    },
    /// The file is not JSON.
    #[error("{}:{line}:{column}: this is not JSON: {reason}. Mend the file there, or restore it", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What the parser expected.
        reason: String,
    },
    /// A setting in the file has a value that is not allowed.
    #[error("{}:{line}: {key} is {value}, but {allowed} is allowed", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The line of the key, from 1; 0 where it could not be found.
        line: usize,
        /// `Section.Key`.
        key: String,
        /// The refused value.
        value: String,
        /// What would have been accepted.
        allowed: String,
    },
    /// An environment variable has a value that is not allowed.
    #[error("the environment variable {variable} is {value:?}, but {allowed} is allowed")]
    Variable {
        /// The variable.
        variable: String,
        /// The refused value.
        value: String,
        /// What would have been accepted.
        allowed: String,
    },
}

impl Config {
    /// Reads `path` and applies the `MM_*` variables of `environment`.
    pub fn load(path: &Path, environment: &BTreeMap<String, String>) -> Result<Config, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|reason| ConfigError::Unreadable { path: path.to_owned(), reason })?;
        Config::from_json(path, &text, environment)
    }

    /// As [`Config::load`], from `text`; `path` is named in errors.
    pub fn from_json(
        path: &Path,
        text: &str,
        environment: &BTreeMap<String, String>,
    ) -> Result<Config, ConfigError> {
        let document = Document::parse(path, text)?;
        let mut config = Config::default();
        config.service.read(&document, environment)?;
        config.team.read(&document, environment)?;
        config.sql.read(&document, environment)?;
        config.file.read(&document, environment)?;
        config.email.read(&document, environment)?;
        config.password.read(&document, environment)?;
        config.privacy.read(&document, environment)?;
        config.support.read(&document, environment)?;
        config.localization.read(&document, environment)?;
        config.native_app.read(&document, environment)?;
        config.plugin.read(&document, environment)?;
        Ok(config)
    }

    /// `ServiceSettings.ListenAddress`; a bare `:8065` means every address.
    pub fn listen_address(&self) -> String {
        match self.service.listen_address.strip_prefix(':') {
            Some(port) => format!("0.0.0.0:{port}"),
            None => self.service.listen_address.clone(),
        }
    }

    /// Where `SqlSettings.DriverName` and `DataSource` say that the data is. SQLite's file is given as a path or as
    /// `sqlite://PATH`.
    pub(crate) fn database(&self) -> Result<Database, ServerError> {
        let driver = self.sql.driver_name.to_ascii_lowercase();
        let source = self.sql.data_source.as_str();
        match driver.as_str() {
            "sqlite" => {
                let source = source
                    .strip_prefix("sqlite:")
                    .map_or(source, |rest| rest.strip_prefix("//").unwrap_or(rest));
                Ok(Database::Sqlite(PathBuf::from(source.split_once('?').map_or(source, |(path, _)| path))))
            }
            "postgres" => match source.parse() {
                Ok(DataSource::Server(server)) if server.engine == Engine::Postgres => {
                    Ok(Database::Postgres(Box::new(server)))
                }
                Err(error) if source.starts_with("postgres") => Err(ServerError::DataSource(error)),
                _ => Err(ServerError::OtherDataSource),
            },
            _ => Err(ServerError::Driver { driver }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let environment = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Config::from_json(Path::new("config/config.json"), text, &environment)
    }

    #[test]
    fn defaults_are_mattermosts() -> Result<(), ConfigError> {
        let config = read("{}", &[])?;
        assert_eq!(config.listen_address(), "127.0.0.1:8065");
        assert_eq!(config.service.maximum_login_attempts, 10);
        assert!(!config.team.enable_open_server);
        Ok(())
    }

    #[test]
    fn keys_match_in_any_case_and_variables_win() -> Result<(), ConfigError> {
        let text = r#"{"teamsettings":{"SITENAME":"Ours","Unknown":1},"Later":{}}"#;
        assert_eq!(read(text, &[])?.team.site_name, "Ours");
        assert_eq!(read(text, &[("MM_TEAMSETTINGS_SITENAME", "Env")])?.team.site_name, "Env");
        Ok(())
    }

    #[test]
    fn refusals_say_where_and_what_is_allowed() {
        let wrong = read("{\n \"TeamSettings\": {\n  \"MaxUsersPerTeam\": \"many\"\n }\n}", &[]);
        let text = wrong.err().map(|error| error.to_string()).unwrap_or_default();
        assert_eq!(
            text,
            "config/config.json:3: TeamSettings.MaxUsersPerTeam is \"many\", but a whole number of at least 1 is allowed"
        );
        let text = read("{\n oops", &[]).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(text.starts_with("config/config.json:2:"), "{text}");
        let text = read("{}", &[("MM_TEAMSETTINGS_ENABLEOPENSERVER", "yes")]);
        let text = text.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(
            text.contains("MM_TEAMSETTINGS_ENABLEOPENSERVER") && text.contains("true or false"),
            "{text}"
        );
    }

    fn database(driver: &str, source: &str) -> Result<Database, ServerError> {
        let text = format!(r#"{{"SqlSettings":{{"DriverName":"{driver}","DataSource":"{source}"}}}}"#);
        read(&text, &[])?.database()
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
        assert!(matches!(found, Database::Postgres(server)
            if server.to_string() == "postgres://mm:***@db:5433/chat" && server.parameters.len() == 2));
        Ok(())
    }

    #[test]
    fn a_data_source_that_is_none_is_refused_and_not_repeated() {
        for (driver, source, expected) in [
            ("mysql", "mm:secret@tcp(db:3306)/chat", "no Mattermost since 11.0"),
            ("oracle", "secret", "\"oracle\""),
            ("postgres", "mm:secret@tcp(db:3306)/chat", "no address of PostgreSQL"),
            ("postgres", "/var/secret.db", "postgres://USER:PASSWORD@HOST"),
            ("postgres", "postgres://mm:se/cret@db/chat", "percent-encode"),
        ] {
            let text = database(driver, source).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(text.contains(expected) && !text.contains("secret") && !text.contains("cret@"), "{text}");
        }
    }
}

//! The server's configuration: Mattermost's `config.json`, overridden by `MM_SECTION_KEY` variables.
//!
//! Keys match in any case, and unknown keys are ignored, as in the official server. A known key with a value of the wrong
//! type or range is an error, which names its place.

mod reading;
mod refusal;
mod sections;

use std::collections::BTreeMap;
use std::path::Path;

use reading::{Document, variable};
pub use refusal::ConfigError;
pub(crate) use sections::{
    Email, Experimental, File, GitLab, Localization, NativeApp, Password, Privacy, RateLimit, Service, Sql,
    Support, Team,
};
use serde_json::{Value, json};

/// What Mattermost shows in the place of a secret.
const MASK: &str = "********************************";

/// The settings that nobody is shown.
const SECRETS: [(&str, &str); 4] = [
    ("SqlSettings", "DataSource"),
    ("FileSettings", "PublicLinkSalt"),
    ("EmailSettings", "SMTPPassword"),
    ("GitLabSettings", "Secret"),
];

/// The server's configuration. Read it with [`Config::load`].
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
    pub(crate) experimental: Experimental,
    pub(crate) rate_limit: RateLimit,
    pub(crate) gitlab: GitLab,
    /// The settings that come from the environment, by section.
    pub(crate) from_environment: BTreeMap<&'static str, BTreeMap<&'static str, bool>>,
}

impl Config {
    /// Reads `path` and applies the `MM_*` variables of `environment`.
    pub fn load(path: &Path, environment: &BTreeMap<String, String>) -> Result<Config, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|reason| ConfigError::Unreadable { path: path.to_owned(), reason })?;
        Config::from_json(path, &text, environment)
    }

    /// Like [`Config::load`], but from `text`. Errors name `path`.
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
        config.experimental.read(&document, environment)?;
        config.rate_limit.read(&document, environment)?;
        config.gitlab.read(&document, environment)?;
        for (section, key) in
            Config::keys().filter(|(section, key)| environment.contains_key(&variable(section, key)))
        {
            config.from_environment.entry(section).or_default().insert(key, true);
        }
        Ok(config)
    }

    /// All settings as in config.json, with secrets replaced by asterisks, as Mattermost shows them to administrators.
    pub(crate) fn masked(&self) -> Value {
        let mut all = json!({
            "ServiceSettings": self.service.to_json(),
            "TeamSettings": self.team.to_json(),
            "SqlSettings": self.sql.to_json(),
            "FileSettings": self.file.to_json(),
            "EmailSettings": self.email.to_json(),
            "PasswordSettings": self.password.to_json(),
            "PrivacySettings": self.privacy.to_json(),
            "SupportSettings": self.support.to_json(),
            "LocalizationSettings": self.localization.to_json(),
            "NativeAppSettings": self.native_app.to_json(),
            "ExperimentalSettings": self.experimental.to_json(),
            "RateLimitSettings": self.rate_limit.to_json(),
            "GitLabSettings": self.gitlab.to_json(),
        });
        for (section, key) in SECRETS {
            if let Some(value) = all[section].get_mut(key).filter(|value| *value != "") {
                *value = MASK.into();
            }
        }
        all
    }

    /// The section and the name of every key that the server reads.
    pub fn keys() -> impl Iterator<Item = (&'static str, &'static str)> {
        Config::fields().map(|(section, key, _)| (section, key))
    }

    fn fields() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
        let sections = [
            Service::KEYS,
            Team::KEYS,
            Sql::KEYS,
            File::KEYS,
            Email::KEYS,
            Password::KEYS,
            Privacy::KEYS,
            Support::KEYS,
            Localization::KEYS,
            NativeApp::KEYS,
            Experimental::KEYS,
            RateLimit::KEYS,
            GitLab::KEYS,
        ];
        sections.into_iter().flatten().copied()
    }

    /// `ServiceSettings.ListenAddress`. `:8065` means port 8065 of every address; `/PATH` is a Unix socket.
    pub(crate) fn listen_address(&self) -> String {
        match self.service.listen_address.strip_prefix(':') {
            Some(port) => format!("0.0.0.0:{port}"),
            None => self.service.listen_address.clone(),
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
    fn defaults_equal_mattermosts() -> Result<(), ConfigError> {
        let config = read("{}", &[])?;
        assert_eq!(config.listen_address(), "127.0.0.1:8065");
        assert_eq!(config.service.maximum_login_attempts, 10);
        assert!(!config.team.enable_open_server);
        Ok(())
    }

    /// The text of every file of the crate but those of this module.
    fn sources(folder: &Path, text: &mut String) -> std::io::Result<()> {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            match path.is_dir() {
                true if path.ends_with("config") => {}
                true => sources(&path, text)?,
                false if path.extension().is_some_and(|end| end == "rs") => {
                    text.push_str(&std::fs::read_to_string(&path)?);
                }
                false => {}
            }
        }
        Ok(())
    }

    #[test]
    fn every_key_that_is_read_is_used() -> std::io::Result<()> {
        let mut text = String::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut text)?;
        for (section, key, field) in Config::fields() {
            assert!(
                text.contains(&format!(".{field}")),
                "{section}.{key} is read and changes nothing: leave it out"
            );
        }
        Ok(())
    }

    #[test]
    fn keys_match_in_any_case_and_variables_override_them() -> Result<(), ConfigError> {
        let text = r#"{"teamsettings":{"SITENAME":"Ours","Unknown":1},"Later":{}}"#;
        assert_eq!(read(text, &[])?.team.site_name, "Ours");
        let config = read(text, &[("MM_TEAMSETTINGS_SITENAME", "Env"), ("MM_TEAMSETTINGS_OTHER", "x")])?;
        assert_eq!(config.team.site_name, "Env");
        assert_eq!(json!(config.from_environment), json!({"TeamSettings": {"SiteName": true}}));
        Ok(())
    }

    #[test]
    fn errors_name_the_place_and_the_allowed_values() {
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
}

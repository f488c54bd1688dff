//! The settings of a deployment as environment variables of a container.

use std::collections::BTreeMap;

use serde_json::Value;
use settings::{Origin, Resolved, table};

/// An environment variable of a container. No `Debug`, because the text may be a secret.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) text: String,
    pub(super) secret: bool,
}

impl Variable {
    pub(super) fn plain(name: &str, text: &str) -> Self {
        Self { name: name.to_owned(), text: text.to_owned(), secret: false }
    }

    pub(super) fn secret(name: &str, text: &str) -> Self {
        Self { name: name.to_owned(), text: text.to_owned(), secret: true }
    }
}

/// What `mainstay.toml` and the environment say, as variables with the same meaning. A variable keeps its name; a setting from a file
/// gets the server's own variable.
pub(super) fn variables(resolved: &Resolved, environment: &BTreeMap<String, String>) -> Vec<Variable> {
    let placed = resolved.settings().filter_map(|setting| {
        let (value, own) = (setting.value()?, setting.variable());
        let (name, text) = match setting.origin()? {
            Origin::Variable { name, file: None } | Origin::ServerVariable { name, file: None } => {
                (name.clone(), environment.get(name)?.clone())
            }
            Origin::Variable { file: Some(_), .. }
            | Origin::ServerVariable { file: Some(_), .. }
            | Origin::File { .. } => (own, text_of(value)),
            // A setting made of parts: each part has its own row. Defaults and generated values are left out.
            _ => return None,
        };
        Some(Variable { name, text, secret: setting.secret })
    });
    let parts = table::rows().filter_map(|row| {
        let layer = resolved.input(row.name).filter(|layer| layer.origin.is_given())?;
        Some(Variable { name: row.name.to_owned(), text: text_of(&layer.value), secret: row.secret })
    });
    placed.chain(parts).collect()
}

/// A value as the text of a variable. The server splits lists at spaces (server source, config/environment.go).
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text_of).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use settings::{Defaults, Sources};
    use version::Series;

    use super::*;

    fn resolve(toml: &str, environment: &BTreeMap<String, String>) -> Resolved {
        let wanted = settings::parse(Path::new("mainstay.toml"), toml).expect("valid settings");
        let sources = Sources {
            defaults: Defaults::Release,
            secrets: None,
            wanted: Some(&wanted),
            environment,
            flags: &BTreeMap::new(),
            site_url: None,
            read_file: &|_| Ok("from a file\n".to_owned()),
        };
        settings::resolve(Series::new(11, 6), &sources).expect("valid settings")
    }

    #[test]
    fn a_container_with_these_variables_has_the_same_settings() {
        let toml = "site_url = \"https://chat.example.com\"\n[mattermost.TeamSettings]\nMaxUsersPerTeam = 77\nEnableOpenServer = true\n\
                    [mattermost.ServiceSettings]\nTrustedProxyIPHeader = [\"X-Forwarded-For\", \"X-Real-IP\"]\n";
        let said = [
            ("MATTERMOST_NAME", "Our \"chat\" $5"),
            ("MATTERMOST_WEB_SESSION_DAYS", "7"),
            ("SMTP_HOST", "mail.example.com"),
            ("SMTP_USER", "me@example.com"),
            ("SMTP_PASS_FILE", "/run/secrets/smtp"),
            ("POSTGRES_PORT_5432_TCP_ADDR", "172.17.0.2"),
            ("POSTGRES_ENV_POSTGRES_PASSWORD", "p@ss"),
            ("POSTGRES_ENV_POSTGRES_USER", "chat"),
            ("MM_FILESETTINGS_MAXFILESIZE", "1000000"),
        ];
        let said = said.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let first = resolve(toml, &said);
        let carried = variables(&first, &said);
        let secrets: Vec<_> = carried.iter().filter(|v| v.secret).map(|v| v.name.as_str()).collect();
        assert_eq!(secrets, ["MM_EMAILSETTINGS_SMTPPASSWORD", "DB_PASS"]);
        let again = carried.into_iter().map(|variable| (variable.name, variable.text)).collect();
        let again = resolve("", &again);
        let values = |resolved: &Resolved| {
            resolved.settings().map(|s| (s.path(), s.value().cloned())).collect::<BTreeMap<_, _>>()
        };
        assert_eq!(values(&first), values(&again));
    }
}

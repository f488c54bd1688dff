//! `secrets.toml`: generated once, never printed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use rand::Rng as _;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use toml::de::{DeTable, DeValue};
use version::Series;

use crate::config;
use crate::finding::{Finding, Findings, line_at};
use crate::format;
use crate::nearest;
use crate::row::Row;
use crate::table;
use crate::toml_error::unreadable;

/// The secrets of a deployment. The file is 0600; `Debug` masks.
#[derive(Debug, Clone)]
pub struct Secrets {
    /// The user name of the administrator that the installation created.
    pub admin_name: String,
    /// That administrator's first password.
    pub admin_password: SecretString,
    /// What the passwords of the acceptance test's accounts are made of; the password of [`VERIFIER`].
    pub verifier_password: SecretString,
    /// The server's password at the managed database; `None` where there is none.
    pub database_password: Option<SecretString>,
    salts: BTreeMap<&'static str, SecretString>,
}

/// The administrator that the acceptance test signs in as on releases before 5.24, which have no local channel.
pub const VERIFIER: &str = "mainstay-verifier";

/// A key or salt that docker-mattermost's users generate by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Salt {
    /// Its key in `secrets.toml`.
    pub name: &'static str,
    /// Its row in the table.
    pub row: &'static str,
    /// What it means that everybody knows it.
    pub known_means: &'static str,
    /// What stops working when it changes.
    pub breaks: &'static str,
    /// The first release to which it is nothing any more; `None` = every release uses it.
    unused_since: Option<Series>,
}

/// The key of the managed database's password.
const DATABASE: &str = "database_password";

/// The four that docker-mattermost documents.
pub const SALTS: [Salt; 4] = [
    Salt {
        name: "link_salt",
        row: "MATTERMOST_LINK_SALT",
        known_means: "whoever knows the id of a file can make a public link to it",
        breaks: "every public link to a file that was shared before stops working",
        unused_since: None,
    },
    Salt {
        name: "secret_key",
        row: "MATTERMOST_SECRET_KEY",
        known_means: "what an old release encrypted in the database with it is open to whoever reads the database",
        breaks: "nothing in releases since 2018; an older one can no longer read what it encrypted in the database",
        unused_since: Some(Series::new(5, 0)),
    },
    Salt {
        name: "reset_salt",
        row: "MATTERMOST_RESET_SALT",
        known_means: "anybody can make links that reset a password, up to 3.8",
        breaks: "nothing from 3.9 on; before it, links to reset a password that were sent but not used stop working",
        unused_since: Some(Series::new(3, 9)),
    },
    Salt {
        name: "invite_salt",
        row: "MATTERMOST_INVITE_SALT",
        known_means: "anybody can make invitations, up to 5.9",
        breaks: "nothing from 5.10 on; before it, invitations by mail that were sent but not used stop working",
        unused_since: Some(Series::new(5, 10)),
    },
];

impl Salt {
    /// The one of that name: its key in `secrets.toml`, or its variable.
    pub fn find(name: &str) -> Option<&'static Self> {
        SALTS.iter().find(|salt| salt.name.eq_ignore_ascii_case(name) || salt.row.eq_ignore_ascii_case(name))
    }

    pub(crate) fn row(&self) -> Option<&'static Row> {
        table::find(self.row)
    }

    /// Whether anything stops working in that release when it changes.
    pub(crate) fn is_used(&self, version: Series) -> bool {
        self.unused_since.is_none_or(|since| version < since)
    }
}

/// A secret that was replaced, and what stops working.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Rotated {
    /// Its key in `secrets.toml`.
    pub name: &'static str,
    /// What stops working.
    pub breaks: &'static str,
}

/// The managed database's password, as one of the secrets that can be rotated.
pub const DATABASE_PASSWORD: Rotated = Rotated {
    name: DATABASE,
    breaks: "nothing: PostgreSQL, secrets.toml and config.json get the new one together; only where Mainstay runs the database",
};

/// Every secret that can be rotated.
pub fn rotatable() -> impl Iterator<Item = Rotated> {
    let salts = SALTS.iter().map(|salt| Rotated { name: salt.name, breaks: salt.breaks });
    salts.chain([DATABASE_PASSWORD])
}

/// The secret of that name: its key in `secrets.toml`, or its variable.
///
/// # Errors
/// None has that name, in words: the nearest right one.
pub fn rotated(name: &str) -> Result<Rotated, String> {
    let known = Salt::find(name).map_or(name, |salt| salt.name);
    let found = rotatable().find(|secret| secret.name.eq_ignore_ascii_case(known));
    found.ok_or_else(|| {
        let names: Vec<_> = rotatable().map(|secret| secret.name).collect();
        let near = nearest(name, names.iter().copied()).map(|near| format!("; did you mean `{near}`?"));
        let near = near.unwrap_or_else(|| format!("; allowed: {}", names.join(", ")));
        format!("`{name}` is not a secret that can be rotated{near}")
    })
}

/// Letters and digits that look different in every font.
const ALPHABET: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
/// The length that docker-mattermost's README asks for; the server requires at least 32.
const SALT_LENGTH: usize = 64;
/// What the server requires.
pub(crate) const SHORTEST_SALT: usize = 32;

fn random(length: usize) -> String {
    let mut rng = rand::rng();
    (0..length).map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())])).collect()
}

/// One that satisfies the strictest password policy the server knows: 24 characters of all kinds. It needs no escape in
/// addresses, shells and env files.
pub fn random_password() -> SecretString {
    format!("{}-aA7", random(20)).into()
}

impl Secrets {
    /// Fresh ones.
    pub fn generate(admin_name: &str) -> Self {
        Self::with_salts(admin_name, BTreeMap::new())
    }

    /// Fresh ones beside these salts.
    pub(crate) fn with_salts(admin_name: &str, salts: BTreeMap<&'static str, SecretString>) -> Self {
        let mut secrets = Self {
            admin_name: admin_name.to_owned(),
            admin_password: random_password(),
            verifier_password: random_password(),
            database_password: None,
            salts,
        };
        secrets.complete(&Value::Null);
        secrets
    }

    /// Makes the administrator's password at least that long.
    pub fn lengthen_admin_password(&mut self, least: usize) {
        let password = self.admin_password.expose_secret();
        let missing = least.saturating_sub(password.chars().count());
        self.admin_password = format!("{}{password}", random(missing)).into();
    }

    /// Fills in the salts that are missing, and returns their names.
    ///
    /// A salt that `config` (the deployment's config.json) has is kept, so that what it signed goes on working;
    /// otherwise one is generated.
    pub fn complete(&mut self, config: &Value) -> Vec<&'static str> {
        let missing: Vec<_> = SALTS.iter().filter(|salt| !self.salts.contains_key(salt.name)).collect();
        for salt in &missing {
            let places = salt.row().map_or(&[][..], |row| row.places);
            let kept = places.iter().find_map(|place| match config::get(config, place.section, place.key) {
                Some(Value::String(text)) if text.chars().count() >= SHORTEST_SALT => Some(text.clone()),
                _ => None,
            });
            self.salts.insert(salt.name, kept.unwrap_or_else(|| random(SALT_LENGTH)).into());
        }
        missing.iter().map(|salt| salt.name).collect()
    }

    /// Replaces the secrets of these names by new ones.
    ///
    /// # Errors
    /// A name is none's; there is no managed database whose password it could be. Nothing was replaced.
    pub fn rotate(&mut self, names: &[&str]) -> Result<Vec<Rotated>, String> {
        let secrets = names.iter().map(|name| rotated(name)).collect::<Result<Vec<_>, _>>()?;
        if secrets.contains(&DATABASE_PASSWORD) && self.database_password.is_none() {
            return Err(format!(
                "there is no `{DATABASE}`: Mainstay does not run the database of this deployment"
            ));
        }
        for Rotated { name, .. } in &secrets {
            if *name == DATABASE {
                self.database_password = Some(random_password());
            } else {
                self.salts.insert(name, random(SALT_LENGTH).into());
            }
        }
        Ok(secrets)
    }

    /// The salts it has, each with its row.
    pub fn salts(&self) -> impl Iterator<Item = (&'static Row, &SecretString)> {
        SALTS.iter().filter_map(|salt| Some((salt.row()?, self.salts.get(salt.name)?)))
    }

    /// The text of the file.
    pub fn to_toml(&self) -> SecretString {
        let mut text = String::from(
            "# Generated once. Keep this file with your backups and show it to no one.\n\
             # The administrator signs in with these; change the password after the first sign-in.\n",
        );
        // Writing to a String cannot fail.
        let _ = writeln!(text, "admin_name = {}", toml::Value::from(self.admin_name.as_str()));
        let _ = writeln!(text, "admin_password = {}", toml::Value::from(self.admin_password.expose_secret()));
        let _ = writeln!(
            text,
            "# The acceptance test's accounts have a password made of this; {VERIFIER} has it on releases before 5.24."
        );
        let verifier = self.verifier_password.expose_secret();
        let _ = writeln!(text, "verifier_password = {}", toml::Value::from(verifier));
        if let Some(password) = &self.database_password {
            let _ = writeln!(text, "# The server signs in to its managed database with this.");
            let _ = writeln!(text, "{DATABASE} = {}", toml::Value::from(password.expose_secret()));
        }
        let _ = writeln!(
            text,
            "\n# Salts and keys of the server. `mainstay settings secrets rotate` makes new ones."
        );
        for (name, salt) in &self.salts {
            let _ = writeln!(text, "{name} = {}", toml::Value::from(salt.expose_secret()));
        }
        text.into()
    }

    /// Reads the text of the file. No finding repeats a value. A salt may be missing: see [`Secrets::complete`].
    ///
    /// # Errors
    /// Unknown, missing or mistyped keys; a salt that is too short.
    pub fn parse(file: &Path, text: &str) -> Result<Self, Findings> {
        const NAMES: [&str; 3] = ["admin_name", "admin_password", "verifier_password"];
        let table = DeTable::parse(text).map_err(|error| unreadable(file, text, &error))?;
        let mut findings = Vec::new();
        let mut values = NAMES.map(|_| None);
        let mut salts = BTreeMap::new();
        let mut database_password = None;
        for (name, value) in table.get_ref() {
            let line = line_at(text, name.span().start);
            let name = name.get_ref().as_ref();
            let found = |problem: &str| Finding::in_file(file, line, name, problem);
            if name == format::KEY {
                if let Err((problem, allowed)) = format::check(value.get_ref()) {
                    findings.push(found(&problem).allowed(allowed));
                }
                continue;
            }
            if let (DATABASE, DeValue::String(value)) = (name, value.get_ref()) {
                database_password = Some(SecretString::from(value.to_string()));
                continue;
            }
            let salt = SALTS.iter().find(|salt| salt.name == name);
            match (NAMES.iter().position(|known| *known == name), salt, value.get_ref()) {
                (Some(index), _, DeValue::String(value)) => values[index] = Some(value.to_string()),
                (None, Some(salt), DeValue::String(value)) => match value.chars().count() {
                    32.. => {
                        salts.insert(salt.name, SecretString::from(value.to_string()));
                    }
                    _ => findings.push(
                        found("is shorter than 32 characters").allowed("remove the line: a new one is made"),
                    ),
                },
                (None, None, _) if name != DATABASE => {
                    let names = NAMES.into_iter().chain([DATABASE]).chain(SALTS.map(|salt| salt.name));
                    findings.push(found("is not a key of secrets.toml").nearest(nearest(name, names)));
                }
                _ => findings.push(found("is not a text in quotes")),
            }
        }
        for (index, value) in values.iter().enumerate() {
            if value.is_none() {
                findings.push(Finding::in_file(file, 1, NAMES[index], "is missing"));
            }
        }
        match values {
            [Some(admin_name), Some(admin_password), Some(verifier_password)] if findings.is_empty() => {
                Ok(Self {
                    admin_name,
                    admin_password: admin_password.into(),
                    verifier_password: verifier_password.into(),
                    database_password,
                    salts,
                })
            }
            _ => Err(Findings(findings)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(text: &str) -> Result<Secrets, Findings> {
        Secrets::parse(Path::new("secrets.toml"), text)
    }

    #[test]
    fn a_written_file_parses_back_and_nothing_prints_it() {
        let secrets = Secrets::generate("admin");
        let text = secrets.to_toml();
        let again = parse(text.expose_secret()).expect("our own file");
        assert_eq!(again.admin_password.expose_secret(), secrets.admin_password.expose_secret());
        assert_eq!(again.to_toml().expose_secret(), text.expose_secret());
        let shown = format!("{secrets:?}{text:?}");
        assert!(!shown.contains(secrets.admin_password.expose_secret()));
        assert!(secrets.salts().all(|(_, salt)| !shown.contains(salt.expose_secret())));
        assert_eq!(secrets.salts().count(), 4);
    }

    #[test]
    fn the_password_of_a_managed_database_is_there_only_where_one_is() {
        let mut secrets = Secrets::generate("admin");
        assert!(!secrets.to_toml().expose_secret().contains(DATABASE), "an earlier Mainstay reads the file");
        secrets.database_password = Some(random_password());
        let text = secrets.to_toml();
        let again = parse(text.expose_secret()).expect("our own file");
        assert_eq!(again.to_toml().expose_secret(), text.expose_secret());
        let mistake = parse("database_password = 5").expect_err("no text").to_string();
        assert!(mistake.contains("`database_password` is not a text in quotes"), "{mistake}");
    }

    #[test]
    fn a_file_of_a_later_format_is_refused_and_one_of_the_first_need_not_say_so() {
        let text = |line: &str| format!("{line}{}", Secrets::generate("admin").to_toml().expose_secret());
        parse(&text("")).expect("the first format");
        parse(&text("format = 1\n")).expect("the first format");
        let newer = parse(&text("format = 2\n")).expect_err("later").to_string();
        assert!(
            newer.contains("secrets.toml:1: `format` is 2, and this version of Mainstay knows"),
            "{newer}"
        );
        for wrong in ["format = 0\n", "format = \"1\"\n"] {
            assert!(
                parse(&text(wrong)).expect_err("wrong").to_string().contains("is not the number of a format")
            );
        }
    }

    #[test]
    fn findings_do_not_repeat_values() {
        let findings = parse("admin_pasword = \"hunter2\"\nlink_salt = \"hunter3\"\n")
            .expect_err("wrong key")
            .to_string();
        assert!(findings.contains("did you mean `admin_password`?"), "{findings}");
        assert!(findings.contains("secrets.toml:2: `link_salt` is shorter than 32"), "{findings}");
        assert!(!findings.contains("hunter"), "{findings}");
    }

    #[test]
    fn an_older_file_is_completed_from_the_config_and_then_left_alone() {
        let mut secrets = parse("admin_name = \"a\"\nadmin_password = \"b\"\nverifier_password = \"c\"\n")
            .expect("an older file");
        let old = "o".repeat(32);
        let config =
            json!({"FileSettings": {"PublicLinkSalt": old}, "SqlSettings": {"AtRestEncryptKey": "short"}});
        assert_eq!(secrets.complete(&config).len(), 4);
        assert_eq!(secrets.salts["link_salt"].expose_secret(), old);
        assert_eq!(secrets.salts["secret_key"].expose_secret().len(), SALT_LENGTH);
        assert!(secrets.complete(&Value::Null).is_empty());
    }

    #[test]
    fn a_rotation_says_what_breaks_and_touches_nothing_else() {
        let mut secrets = Secrets::generate("admin");
        let before = secrets.clone();
        let rotated = secrets.rotate(&["MATTERMOST_LINK_SALT"]).expect("a salt");
        assert_eq!(rotated[0].name, "link_salt");
        assert!(rotated[0].breaks.contains("public link"));
        let changed = |name| secrets.salts[name].expose_secret() != before.salts[name].expose_secret();
        assert!(changed("link_salt") && !changed("secret_key"));
        let refused = secrets.rotate(&["link_salt", "lnik_salt"]).expect_err("no such secret");
        assert!(refused.contains("did you mean `link_salt`?"), "{refused}");
        assert!(!format!("{rotated:?}").contains(secrets.salts["link_salt"].expose_secret()));
    }

    #[test]
    fn the_password_of_a_managed_database_can_be_rotated_and_no_other_ones() {
        let mut secrets = Secrets::generate("admin");
        let none = secrets.rotate(&["database_password"]).expect_err("there is none");
        assert!(none.contains("does not run the database"), "{none}");
        secrets.database_password = Some("old".to_owned().into());
        secrets.rotate(&["database_password", "link_salt"]).expect("both");
        let new = secrets.database_password.expect("one");
        assert!(new.expose_secret() != "old" && new.expose_secret().len() >= 24);
    }
}

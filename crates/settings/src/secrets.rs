//! `secrets.toml`: what is generated once and never printed.

use std::fmt::Write as _;
use std::path::Path;

use rand::Rng as _;
use secrecy::{ExposeSecret as _, SecretString};
use toml::de::{DeTable, DeValue};

use crate::finding::{Finding, Findings, line_at, unreadable};
use crate::nearest;

/// The secrets of a deployment. The file is 0600; `Debug` masks.
#[derive(Debug, Clone)]
pub struct Secrets {
    /// The user name of the administrator that the installation created.
    pub admin_name: String,
    /// That administrator's first password.
    pub admin_password: SecretString,
}

/// Letters and digits that no font confuses.
const ALPHABET: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";

impl Secrets {
    /// Fresh ones. The password satisfies the strictest password policy the server knows: 24 characters of all kinds.
    pub fn generate(admin_name: &str) -> Self {
        let mut rng = rand::rng();
        let letters: String =
            (0..20).map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())])).collect();
        Self { admin_name: admin_name.to_owned(), admin_password: format!("{letters}-aA7").into() }
    }

    /// The text of the file.
    pub fn to_toml(&self) -> SecretString {
        let mut text = String::from(
            "# Generated once. Keep this file with your backups and show it to nobody.\n\
             # The administrator signs in with these; change the password after the first sign-in.\n",
        );
        // Writing to a String cannot fail.
        let _ = writeln!(text, "admin_name = {}", toml::Value::from(self.admin_name.as_str()));
        let _ = writeln!(text, "admin_password = {}", toml::Value::from(self.admin_password.expose_secret()));
        text.into()
    }

    /// Reads the text of the file. No finding repeats a value.
    ///
    /// # Errors
    /// Unknown, missing or mistyped keys.
    pub fn parse(file: &Path, text: &str) -> Result<Self, Findings> {
        const NAMES: [&str; 2] = ["admin_name", "admin_password"];
        let table = DeTable::parse(text).map_err(|error| unreadable(file, text, &error))?;
        let mut findings = Vec::new();
        let mut found = |line, key: &str, problem: &str, allowed| {
            findings.push(Finding {
                file: file.to_owned(),
                line,
                key: key.to_owned(),
                problem: problem.to_owned(),
                allowed,
            });
        };
        let mut values = NAMES.map(|_| None);
        for (name, value) in table.get_ref() {
            let line = line_at(text, name.span().start);
            match (NAMES.iter().position(|known| *known == name.get_ref().as_ref()), value.get_ref()) {
                (Some(index), DeValue::String(value)) => values[index] = Some(value.to_string()),
                (Some(_), _) => found(line, name.get_ref(), "is not a text in quotes", None),
                (None, _) => {
                    let near = nearest(name.get_ref(), NAMES).map(|near| format!("did you mean `{near}`?"));
                    found(line, name.get_ref(), "is no key of secrets.toml", near);
                }
            }
        }
        for (index, value) in values.iter().enumerate() {
            if value.is_none() {
                found(1, NAMES[index], "is missing", None);
            }
        }
        match values {
            [Some(admin_name), Some(admin_password)] if findings.is_empty() => {
                Ok(Self { admin_name, admin_password: admin_password.into() })
            }
            _ => Err(Findings(findings)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_file_parses_back_and_nothing_prints_it() {
        let secrets = Secrets::generate("admin");
        let text = secrets.to_toml();
        let again = Secrets::parse(Path::new("secrets.toml"), text.expose_secret()).expect("our own file");
        assert_eq!(again.admin_password.expose_secret(), secrets.admin_password.expose_secret());
        assert!(!format!("{secrets:?}{text:?}").contains(secrets.admin_password.expose_secret()));
    }

    #[test]
    fn findings_do_not_repeat_values() {
        let findings = Secrets::parse(Path::new("s"), "admin_pasword = \"hunter2\"\n")
            .expect_err("wrong key")
            .to_string();
        assert!(
            findings.contains("did you mean `admin_password`?") && !findings.contains("hunter2"),
            "{findings}"
        );
    }
}

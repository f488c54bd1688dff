//! The variables of PostgreSQL's own programs (`PGHOST` and the like). A server started by hand reads them through its driver;
//! Mainstay starts it with an environment of its own. So each is told with what to use instead, and one counts.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::layering::Layering;
use crate::origin::Origin;
use crate::resolved::Layer;

/// The variable, and what says the same here; `None` = only a whole address can.
const VARIABLES: [(&str, Option<&str>); 15] = [
    ("PGHOST", Some("DB_HOST")),
    ("PGHOSTADDR", Some("DB_HOST")),
    ("PGPORT", Some("DB_PORT")),
    ("PGDATABASE", Some("DB_NAME")),
    ("PGUSER", Some("DB_USER")),
    ("PGPASSWORD", Some("DB_PASS")),
    ("PGPASSFILE", Some("DB_PASS_FILE")),
    ("PGSSLMODE", Some("DB_SSLMODE")),
    ("PGREQUIRESSL", Some("DB_SSLMODE")),
    (AUTHORITY, Some(ROW)),
    ("PGSSLCERT", None),
    ("PGSSLKEY", None),
    ("PGOPTIONS", None),
    ("PGSERVICE", None),
    ("PGTARGETSESSIONATTRS", None),
];

/// The one that counts, where the row does not say it and the certificate is verified.
const AUTHORITY: &str = "PGSSLROOTCERT";
const ROW: &str = "DB_SSLROOTCERT";

impl Layering {
    /// Takes the authority's file, and tells of the others where somebody names a PostgreSQL database, or may think so.
    pub(crate) fn take_libpq(&mut self, variables: &BTreeMap<String, String>) {
        let names_server = self.inputs.contains_key("DB_HOST") || self.is_given("SqlSettings", "DataSource");
        for (name, instead) in VARIABLES {
            let Some(value) = variables.get(name).filter(|value| !value.is_empty()) else { continue };
            let origin = Origin::Variable { name: name.to_owned(), file: None };
            if name == AUTHORITY && self.verifies_by_parts() {
                let value = Value::String(value.clone());
                self.inputs.entry(ROW).or_insert(Layer { origin, value });
                continue;
            }
            // A shell may have them for other programs. Only `PGHOST` looks like a database for Mattermost.
            let is_said = instead.is_some_and(|row| self.inputs.contains_key(row));
            if is_said || !(names_server || name == "PGHOST") {
                continue;
            }
            let what = match (instead, name) {
                (_, AUTHORITY) => {
                    "neither Mainstay nor the server that it starts reads it here; give DB_SSLMODE=verify-full as well, or write \
                     sslmode=verify-full&sslrootcert=FILE into the address"
                        .to_owned()
                }
                (Some(instead), _) => {
                    format!("neither Mainstay nor the server that it starts reads it; {instead} says the same")
                }
                (None, _) => "neither Mainstay nor the server that it starts reads it; write it into the database's address \
                              (MM_SQLSETTINGS_DATASOURCE)"
                    .to_owned(),
            };
            self.notice(&origin, name, what);
        }
    }

    /// Whether the database is named by `DB_*` and its certificate is verified.
    fn verifies_by_parts(&self) -> bool {
        let verifies = self.input("DB_SSLMODE").is_some_and(|mode| mode.starts_with("verify"));
        self.inputs.contains_key("DB_HOST") && verifies
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> (Option<String>, Vec<String>) {
        let variables: BTreeMap<String, String> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let sources = crate::Sources {
            defaults: crate::Defaults::Release,
            secrets: None,
            wanted: None,
            environment: &variables,
            flags: &BTreeMap::new(),
            site_url: None,
            read_file: &|_| Err(std::io::ErrorKind::NotFound.into()),
        };
        let version: version::Series = "11.6".parse().expect("a version");
        let resolved = crate::resolve(version, &sources).expect("valid");
        let source = resolved.value("SqlSettings", "DataSource").and_then(Value::as_str).map(str::to_owned);
        (source, resolved.notices().iter().map(ToString::to_string).collect())
    }

    const HOST: [(&str, &str); 2] = [("DB_ADAPTER", "postgres"), ("DB_HOST", "db")];

    #[test]
    fn an_authority_is_asked_by_either_name() {
        let (address, notices) = read(&[&HOST[..], &[("DB_SSLROOTCERT", "/ca.pem")]].concat());
        let address = address.expect("an address");
        assert!(address.contains("sslmode=verify-full&sslrootcert=%2Fca.pem"), "{address}");
        assert_eq!(notices, Vec::<String>::new());
        let pg = [("DB_SSLMODE", "verify-ca"), ("PGSSLROOTCERT", "/ca.pem")];
        let (address, notices) = read(&[&HOST[..], &pg].concat());
        assert!(address.expect("an address").contains("sslmode=verify-ca&sslrootcert=%2Fca.pem"));
        assert_eq!(notices, Vec::<String>::new());
        let (address, notices) = read(&[&HOST[..], &[("PGSSLROOTCERT", "/ca.pem")]].concat());
        assert!(address.expect("an address").contains("sslmode=disable"));
        assert!(
            notices[0].contains("PGSSLROOTCERT") && notices[0].contains("DB_SSLMODE=verify-full"),
            "{notices:?}"
        );
    }

    #[test]
    fn what_nobody_reads_is_told_with_what_to_use_and_a_developers_shell_is_left_alone() {
        let (_, notices) = read(&[("PGUSER", "me"), ("PGPASSWORD", "hunter2"), ("PGSSLMODE", "require")]);
        assert_eq!(notices, Vec::<String>::new());
        let (address, notices) = read(&[("PGHOST", "db")]);
        assert_eq!(address, None);
        assert!(notices[0].contains("DB_HOST says the same"), "{notices:?}");
        let pg = [("PGPASSWORD", "hunter2"), ("PGOPTIONS", "-c x=y"), ("PGPORT", "7")];
        let (_, notices) = read(&[&HOST[..], &[("DB_PORT", "7")], &pg].concat());
        assert_eq!(notices.len(), 2, "{notices:?}");
        assert!(
            notices[0].contains("PGOPTIONS") && notices[0].contains("MM_SQLSETTINGS_DATASOURCE"),
            "{notices:?}"
        );
        assert!(notices[1].contains("DB_PASS says the same"), "{notices:?}");
        assert!(!notices.concat().contains("hunter2"), "{notices:?}");
    }
}

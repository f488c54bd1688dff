//! A linked database container: the variables that docker makes for `--link NAME:mysql` and `--link NAME:postgres`.

use std::collections::BTreeMap;

use super::Said;
use crate::table;

/// What a linked database container gives.
#[derive(Default)]
pub(super) struct Link<'a> {
    /// Row, variable, value.
    pub(super) rows: Vec<(&'static str, &'static str, &'a str)>,
    /// What is said about a link that is not used.
    pub(super) said: Vec<Said>,
}

/// One alias: the value of `DB_ADAPTER` that it stands for, then the variables that give each row.
type Alias = (&'static str, [(&'static str, &'static [&'static str]); 5]);

/// The images mysql, centurylink/mysql and orchardup/mysql are configured by `MYSQL_*`, sameersbn's by `DB_*`; docker
/// passes both on under the alias.
const ALIASES: [Alias; 2] = [
    (
        "mysql",
        [
            ("DB_HOST", &["MYSQL_PORT_3306_TCP_ADDR"]),
            ("DB_PORT", &["MYSQL_PORT_3306_TCP_PORT"]),
            ("DB_USER", &["MYSQL_ENV_MYSQL_USER", "MYSQL_ENV_DB_USER"]),
            ("DB_PASS", &["MYSQL_ENV_MYSQL_PASSWORD", "MYSQL_ENV_DB_PASS"]),
            ("DB_NAME", &["MYSQL_ENV_MYSQL_DATABASE", "MYSQL_ENV_DB_NAME"]),
        ],
    ),
    (
        "postgres",
        [
            ("DB_HOST", &["POSTGRES_PORT_5432_TCP_ADDR"]),
            ("DB_PORT", &["POSTGRES_PORT_5432_TCP_PORT"]),
            ("DB_USER", &["POSTGRES_ENV_POSTGRES_USER", "POSTGRES_ENV_DB_USER"]),
            ("DB_PASS", &["POSTGRES_ENV_POSTGRES_PASSWORD", "POSTGRES_ENV_DB_PASS"]),
            // Without a name the image names the database after its user.
            ("DB_NAME", &["POSTGRES_ENV_POSTGRES_DB", "POSTGRES_ENV_DB_NAME", "POSTGRES_ENV_POSTGRES_USER"]),
        ],
    ),
];

impl<'a> Link<'a> {
    pub(super) fn find(variables: &'a BTreeMap<String, String>) -> Self {
        let given = |name: &str| variables.get(name).map(String::as_str).filter(|value| !value.is_empty());
        let address = |(_, rows): &Alias| rows[0].1[0];
        let addressed = ALIASES.iter().filter(|alias| given(address(alias)).is_some());
        // Kubernetes makes the same variables for a service that happens to be called so.
        let (services, linked): (Vec<&Alias>, Vec<&Alias>) = addressed.partition(|(name, _)| {
            given("KUBERNETES_SERVICE_HOST").is_some()
                || given(&format!("{}_SERVICE_HOST", name.to_uppercase())).is_some()
        });
        let named =
            ["DB_HOST", "DB_HOST_FILE", "MM_SQLSETTINGS_DATASOURCE", "MM_SQLSETTINGS_DATASOURCE_FILE"];
        let is_named = named.iter().any(|name| given(name).is_some());
        let of_service = |alias: &&Alias| {
            let what = format!(
                "it is of a Kubernetes service, and no database is taken from one; to use it, set DB_ADAPTER={0} and DB_HOST={0}",
                alias.0
            );
            (address(alias).to_owned(), false, what)
        };
        let mut notes: Vec<Said> = services.iter().filter(|_| !is_named).map(of_service).collect();
        let said = given("DB_ADAPTER").and_then(|text| table::find("DB_ADAPTER")?.read(text).ok());
        // `DB_ADAPTER` may name another database than the linked one.
        let serves = |alias: &Alias| said.as_ref().is_none_or(|adapter| *adapter == alias.0);
        let chosen = linked.iter().find(|alias| serves(alias));
        let unused = linked.iter().find(|alias| chosen.is_none_or(|chosen| chosen.0 != alias.0));
        notes.extend(unused.map(|alias| {
            let what = format!(
                "the database is of another kind; set DB_ADAPTER={} for this link, or remove it",
                alias.0
            );
            (address(alias).to_owned(), false, what)
        }));
        let Some((adapter, names)) = chosen else { return Self { rows: Vec::new(), said: notes } };
        // The port belongs to the linked address and not to another host.
        let elsewhere = given("DB_HOST").or(given("DB_HOST_FILE")).is_some();
        let mut rows = vec![("DB_ADAPTER", names[0].1[0], *adapter)];
        for (row, names) in names {
            let found = names.iter().find_map(|name| Some((*row, *name, given(name)?)));
            rows.extend(found.filter(|_| !(elsewhere && *row == "DB_PORT")));
        }
        // Given neither user nor database, PostgreSQL's image uses `postgres` for both.
        let names_nothing = rows.iter().all(|(row, ..)| !matches!(*row, "DB_USER" | "DB_NAME"));
        if *adapter == "postgres" && names_nothing && given("POSTGRES_ENV_POSTGRES_PASSWORD").is_some() {
            rows.push(("DB_NAME", names[0].1[0], "postgres"));
        }
        Self { rows, said: notes }
    }
}

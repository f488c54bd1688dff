//! The environment: docker-mattermost's names, the server's own `MM_SECTION_KEY`, and their `_FILE` variants.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::finding::{Finding, HIDDEN};
use crate::known;
use crate::nearest;
use crate::origin::Origin;
use crate::table::{self, SERVERS_OWN, SILENT};

/// A text that was given. Without `Debug`: it may be a secret.
pub(crate) struct Given {
    pub(crate) text: String,
    pub(crate) origin: Origin,
}

/// The values that the environment gives, by the name without `_FILE`.
#[derive(Default)]
pub(crate) struct Environment {
    /// By the row's name.
    pub(crate) rows: BTreeMap<&'static str, Given>,
    /// By `MM_SECTION_KEY`.
    pub(crate) server: BTreeMap<String, Given>,
    /// A linked container whose database is of another kind: the variable of its address, and its kind.
    pub(crate) unused_link: Option<(&'static str, &'static str)>,
}

/// Reads the content of a file that a `_FILE` variable names.
pub type ReadFile<'a> = &'a dyn Fn(&Path) -> io::Result<String>;

/// Finds the variables that are settings. A linked container's variables are used where no other gives the value.
pub(crate) fn read(
    variables: &BTreeMap<String, String>,
    read_file: ReadFile<'_>,
    findings: &mut Vec<Finding>,
) -> Environment {
    let mut environment = Environment::default();
    for (name, value) in variables {
        let (base, of_file) = match meaning(name) {
            Meaning::Nothing => continue,
            Meaning::Unknown(near) => {
                findings.push(Finding::new(Origin::variable(name), name, "is not a setting").nearest(near));
                continue;
            }
            Meaning::Value(base, of_file) => (base, of_file),
        };
        // docker-mattermost treats an empty variable as absent; the server's own variables may be empty.
        if value.is_empty() && (of_file || !base.starts_with("MM_")) {
            continue;
        }
        let text =
            if of_file { file_text(name, base, variables, read_file, findings) } else { Some(value.clone()) };
        if let Some(text) = text {
            environment.take(base, of_file.then(|| PathBuf::from(value)), text);
        }
    }
    let link = Link::find(variables);
    for (row, variable, value) in link.rows {
        let given = || Given { text: value.to_owned(), origin: Origin::variable(variable) };
        environment.rows.entry(row).or_insert_with(given);
    }
    environment.unused_link = link.unused;
    environment
}

impl Environment {
    fn take(&mut self, base: &str, file: Option<PathBuf>, text: String) {
        let name = base.to_owned();
        match table::find(base) {
            Some(row) => {
                self.rows.insert(row.name, Given { text, origin: Origin::Variable { name, file } });
            }
            None => {
                let origin = Origin::ServerVariable { name: name.clone(), file };
                self.server.insert(name, Given { text, origin });
            }
        }
    }
}

/// Reads the file that the variable `name` (which is `base` with `_FILE`) names. Adds a finding if that fails.
fn file_text(
    name: &str,
    base: &str,
    variables: &BTreeMap<String, String>,
    read_file: ReadFile<'_>,
    findings: &mut Vec<Finding>,
) -> Option<String> {
    let path = variables.get(name)?;
    let found = |problem: String| Finding::new(Origin::variable(name), name, problem);
    if variables.get(base).is_some_and(|value| !value.is_empty()) {
        findings.push(found(format!("and `{base}` are both given")).allowed("allowed: one of them"));
        return None;
    }
    match read_file(Path::new(path)) {
        // Most programs that write such a file end it with a line break.
        Ok(text) => match text.strip_suffix('\n') {
            Some(line) => Some(line.strip_suffix('\r').unwrap_or(line).to_owned()),
            None => Some(text),
        },
        Err(error) => {
            // A value without a slash may be the secret itself, put there by mistake.
            let secret = !path.contains('/') && is_secret(base);
            let shown = if secret { HIDDEN } else { path };
            findings.push(
                found(format!("names {shown}, which cannot be read ({error})"))
                    .value(path, secret)
                    .allowed("allowed: the path of a file that this user can read"),
            );
            None
        }
    }
}

fn is_secret(name: &str) -> bool {
    table::find(name).map_or_else(|| known::by_variable(name).is_some_and(|key| key.secret), |row| row.secret)
}

/// The name of the setting whose file this variable names, as `DB_PASS` for `DB_PASS_FILE`; `None` = it names none.
pub fn of_file(name: &str) -> Option<&str> {
    match meaning(name) {
        Meaning::Value(base, true) => Some(base),
        _ => None,
    }
}

enum Meaning<'a> {
    /// Not a variable of ours.
    Nothing,
    /// The value of that name, or the file that holds it.
    Value(&'a str, bool),
    /// Meant for us, but not a setting; the nearest right name.
    Unknown(Option<String>),
}

fn meaning(name: &str) -> Meaning<'_> {
    let is_setting = |name: &str| table::find(name).is_some() || known::by_variable(name).is_some();
    if is_setting(name) {
        return Meaning::Value(name, false);
    }
    if let Some(base) = name.strip_suffix("_FILE")
        && is_setting(base)
    {
        return Meaning::Value(base, true);
    }
    let part_of_a_link = name.starts_with("MATTERMOST_PORT_") || name.starts_with("MATTERMOST_ENV_");
    if SILENT.contains(&name)
        || SERVERS_OWN.contains(&name)
        || part_of_a_link
        || name.starts_with("MM_CALLS_")
    {
        return Meaning::Nothing;
    }
    let plain = name.strip_suffix("_FILE").unwrap_or(name);
    let near = |prefix: &str| {
        nearest(plain, table::rows().map(|row| row.name).filter(|name| name.starts_with(prefix)))
    };
    if name.starts_with("MM_") {
        return Meaning::Unknown(known::nearest_variable(plain).map(str::to_owned));
    }
    if name.starts_with("MATTERMOST_") {
        return Meaning::Unknown(near("MATTERMOST_").map(str::to_owned));
    }
    // Other programs use these prefixes too: only a name that is nearly right is reported.
    let slip =
        ["DB_", "SMTP_", "GITLAB_"].into_iter().filter(|prefix| name.starts_with(prefix)).find_map(near);
    slip.map_or(Meaning::Nothing, |near| Meaning::Unknown(Some(near.to_owned())))
}

/// What a linked database container gives.
#[derive(Default)]
struct Link<'a> {
    /// Row, variable, value.
    rows: Vec<(&'static str, &'static str, &'a str)>,
    /// The link that is not used: the variable of its address, and the kind of its database.
    unused: Option<(&'static str, &'static str)>,
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
    fn find(variables: &'a BTreeMap<String, String>) -> Self {
        let given = |name: &str| variables.get(name).map(String::as_str).filter(|value| !value.is_empty());
        let address = |(_, rows): &Alias| rows[0].1[0];
        let linked: Vec<&Alias> = ALIASES.iter().filter(|alias| given(address(alias)).is_some()).collect();
        let said = given("DB_ADAPTER").and_then(|text| table::find("DB_ADAPTER")?.read(text).ok());
        // `DB_ADAPTER` may name another database than the linked one.
        let serves = |alias: &Alias| said.as_ref().is_none_or(|adapter| *adapter == alias.0);
        let chosen = linked.iter().find(|alias| serves(alias));
        let unused = linked.iter().find(|alias| chosen.is_none_or(|chosen| chosen.0 != alias.0));
        let unused = unused.map(|alias| (address(alias), alias.0));
        let Some((adapter, names)) = chosen else { return Self { rows: Vec::new(), unused } };
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
        Self { rows, unused }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(pairs: &[(&str, &str)]) -> (Environment, Vec<String>) {
        let variables = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let files = |path: &Path| match path.to_str() {
            Some("/run/secrets/smtp") => Ok("s3\nret\n".to_owned()),
            _ => Err(io::Error::from(io::ErrorKind::PermissionDenied)),
        };
        let mut findings = Vec::new();
        let environment = read(&variables, &files, &mut findings);
        (environment, findings.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_file_variant_gives_the_content_without_its_last_line_break() {
        let (environment, findings) = sorted(&[("SMTP_PASS_FILE", "/run/secrets/smtp")]);
        assert_eq!(environment.rows["SMTP_PASS"].text, "s3\nret");
        assert_eq!(findings, Vec::<String>::new());
    }

    #[test]
    fn an_unreadable_file_and_a_value_given_twice_are_found() {
        let (_, findings) =
            sorted(&[("SMTP_PASS_FILE", "/nope"), ("DB_PASS", "x"), ("DB_PASS_FILE", "/run/secrets/smtp")]);
        assert!(
            findings[0].starts_with("environment: `DB_PASS_FILE` and `DB_PASS` are both given"),
            "{findings:?}"
        );
        assert!(findings[1].contains("`SMTP_PASS_FILE` names /nope, which cannot be read"), "{findings:?}");
    }

    #[test]
    fn a_secret_put_where_its_file_belongs_is_not_repeated() {
        let (_, findings) = sorted(&[("GITLAB_SECRET_FILE", "hunter2")]);
        assert!(findings[0].contains("`GITLAB_SECRET_FILE` names (hidden)"), "{findings:?}");
    }

    #[test]
    fn slips_are_found_and_strangers_are_left_alone() {
        let (environment, findings) = sorted(&[
            ("MATTERMOST_NMAE", "x"),
            ("MM_TEAMSETTINGS_SITENAM", "x"),
            ("SMTP_PASSS", "hunter2"),
            ("GITLAB_CI", "true"),
            ("DB_DUMP_SCHEDULE", "daily"),
            ("MATTERMOST_VERSION", "3.5.1"),
            ("MATTERMOST_LINK_SALT", ""),
            ("PATH", "/bin"),
        ]);
        assert!(environment.rows.is_empty() && environment.server.is_empty());
        let near = ["MATTERMOST_NAME", "MM_TEAMSETTINGS_SITENAME", "SMTP_PASS"];
        assert_eq!(findings.len(), near.len(), "{findings:?}");
        assert!(
            findings.iter().zip(near).all(|(finding, near)| finding.contains(&format!("`{near}`?"))),
            "{findings:?}"
        );
        assert!(!findings.concat().contains("hunter2"));
    }

    const MYSQL: [(&str, &str); 2] =
        [("MYSQL_PORT_3306_TCP_ADDR", "172.17.0.5"), ("MYSQL_PORT_3306_TCP_PORT", "3307")];
    const POSTGRES: (&str, &str) = ("POSTGRES_PORT_5432_TCP_ADDR", "172.17.0.6");

    /// Adapter, host, port, user, password, name; empty where none is given.
    fn database(pairs: &[(&str, &str)]) -> [String; 6] {
        let (environment, _) = sorted(pairs);
        ["DB_ADAPTER", "DB_HOST", "DB_PORT", "DB_USER", "DB_PASS", "DB_NAME"]
            .map(|row| environment.rows.get(row).map(|given| given.text.clone()).unwrap_or_default())
    }

    #[test]
    fn every_documented_image_is_read_through_its_link() {
        let official = ["MYSQL_ENV_MYSQL_DATABASE", "MYSQL_ENV_MYSQL_USER", "MYSQL_ENV_MYSQL_PASSWORD"];
        for (image, [name, user, password]) in [
            ("mysql", official),
            ("centurylink/mysql", official),
            ("orchardup/mysql", official),
            ("sameersbn/mysql", ["MYSQL_ENV_DB_NAME", "MYSQL_ENV_DB_USER", "MYSQL_ENV_DB_PASS"]),
        ] {
            let said = [(name, "chat"), (user, "mm"), (password, "pw")];
            let read = database(&[&MYSQL[..], &said].concat());
            assert_eq!(read, ["mysql", "172.17.0.5", "3307", "mm", "pw", "chat"], "{image}");
        }
        for [name, user, password] in [
            ["POSTGRES_ENV_POSTGRES_DB", "POSTGRES_ENV_POSTGRES_USER", "POSTGRES_ENV_POSTGRES_PASSWORD"],
            ["POSTGRES_ENV_DB_NAME", "POSTGRES_ENV_DB_USER", "POSTGRES_ENV_DB_PASS"],
        ] {
            let read = database(&[POSTGRES, (name, "chat"), (user, "mm"), (password, "pw")]);
            assert_eq!(read, ["postgres", "172.17.0.6", "", "mm", "pw", "chat"]);
        }
    }

    #[test]
    fn what_postgres_image_was_not_told_it_names_postgres_or_like_its_user() {
        let password = ("POSTGRES_ENV_POSTGRES_PASSWORD", "pw");
        let read = |more: &[(&str, &str)]| database(&[&[POSTGRES], more].concat())[5].clone();
        assert_eq!(read(&[password]), "postgres");
        assert_eq!(read(&[password, ("POSTGRES_ENV_POSTGRES_USER", "mm")]), "mm");
        assert_eq!(read(&[password, ("DB_NAME", "own")]), "own");
        assert_eq!(read(&[]), "", "another image has its own rules");
    }

    #[test]
    fn own_variables_win_over_links() {
        let linked = [("MYSQL_ENV_MYSQL_USER", "linked"), ("DB_NAME", "own"), ("DB_USER", "")];
        let read = database(&[&MYSQL[..], &linked].concat());
        assert_eq!(read, ["mysql", "172.17.0.5", "3307", "linked", "", "own"]);
        // Another host has another port.
        let elsewhere = database(&[&MYSQL[..], &[("DB_HOST", "db")]].concat());
        assert_eq!(elsewhere, ["mysql", "db", "", "", "", ""]);
    }

    #[test]
    fn of_two_links_the_one_of_the_adapter_is_read_and_the_other_is_told() {
        let both = [&MYSQL[..], &[POSTGRES]].concat();
        let unused = |pairs: &[(&str, &str)]| sorted(pairs).0.unused_link;
        assert_eq!(database(&both)[1], "172.17.0.5");
        assert_eq!(unused(&both), Some((POSTGRES.0, "postgres")));
        for adapter in ["postgres", "PostgreSQL"] {
            let said = [&both[..], &[("DB_ADAPTER", adapter)]].concat();
            assert_eq!(database(&said)[1], "172.17.0.6");
            assert_eq!(unused(&said), Some((MYSQL[0].0, "mysql")));
        }
        let alone = [&MYSQL[..], &[("DB_ADAPTER", "postgres"), ("DB_HOST", "db")]].concat();
        assert_eq!(database(&alone), ["postgres", "db", "", "", "", ""]);
        assert_eq!(unused(&alone), Some((MYSQL[0].0, "mysql")));
        assert_eq!(unused(&MYSQL), None);
    }
}

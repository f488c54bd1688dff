//! The environment: docker-mattermost's names, the server's own `MM_SECTION_KEY`, and their `_FILE` variants.

mod cleaning;
mod link;
mod names;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::finding::{Finding, HIDDEN};
use crate::kind::Kind;
use crate::known;
use crate::origin::Origin;
use crate::table;
use cleaning::{Freedom, Source};
use link::Link;
use names::{Meaning, meaning};

/// A text that was given. Without `Debug`: it may be a secret.
pub(crate) struct Given {
    pub(crate) text: String,
    pub(crate) origin: Origin,
}

/// What is said about a variable that is no mistake: its name, whether it counts, what.
pub(crate) type Said = (String, bool, String);

/// The values that the environment gives, by the name without `_FILE`.
#[derive(Default)]
pub(crate) struct Environment {
    /// By the row's name.
    pub(crate) rows: BTreeMap<&'static str, Given>,
    /// By `MM_SECTION_KEY`.
    pub(crate) server: BTreeMap<String, Given>,
    /// What is said about variables that are no mistakes.
    pub(crate) said: Vec<Said>,
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
    for (name, text) in variables {
        match meaning(name, variables) {
            Meaning::Nothing => {}
            Meaning::Mistake(problem, near) => {
                findings.push(Finding::new(Origin::variable(name), name, problem).nearest(near));
            }
            Meaning::Ignored(why) => environment.said.push((name.clone(), false, why)),
            Meaning::Value(base, false) => environment.take_text(base, text, findings),
            Meaning::Value(base, true) => environment.take_file(name, base, variables, read_file, findings),
        }
    }
    let link = Link::find(variables);
    for (row, variable, value) in link.rows {
        if environment.rows.contains_key(row) {
            continue;
        }
        match cleaning::value(value, Source::Variable, freedom(row)) {
            Ok((text, _)) => {
                environment.rows.insert(row, Given { text, origin: Origin::variable(variable) });
            }
            Err((problem, allowed)) => {
                findings.push(Finding::new(Origin::variable(variable), variable, problem).allowed(allowed));
            }
        }
    }
    environment.said.extend(link.said);
    environment
}

/// The variables of an environment that say something about settings, so that whoever has them alone reads the same.
pub fn of_settings(variables: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let says = |name: &str| meaning(name, variables) != Meaning::Nothing;
    variables
        .iter()
        .filter(|(name, _)| says(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// The value of a text that a variable of that name gives, as it is meant.
///
/// # Errors
/// The text is no value; the problem does not repeat it.
pub fn as_meant(name: &str, text: &str) -> Result<String, String> {
    let value = cleaning::value(text, Source::Variable, freedom(name));
    value.map(|(text, _)| text).map_err(|(problem, _)| problem)
}

/// The value in a file that a variable names: its text without the line breaks at its end.
///
/// # Errors
/// The text is no value; the problem does not repeat it.
pub fn in_file(text: &str) -> Result<String, String> {
    let value = cleaning::value(text, Source::File, Freedom::Any);
    value.map(|(text, _)| text).map_err(|(problem, _)| problem)
}

/// How freely the value of that setting may be made.
fn freedom(name: &str) -> Freedom {
    match (table::find(name), known::by_variable(name)) {
        (Some(row), _) => Freedom::of(row.kind),
        // An address of a database is secret for the password in it, and has a form of its own.
        (None, Some(key)) if key.secret && !key.key.starts_with("DataSource") => Freedom::of(Kind::Anything),
        // A name or a description may begin and end as it likes.
        (None, Some(key)) if key.shape == known::Shape::Text && key.key.ends_with("Text") => Freedom::Any,
        _ => Freedom::Plain,
    }
}

impl Environment {
    /// What a variable says itself.
    fn take_text(&mut self, name: &str, text: &str, findings: &mut Vec<Finding>) {
        match cleaning::value(text, Source::Variable, freedom(name)) {
            Ok((value, taken_off)) => {
                // docker-mattermost treats an empty variable as absent; the server's own variables may be empty.
                if value.is_empty() && !name.starts_with("MM_") {
                    return;
                }
                self.said.extend(taken_off.iter().map(|what| (name.to_owned(), true, (*what).to_owned())));
                self.take(name, None, value);
            }
            Err((problem, allowed)) => {
                findings.push(Finding::new(Origin::variable(name), name, problem).allowed(allowed));
            }
        }
    }

    /// What the file says that the variable `name` (which is `base` with `_FILE`) names.
    fn take_file(
        &mut self,
        name: &str,
        base: &str,
        variables: &BTreeMap<String, String>,
        read_file: ReadFile<'_>,
        findings: &mut Vec<Finding>,
    ) {
        let found = |problem: String| Finding::new(Origin::variable(name), name, problem);
        let path = variables.get(name).map_or("", String::as_str);
        let path = match cleaning::value(path, Source::Variable, Freedom::Plain) {
            Ok((path, _)) if path.is_empty() => return,
            Ok((path, taken_off)) => {
                self.said.extend(taken_off.iter().map(|what| (name.to_owned(), true, (*what).to_owned())));
                path
            }
            Err((problem, allowed)) => return findings.push(found(problem).allowed(allowed)),
        };
        if variables.get(base).is_some_and(|value| !value.is_empty()) {
            let problem = format!("and `{base}` are both given");
            return findings.push(found(problem).allowed("allowed: one of them"));
        }
        let text = match read_file(Path::new(&path)) {
            Ok(text) => text,
            Err(error) => {
                // A value without a slash may be the secret itself, put there by mistake.
                let secret = !path.contains('/') && is_secret(base);
                let shown = if secret { HIDDEN } else { &path };
                let problem = format!("names {shown}, which cannot be read ({error})");
                let allowed = "allowed: the path of a file that this user can read";
                return findings.push(found(problem).value(&path, secret).allowed(allowed));
            }
        };
        match cleaning::value(&text, Source::File, freedom(base)) {
            Ok((value, _)) => self.take(base, Some(PathBuf::from(path)), value),
            Err((problem, allowed)) => {
                findings.push(found(format!("names {path}, which {problem}")).allowed(allowed));
            }
        }
    }

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

fn is_secret(name: &str) -> bool {
    table::find(name).map_or_else(|| known::by_variable(name).is_some_and(|key| key.secret), |row| row.secret)
}

/// The name of the setting whose file this variable names, as `DB_PASS` for `DB_PASS_FILE`; `None` = it names none.
pub fn of_file(name: &str) -> Option<&str> {
    names::setting(name).filter(|(_, of_file)| *of_file).map(|(base, _)| base)
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
    fn a_path_in_quotes_is_read_without_them() {
        for path in ["\"/run/secrets/smtp\"", "'/run/secrets/smtp'", "/run/secrets/smtp\r"] {
            let (environment, findings) = sorted(&[("SMTP_PASS_FILE", path)]);
            assert_eq!(environment.rows["SMTP_PASS"].text, "s3\nret", "{findings:?}");
            assert_eq!(environment.said.len(), 1, "{:?}", environment.said);
        }
        let (_, findings) = sorted(&[("SMTP_PASS_FILE", "\"/run/secrets/smtp")]);
        assert!(findings[0].contains("half a pair of quotes"), "{findings:?}");
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
    fn a_kubernetes_service_called_postgres_is_no_link() {
        let service =
            [POSTGRES, ("POSTGRES_PORT", "tcp://172.17.0.6:5432"), ("POSTGRES_SERVICE_HOST", "172.17.0.6")];
        let (environment, findings) = sorted(&service);
        assert!(environment.rows.is_empty() && findings.is_empty());
        assert!(environment.said[0].2.contains("DB_HOST=postgres"), "{:?}", environment.said);
        let named = [&service[..], &[("DB_HOST", "db")]].concat();
        assert!(sorted(&named).0.said.is_empty());
        let in_a_cluster =
            [POSTGRES, ("KUBERNETES_SERVICE_HOST", "10.96.0.1"), ("DB_PORT", "tcp://10.96.0.1:5432")];
        assert!(sorted(&in_a_cluster).0.rows.is_empty());
    }

    #[test]
    fn of_two_links_the_one_of_the_adapter_is_read_and_the_other_is_told() {
        let both = [&MYSQL[..], &[POSTGRES]].concat();
        let unused = |pairs: &[(&str, &str)]| {
            sorted(pairs).0.said.first().map(|(name, _, what)| {
                let kind = if what.contains("DB_ADAPTER=postgres") { "postgres" } else { "mysql" };
                (name.clone(), kind)
            })
        };
        assert_eq!(database(&both)[1], "172.17.0.5");
        assert_eq!(unused(&both), Some((POSTGRES.0.to_owned(), "postgres")));
        for adapter in ["postgres", "PostgreSQL"] {
            let said = [&both[..], &[("DB_ADAPTER", adapter)]].concat();
            assert_eq!(database(&said)[1], "172.17.0.6");
            assert_eq!(unused(&said), Some((MYSQL[0].0.to_owned(), "mysql")));
        }
        let alone = [&MYSQL[..], &[("DB_ADAPTER", "postgres"), ("DB_HOST", "db")]].concat();
        assert_eq!(database(&alone), ["postgres", "db", "", "", "", ""]);
        assert_eq!(unused(&alone), Some((MYSQL[0].0.to_owned(), "mysql")));
        assert_eq!(unused(&MYSQL), None);
    }
}

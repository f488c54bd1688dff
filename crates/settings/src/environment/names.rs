//! What a variable's name means: a setting, a slip, or another program's.

use std::collections::BTreeMap;

use crate::known;
use crate::nearest;
use crate::table::{self, SERVERS_OWN, SILENT};

/// What a variable is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning<'a> {
    /// Not a variable of ours.
    Nothing,
    /// The value of that name, or the file that holds it.
    Value(&'a str, bool),
    /// Meant for us, but not a setting: what is wrong with the name, and the right one.
    Mistake(&'static str, Option<String>),
    /// Not a setting, and no mistake: what is said about it.
    Ignored(String),
}

/// Names that other images give to our settings, and ours. The first three are mattermost-docker's.
const OTHER_NAMES: &[(&str, &str)] = &[
    ("MM_USERNAME", "DB_USER"),
    ("MM_PASSWORD", "DB_PASS"),
    ("MM_DBNAME", "DB_NAME"),
    ("DB_PORT_NUMBER", "DB_PORT"),
    ("DB_USERNAME", "DB_USER"),
    ("DB_PASSWORD", "DB_PASS"),
    ("DB_DATABASE", "DB_NAME"),
    ("DB_TYPE", "DB_ADAPTER"),
    ("POSTGRES_USER", "DB_USER"),
    ("POSTGRES_PASSWORD", "DB_PASS"),
    ("POSTGRES_DB", "DB_NAME"),
    ("MYSQL_USER", "DB_USER"),
    ("MYSQL_PASSWORD", "DB_PASS"),
    ("MYSQL_DATABASE", "DB_NAME"),
    ("SMTP_USERNAME", "SMTP_USER"),
    ("SMTP_PASSWORD", "SMTP_PASS"),
];

/// Variables of the Compose project of Mattermost (github.com/mattermost/docker) that its Compose file reads, and no server.
const COMPOSE_PROJECT: &[&str] = &[
    "MATTERMOST_BLEVE_INDEXES_PATH",
    "MATTERMOST_CLIENT_PLUGINS_PATH",
    "MATTERMOST_CONFIG_PATH",
    "MATTERMOST_CONTAINER_READONLY",
    "MATTERMOST_DATA_PATH",
    "MATTERMOST_IMAGE",
    "MATTERMOST_IMAGE_TAG",
    "MATTERMOST_LOGS_PATH",
    "MATTERMOST_PLUGINS_PATH",
];

fn is_setting(name: &str) -> bool {
    table::find(name).is_some() || known::by_variable(name).is_some()
}

/// What that variable is among the others.
pub(super) fn meaning<'a>(name: &'a str, variables: &BTreeMap<String, String>) -> Meaning<'a> {
    let value = variables.get(name).map_or("", String::as_str);
    if is_of_a_kubernetes_service(name, value) {
        return Meaning::Nothing;
    }
    if let Some((base, of_file)) = setting(name) {
        return Meaning::Value(base, of_file);
    }
    let part_of_a_link = name.starts_with("MATTERMOST_PORT_") || name.starts_with("MATTERMOST_ENV_");
    if SILENT.contains(&name)
        || SERVERS_OWN.contains(&name)
        || part_of_a_link
        || name.starts_with("MM_CALLS_")
    {
        return Meaning::Nothing;
    }
    if COMPOSE_PROJECT.contains(&name) {
        return Meaning::Ignored("it is read by Mattermost's Compose file, and by no server".to_owned());
    }
    if let Some((_, ours)) = OTHER_NAMES.iter().find(|(other, _)| *other == name) {
        return of_another_image(name, ours, variables);
    }
    if let Some(meaning) = in_lower_case(name) {
        return meaning;
    }
    if let Some(meaning) = with_other_characters(name) {
        return meaning;
    }
    slip(name)
}

/// A setting's name with what an editor, a shell or another encoding put there. An environment keeps it, and no server knows it.
fn with_other_characters(name: &str) -> Option<Meaning<'static>> {
    let exported = name.trim_start().strip_prefix("export").filter(|rest| rest.starts_with([' ', '\t']));
    let is_of_a_name = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
    let bare: String = exported.unwrap_or(name).chars().filter(is_of_a_name).collect();
    let bare = bare.to_uppercase();
    if name.chars().all(|c| is_of_a_name(&c)) || setting(&bare).is_none() {
        return None;
    }
    let problem = match exported {
        Some(_) => "is not a setting: `export` belongs to a shell script, and not to an env-file",
        None if name.starts_with('\u{feff}') => {
            "is not a setting: the name begins with a byte order mark; save the file as UTF-8 without one"
        }
        None => "is not a setting: names have letters, digits and underscores alone",
    };
    Some(Meaning::Mistake(problem, Some(bare)))
}

/// The setting that a name gives, and whether it names a file.
pub(super) fn setting(name: &str) -> Option<(&str, bool)> {
    if is_setting(name) {
        return Some((name, false));
    }
    name.strip_suffix("_FILE").filter(|base| is_setting(base)).map(|base| (base, true))
}

/// Whether Kubernetes puts this variable into every pod, for a service that somebody gave such a name
/// (`db` makes DB_PORT=tcp://10.0.0.1:5432).
fn is_of_a_kubernetes_service(name: &str, value: &str) -> bool {
    let is_address = ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme));
    let of_a_port = || {
        let (_, port) = name.split_once("_PORT_")?;
        let (number, protocol) = port.split_once('_')?;
        let protocol = protocol.split('_').next()?;
        Some(number.parse::<u16>().is_ok() && ["TCP", "UDP", "SCTP"].contains(&protocol))
    };
    (name.ends_with("_PORT") && is_address)
        || name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || of_a_port().unwrap_or(false)
}

/// A name of another image counts where its value is missed: the host is given by our name, and this value is not.
fn of_another_image(name: &str, ours: &str, variables: &BTreeMap<String, String>) -> Meaning<'static> {
    let given = |name: &str| variables.get(name).is_some_and(|value| !value.is_empty());
    let host = if ours.starts_with("SMTP_") { "SMTP_HOST" } else { "DB_HOST" };
    let has_ours = given(ours) || given(&format!("{ours}_FILE"));
    match (given(name) && given(host), has_ours) {
        (true, false) => Meaning::Mistake("is another image's name", Some(ours.to_owned())),
        (true, true) => Meaning::Ignored(format!("{ours} gives the value")),
        (false, _) => Meaning::Nothing,
    }
}

/// A setting's name that is not in upper case. The server knows none.
fn in_lower_case(name: &str) -> Option<Meaning<'static>> {
    let upper = name.to_uppercase();
    if upper == name || setting(&upper).is_none() {
        return None;
    }
    let ours = upper.starts_with("MATTERMOST_") || upper.starts_with("MM_");
    let shared = ["DB_", "SMTP_", "GITLAB_"].iter().any(|prefix| upper.starts_with(prefix));
    match (ours, shared) {
        (true, _) => Some(Meaning::Mistake("is not a setting: names are in upper case", Some(upper))),
        (false, true) => Some(Meaning::Ignored(format!("names are in upper case: {upper}"))),
        (false, false) => None,
    }
}

/// A name that is nearly right. What the names have in common by their prefix makes none near.
fn slip(name: &str) -> Meaning<'static> {
    const NOT_A_SETTING: &str = "is not a setting";
    let plain = name.strip_suffix("_FILE").unwrap_or(name);
    let near_row = |prefix: &str| {
        let rest = plain.strip_prefix(prefix)?;
        let names = table::rows().filter_map(|row| row.name.strip_prefix(prefix));
        nearest(rest, names).map(|near| format!("{prefix}{near}"))
    };
    if let Some(rest) = plain.strip_prefix("MM_") {
        return match known::nearest_variable(plain) {
            Some(near) => Meaning::Mistake(NOT_A_SETTING, Some(near.to_owned())),
            None if known::is_in_a_section(rest) => Meaning::Mistake(NOT_A_SETTING, None),
            // Developers' shells have MM_ADMIN_TOKEN, MM_DEBUG and the like.
            None => Meaning::Ignored("it is no setting of the server".to_owned()),
        };
    }
    if name.starts_with("MATTERMOST_") {
        return Meaning::Mistake(NOT_A_SETTING, near_row("MATTERMOST_"));
    }
    // Other programs use these prefixes too: only a name that is nearly right is reported.
    let near = ["DB_", "SMTP_", "GITLAB_"].into_iter().find_map(near_row);
    near.map_or(Meaning::Nothing, |near| Meaning::Mistake(NOT_A_SETTING, Some(near)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(name: &str, more: &[(&str, &str)]) -> String {
        let own = [(name, "x")];
        let pairs = more.iter().chain(&own);
        let variables: BTreeMap<String, String> =
            pairs.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        match meaning(name, &variables) {
            Meaning::Nothing => "nothing".to_owned(),
            Meaning::Value(base, _) => format!("value {base}"),
            Meaning::Mistake(_, near) => format!("mistake {}", near.unwrap_or_default()),
            Meaning::Ignored(_) => "ignored".to_owned(),
        }
    }

    #[test]
    fn a_suggestion_is_made_only_where_it_is_close() {
        for (name, is) in [
            ("MATTERMOST_NMAE", "mistake MATTERMOST_NAME"),
            ("SMTP_PASSWD", "mistake SMTP_PASS"),
            ("MATTERMOST_QUUX", "mistake "),
            ("MM_TEAMSETTINGS_SITENAM", "mistake MM_TEAMSETTINGS_SITENAME"),
            ("MM_TEAMSETTINGS_QUUXQUUXQUUX", "mistake "),
            ("MM_ADMIN_TOKEN", "ignored"),
            ("MM_ADMIN_USERNAME", "ignored"),
            ("MM_DEBUG", "ignored"),
            ("MM_LIVE_RELOAD", "ignored"),
            ("DB_DUMP_SCHEDULE", "nothing"),
        ] {
            assert_eq!(meant(name, &[]), is, "{name}");
        }
    }

    #[test]
    fn a_lower_case_name_is_said_and_a_word_of_another_program_is_not() {
        assert_eq!(meant("mattermost_host", &[]), "mistake MATTERMOST_HOST");
        assert_eq!(meant("Mm_TeamSettings_SiteName", &[]), "mistake MM_TEAMSETTINGS_SITENAME");
        assert_eq!(meant("db_host", &[]), "ignored");
        assert_eq!(meant("debug", &[]), "nothing");
    }

    #[test]
    fn a_name_with_other_characters_is_told_with_the_right_one() {
        for name in [
            "\u{feff}MATTERMOST_HOST",
            "export MATTERMOST_HOST",
            "MATTERMOST_HOST ",
            " MATTERMOST_HOST",
            "\"MATTERMOST_HOST",
            "MATTERMOST\u{fffd}_HOST",
            "MATTERMOST_HO\u{200b}ST",
            "MATTERMOST_HOST\r",
            "export mattermost_host",
        ] {
            assert_eq!(meant(name, &[]), "mistake MATTERMOST_HOST", "{name:?}");
        }
        assert_eq!(meant("\u{feff}DB_PASS_FILE", &[]), "mistake DB_PASS_FILE");
        assert_eq!(meant("export PATH", &[]), "nothing");
        assert_eq!(meant("caf\u{fffd}", &[]), "nothing");
    }

    #[test]
    fn another_images_name_counts_where_its_value_is_missed() {
        let host = ("DB_HOST", "db");
        assert_eq!(meant("MM_PASSWORD", &[host]), "mistake DB_PASS");
        assert_eq!(meant("MM_PASSWORD", &[host, ("DB_PASS_FILE", "/x")]), "ignored");
        assert_eq!(meant("DB_PASSWORD", &[]), "nothing");
        assert_eq!(meant("MATTERMOST_IMAGE_TAG", &[]), "ignored");
    }

    #[test]
    fn kubernetes_variables_are_no_settings() {
        for name in
            ["DB_SERVICE_HOST", "SMTP_PORT_25_TCP", "MM_X_SERVICE_PORT_HTTP", "MATTERMOST_A_PORT_80_TCP_ADDR"]
        {
            assert_eq!(meant(name, &[]), "nothing", "{name}");
        }
        let port = [("DB_PORT".to_owned(), "tcp://10.0.0.1:5432".to_owned())].into();
        assert_eq!(meaning("DB_PORT", &port), Meaning::Nothing);
        assert_eq!(meant("DB_PORT", &[]), "value DB_PORT");
    }
}

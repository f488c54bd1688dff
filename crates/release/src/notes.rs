//! What an upgrade changes for the people of a deployment: the makers' notes, and whether they concern this one.
use serde::Serialize;
use serde_json::Value;
use version::Version;

use crate::edition::{Edition, ReleaseId};
use crate::journey::Store;

type Numbers = (u32, u32, u32);

/// One of the makers' notes.
#[derive(Debug, Serialize)]
pub struct Note {
    #[serde(skip)]
    since: Numbers,
    #[serde(skip)]
    concerns: Concerns,
    /// What changes, and what to do.
    pub what: &'static str,
    /// Whether the new release does not start until it was done.
    pub stops_the_server: bool,
}

impl Note {
    /// The first version of which it tells.
    pub const fn since(&self) -> Version {
        Version::new(self.since.0, self.since.1, self.since.2)
    }
}

/// Whom a note concerns.
#[derive(Debug)]
enum Concerns {
    Everybody,
    Team,
    Mysql,
    Postgres,
    Setting(&'static str, Is),
    TeamSetting(&'static str, Is),
}

/// What a setting is where a note concerns it.
#[derive(Debug)]
enum Is {
    On,
    Off,
    Given,
    Text(&'static str),
}

/// Whether a note concerns a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bearing {
    /// It does.
    Applies,
    /// It depends on a setting, and no config.json was read.
    Depends,
}

/// What is known of a deployment.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    /// The edition that is wanted.
    pub edition: Edition,
    /// Where its data is.
    pub store: Store,
    /// Its config.json.
    pub config: Option<&'a Value>,
}

const fn note(since: Numbers, concerns: Concerns, what: &'static str) -> Note {
    Note { since, concerns, what, stops_the_server: false }
}

const fn stop(since: Numbers, concerns: Concerns, what: &'static str) -> Note {
    Note { since, concerns, what, stops_the_server: true }
}

/// Oldest first. Sources: the makers' important upgrade notes and changelogs; durations are theirs.
const NOTES: [Note; 33] = [
    note((3, 8, 0), Concerns::Everybody, "MM_SECTION_KEY variables now override config.json"),
    note(
        (4, 9, 0),
        Concerns::Everybody,
        "rules on who may do what move from config.json to roles in the database",
    ),
    note((5, 0, 0), Concerns::Everybody, "API version 3 is gone: integrations that use /api/v3 stop working"),
    note(
        (5, 9, 0),
        Concerns::Setting("ServiceSettings.EnableOutgoingWebhooks", Is::On),
        "outgoing webhooks no longer reach private addresses: list them in ServiceSettings.AllowedUntrustedInternalConnections",
    ),
    note(
        (5, 16, 0),
        Concerns::Setting("EmailSettings.SMTPPort", Is::Text("")),
        "without an SMTPPort, mail goes to port 10025",
    ),
    note(
        (5, 35, 0),
        Concerns::Everybody,
        "the schema's migrations take minutes to hours with 10 million posts and more",
    ),
    note(
        (6, 0, 0),
        Concerns::Everybody,
        "several columns change their type: about 11 min for 10 million posts; it fails on posts with \\u0000 in their properties",
    ),
    note(
        (6, 4, 0),
        Concerns::Mysql,
        "the database's user needs EXECUTE, CREATE ROUTINE, ALTER ROUTINE and REFERENCES",
    ),
    note(
        (7, 0, 0),
        Concerns::Everybody,
        "discussions are shown as collapsed threads; without ServiceSettings.TrustedProxyIPHeader, no header of a proxy is believed any more",
    ),
    note((7, 1, 0), Concerns::Everybody, "reactions get a column: 78 s for 12 million posts"),
    note(
        (8, 0, 0),
        Concerns::Everybody,
        "websockets are refused when their Origin is neither the site URL nor in ServiceSettings.AllowCorsFrom",
    ),
    note(
        (9, 2, 0),
        Concerns::Setting("DataRetentionSettings.EnableMessageDeletion", Is::On),
        "custom retention policies may delete more than before: switch them off for the upgrade and look at them",
    ),
    note(
        (10, 0, 0),
        Concerns::Mysql,
        "new installations on MySQL are refused; this one may go on until 10.x",
    ),
    note((10, 0, 0), Concerns::Team, "calls in channels need a licence; calls between two people stay"),
    note(
        (10, 5, 0),
        Concerns::Everybody,
        "10.5.0 and 10.5.1 empty the settings of the Jira plugin: take 10.5.2 or a later one",
    ),
    note((10, 6, 0), Concerns::Postgres, "statistics get tables of their own: 15 s for 12 million posts"),
    note(
        (10, 8, 0),
        Concerns::Setting("ServiceSettings.LicenseFileLocation", Is::Given),
        "licence keys of E10 and E20 are refused",
    ),
    stop(
        (11, 0, 0),
        Concerns::Setting("SqlSettings.DriverName", Is::Text("mysql")),
        "the server does not start on MySQL: SqlSettings.DriverName must be postgres",
    ),
    note(
        (11, 0, 0),
        Concerns::TeamSetting("GitLabSettings.Enable", Is::On),
        "sign-in by GitLab is gone from Team Edition: people need passwords, or the edition entry or enterprise",
    ),
    note((11, 0, 0), Concerns::Team, "no more than 250 active users, and no Playbooks"),
    note(
        (11, 0, 0),
        Concerns::Setting("SqlSettings.DisableDatabaseSearch", Is::On),
        "Bleve is gone: without it or Elasticsearch, searches find nothing while SqlSettings.DisableDatabaseSearch is true",
    ),
    stop(
        (11, 0, 0),
        Concerns::Setting("TeamSettings.ExperimentalViewArchivedChannels", Is::Off),
        "the server does not start while TeamSettings.ExperimentalViewArchivedChannels is false",
    ),
    stop(
        (11, 0, 0),
        Concerns::Setting("ExperimentalSettings.ClientSideCertEnable", Is::On),
        "the server does not start while ExperimentalSettings.ClientSideCertEnable is true",
    ),
    note(
        (11, 0, 0),
        Concerns::Everybody,
        "passwords get a new hash at each sign-in: after a way back to 10.12 or earlier, those who signed in need a new password",
    ),
    note(
        (11, 7, 6),
        Concerns::Everybody,
        "memberships of threads that are gone are deleted; this can be long, and only a backup brings them back",
    ),
    note((11, 8, 0), Concerns::Postgres, "the posts are analysed again: minutes for 100 million"),
    stop(
        (12, 0, 0),
        Concerns::Setting("ImageProxySettings.ImageProxyType", Is::Text("atmos/camo")),
        "the server does not start with the image proxy atmos/camo: set ImageProxySettings.ImageProxyType to local, or switch the proxy off",
    ),
    stop(
        (12, 0, 0),
        Concerns::Setting("FeatureFlags.AppsEnabled", Is::On),
        "the server does not start with the feature flag AppsEnabled",
    ),
    stop(
        (12, 0, 0),
        Concerns::Setting("FeatureFlags.MoveThreadsEnabled", Is::On),
        "the server does not start with the feature flag MoveThreadsEnabled",
    ),
    note(
        (12, 0, 0),
        Concerns::Everybody,
        "the table of posts is locked while messages get longer: about 10 min for 12 million posts",
    ),
    note(
        (12, 0, 0),
        Concerns::Everybody,
        "plugins for the web client that were built for React 17 stop working: update them",
    ),
    note((12, 0, 0), Concerns::Everybody, "imports from Slack are gone from the server"),
    note((12, 0, 0), Concerns::Everybody, "it needs glibc 2.34: Debian 12, Ubuntu 22.04, RHEL 9 or later"),
];

/// What changes on the way from one release to another, oldest first. What does not concern the deployment is left out.
pub fn notes(
    from: &ReleaseId,
    to: &ReleaseId,
    circumstances: Circumstances<'_>,
) -> Vec<(&'static Note, Bearing)> {
    let (after, until) = (from.version.numbers(), to.version.numbers());
    let on_the_way = NOTES.iter().filter(|note| note.since > after && note.since <= until);
    on_the_way.filter_map(|note| Some((note, bearing(&note.concerns, circumstances)?))).collect()
}

/// Whether it concerns the deployment; `None`: it does not.
fn bearing(concerns: &Concerns, circumstances: Circumstances<'_>) -> Option<Bearing> {
    let Circumstances { edition, store, config } = circumstances;
    let setting = |key: &str, is: &Is| match config {
        Some(config) => has(config, key, is).then_some(Bearing::Applies),
        None => Some(Bearing::Depends),
    };
    let known = |concerns: bool| concerns.then_some(Bearing::Applies);
    match concerns {
        // The built-in server has none of the changes: its schema is that of the version in its name.
        _ if edition == Edition::Builtin => None,
        Concerns::Everybody => known(true),
        Concerns::Team => known(edition == Edition::Team),
        Concerns::Mysql => known(matches!(store, Store::Mysql(..) | Store::Mariadb)),
        Concerns::Postgres => known(matches!(store, Store::Postgres(_))),
        Concerns::Setting(key, is) => setting(key, is),
        Concerns::TeamSetting(key, is) if edition == Edition::Team => setting(key, is),
        Concerns::TeamSetting(..) => None,
    }
}

/// Whether a key of config.json is so. What is not there is at its default, which no note is about.
fn has(config: &Value, key: &str, is: &Is) -> bool {
    let value = key.split('.').try_fold(config, |at, name| at.get(name));
    match (is, value) {
        (Is::On, Some(Value::Bool(on))) => *on,
        (Is::Off, Some(Value::Bool(on))) => !on,
        // Feature flags are written as texts, too.
        (Is::On, Some(Value::String(text))) => text == "true",
        (Is::Given, Some(Value::String(text))) => !text.is_empty(),
        (Is::Text(wanted), Some(Value::String(text))) => text == wanted,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(from: &str, to: &str, store: Store, config: Option<&Value>) -> Vec<(String, Bearing)> {
        let to: ReleaseId = to.parse().unwrap();
        let circumstances = Circumstances { edition: to.edition, store, config };
        let notes = notes(&from.parse().unwrap(), &to, circumstances);
        notes.into_iter().map(|(note, bearing)| (note.what.to_owned(), bearing)).collect()
    }

    #[test]
    fn the_oldest_comes_first() {
        for pair in NOTES.windows(2) {
            assert!(pair[0].since <= pair[1].since, "{}", pair[1].what);
        }
    }

    #[test]
    fn a_note_is_told_where_its_setting_is_so() {
        let config = json!({"GitLabSettings": {"Enable": true}, "BleveSettings": {"EnableSearching": false}});
        let of = |edition: &str, config| {
            let told = told("10.11.23-team", &format!("11.7.15-{edition}"), Store::Postgres(14), config);
            (
                told.iter().find(|(what, _)| what.contains("GitLab")).map(|(_, bearing)| *bearing),
                told.iter().any(|(what, _)| what.contains("Bleve")),
            )
        };
        assert_eq!(of("team", Some(&config)), (Some(Bearing::Applies), false));
        assert_eq!(of("enterprise", Some(&config)), (None, false));
        let nothing = json!({});
        assert_eq!(of("team", Some(&nothing)), (None, false));
        assert_eq!(of("team", None), (Some(Bearing::Depends), true));
    }

    #[test]
    fn notes_of_versions_that_are_not_on_the_way_are_not_told() {
        assert_eq!(told("11.7.6-team", "11.7.15-team", Store::Postgres(14), None), []);
        assert!(told("11.7.5-team", "11.7.6-team", Store::Postgres(14), None)[0].0.contains("threads"));
        assert_eq!(told("11.6.0+0.1.0-builtin", "11.6.0+0.2.0-builtin", Store::Sqlite, None), []);
        let mysql = told("5.37.10-team", "6.4.0-team", Store::Mysql(5, 7), None);
        assert!(mysql.iter().any(|(what, _)| what.contains("EXECUTE")));
        let postgres = told("5.37.10-team", "6.4.0-team", Store::Postgres(10), None);
        assert!(!postgres.iter().any(|(what, _)| what.contains("EXECUTE")));
    }
}

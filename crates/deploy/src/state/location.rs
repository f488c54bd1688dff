//! Where a deployment keeps its data: the built-in server's own file, a PostgreSQL that Mainstay runs, or a database on another server.
//!
//! What is declared decides (`DB_*`, a docker link, `MM_SQLSETTINGS_DATASOURCE`, `[mattermost.SqlSettings]`); otherwise what config.json
//! says already, so that an `up` without those variables does not move a deployment; otherwise the file. `database = "managed"` in
//! mainstay.toml excludes all of these; a release that cannot use a file gets the managed database where PostgreSQL is at hand.

use std::fmt;

use dsn::{DataSource, Engine, Host, Server};
use release::{Capabilities, ReleaseId};
use serde_json::Value;
use settings::{Origin, Resolved, Wanted};

use crate::error::{Error, Exit};
use crate::place::layout::Layout;
use crate::place::postgres;
use crate::state::cluster;
use crate::state::identity::Identity;
use crate::state::wanted::read_wanted;
use crate::world::World;

/// Where the data is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Location {
    /// The file in the deployment's own directory.
    File,
    /// The PostgreSQL in the deployment's own directory, which Mainstay runs.
    Managed(Box<Server>),
    /// A database on a server, which is never Mainstay's to delete.
    Server(Box<Server>),
}

/// What is known of the managed database, whether it is used or not.
pub(crate) struct Managed {
    /// Whether mainstay.toml or the command line asks for it.
    pub asked: bool,
    /// Whether Mainstay can run a database here.
    pub possible: bool,
    /// Whether there is one, or the programs to make one.
    pub at_hand: bool,
    /// How the server logs in to it.
    pub server: Server,
    /// The directory of the socket of the deployment that this one was copied from: config.json still names that.
    pub original: Option<Host>,
}

impl Managed {
    /// For the deployment of `world`. `installs` = PostgreSQL may be installed where it is missing.
    pub(crate) fn of(world: &World, wanted: &Wanted, release: &ReleaseId, installs: bool) -> Self {
        let layout = &world.layout;
        let asked = wanted.get("database") == Some(MANAGED);
        let is_default = !Capabilities::of(release).sqlite;
        let path = world.env.get("PATH").map(String::as_str).unwrap_or_default();
        let at_hand = || cluster::is_made(layout) || !postgres::installations(path).is_empty();
        // Secrets that cannot be read are told elsewhere.
        let password = world.secrets().ok().and_then(|secrets| secrets.database_password);
        Self {
            asked,
            possible: layout.place().runs_database(),
            at_hand: installs || ((asked || is_default) && at_hand()),
            server: postgres::server(layout, password),
            original: original_socket(layout),
        }
    }

    /// Whether an address is that of the managed database, or was it where this deployment was copied from.
    fn is_at(&self, host: &Host) -> bool {
        self.server.host == *host || self.original.as_ref() == Some(host)
    }

    fn location(&self) -> Location {
        Location::Managed(Box::new(self.server.clone()))
    }

    /// The managed database, because it is asked for.
    fn asked_for(&self, resolved: &Resolved) -> Result<Location, Error> {
        if !self.possible {
            return Err(Error::new(Exit::Refused, "a container runs no database of its own, and `database` is `managed`")
                .hint("run PostgreSQL in another container, and name it: DB_ADAPTER=postgres, DB_HOST, DB_NAME, DB_USER and DB_PASS"));
        }
        let names_another = |key: &str| {
            let value = resolved.value(SECTION, key).and_then(Value::as_str).unwrap_or_default();
            is_said(resolved, key) && !value.is_empty() && (key, value) != ("DriverName", "postgres")
        };
        match ["DataSource", "DriverName"].into_iter().find(|key| names_another(key)) {
            None => Ok(self.location()),
            Some(key) => Err(Error::new(
                Exit::Settings,
                format!(
                    "`database` is `managed`, and {} says `{SECTION}.{key}`: these are two databases",
                    origin(resolved, key)
                ),
            )
            .hint("take one of them away; nothing has been changed")),
        }
    }
}

/// The word of mainstay.toml.
pub(crate) const MANAGED: &str = "managed";

impl Location {
    /// Whether both are the same database, whoever asks for it there.
    pub(crate) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File, Self::File) | (Self::Managed(_), Self::Managed(_)) => true,
            (Self::Server(one), Self::Server(other)) => {
                (one.engine, one.place(), &one.name) == (other.engine, other.place(), &other.name)
            }
            _ => false,
        }
    }
}

impl fmt::Display for Location {
    /// Without a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => f.write_str("the deployment's own file"),
            Self::Managed(server) | Self::Server(server) => server.fmt(f),
        }
    }
}

pub(crate) const SECTION: &str = "SqlSettings";

/// Where to read about MySQL's end.
pub(crate) const TO_POSTGRES: &str = "releases from 11.0 on run on PostgreSQL alone: while a release from 7.1 to 10.12 is installed, `mainstay database move` moves the data \
     there (docs/move-database.md)";

/// Where the data of that release is, or will be. `deployed` is the config.json in place.
///
/// # Errors
/// The address cannot be read or contradicts itself; the release cannot use such a database, or none is named and it needs one.
pub(crate) fn location(
    resolved: &Resolved,
    deployed: Option<&Value>,
    release: &ReleaseId,
    managed: &Managed,
) -> Result<Location, Error> {
    if managed.asked {
        return managed.asked_for(resolved);
    }
    let filled = |value: Option<&Value>| {
        value.and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let said = |key| filled(resolved.value(SECTION, key).filter(|_| is_said(resolved, key)));
    let kept = |key: &str| filled(deployed.map(|config| &config[SECTION][key]));
    let can = Capabilities::of(release);
    let file = || match can.sqlite {
        true => Ok(Location::File),
        false if managed.possible && managed.at_hand => Ok(managed.location()),
        false => Err(no_database(release, managed)),
    };
    let (driver, source) = match (said("DriverName"), said("DataSource")) {
        (None, None) => (kept("DriverName"), kept("DataSource")),
        // Of a file, no address is wanted: there is one.
        (Some(driver), None) if driver == "sqlite" => (Some(driver), None),
        (Some(driver), None) => {
            (Some(driver), kept("DataSource").filter(|_| kept("DriverName") == said("DriverName")))
        }
        said => said,
    };
    if driver.as_deref() == Some("sqlite") {
        return file();
    }
    let Some(source) = source else {
        return match driver {
            Some(driver) if deployed.is_none() || said("DriverName").is_some() => Err(Error::new(
                Exit::Settings,
                format!("`{SECTION}.DriverName` is {driver}, and `{SECTION}.DataSource` is not given"),
            )
            .hint("give both, or DB_HOST and its companions instead")),
            _ => file(),
        };
    };
    let wrong = |problem: String| {
        let place = origin(resolved, "DataSource");
        Error::new(Exit::Settings, format!("{place}: `{SECTION}.DataSource`: {problem}"))
            .hint("nothing has been changed")
    };
    let server = match source.parse().map_err(|error: dsn::AddressError| wrong(error.to_string()))? {
        DataSource::Sqlite(_) => return file(),
        DataSource::Server(server) if server.insists_on_prefer() => {
            return Err(wrong(
                "it says sslmode=prefer, which Mattermost's driver does not know; write sslmode=verify-full, verify-ca or require \
                 where the database offers TLS, and sslmode=disable where it does not"
                    .to_owned(),
            ));
        }
        DataSource::Server(server) => server.as_mattermost_connects(),
    };
    if managed.is_at(&server.host) {
        return Ok(managed.location());
    }
    match driver {
        Some(driver) if driver != server.engine.driver_name() => Err(wrong(format!(
            "it is an address of {}, and `{SECTION}.DriverName` is {driver}",
            server.engine
        ))),
        _ if server.engine == Engine::MySql && !can.mysql => {
            Err(Error::new(Exit::Refused, format!("{release} cannot use {server}: it knows no MySQL"))
                .hint(TO_POSTGRES))
        }
        _ if server.name.is_empty() => Err(wrong("it names no database".to_owned())),
        _ => Ok(Location::Server(Box::new(server))),
    }
}

/// A release that needs a database server has none, and no PostgreSQL to make one.
fn no_database(release: &ReleaseId, managed: &Managed) -> Error {
    let name = "name a PostgreSQL database with DB_ADAPTER=postgres, DB_HOST, DB_NAME, DB_USER and DB_PASS (docs/databases.md has the ways)";
    let what = format!("{release} needs a database, and none is named");
    match managed.possible {
        false => Error::new(Exit::Settings, what).hint(name),
        true => Error::new(Exit::Settings, format!("{what}; nor is PostgreSQL installed, which Mainstay would run for it")).hint(format!(
            "either `mainstay up --install-packages` installs PostgreSQL from the distribution, and Mainstay runs it in the deployment's \
             own directory; or {name}"
        )),
    }
}

/// Whether somebody said it: no default of the release.
pub(crate) fn is_said(resolved: &Resolved, key: &str) -> bool {
    resolved.setting(SECTION, key).and_then(|setting| setting.origin()).is_some_and(Origin::is_given)
}

/// Where a key's value comes from.
pub(crate) fn origin(resolved: &Resolved, key: &str) -> String {
    let setting = resolved.setting(SECTION, key).filter(|_| is_said(resolved, key));
    let origin = setting.and_then(|setting| setting.origin());
    origin.map_or_else(|| "config.json".to_owned(), ToString::to_string)
}

/// Where config.json says that the data is.
pub(crate) fn deployed(config: &Value, layout: &Layout) -> Option<Location> {
    let text = |key: &str| config[SECTION][key].as_str().unwrap_or_default();
    if text("DriverName") == "sqlite" {
        return Some(Location::File);
    }
    match text("DataSource").parse() {
        Ok(DataSource::Server(server)) => {
            let server = Box::new(server.as_mattermost_connects());
            let is_ours = server.host == Host::Socket(layout.postgres_socket())
                || original_socket(layout).is_some_and(|socket| server.host == socket);
            Some(if is_ours { Location::Managed(server) } else { Location::Server(server) })
        }
        _ => None,
    }
}

/// The database that config.json names, for whoever reads it; `None` = none.
pub(crate) fn source(config: &Value, layout: &Layout) -> Option<DataSource> {
    Some(match deployed(config, layout)? {
        Location::File => DataSource::Sqlite(layout.sqlite()),
        Location::Managed(server) | Location::Server(server) => DataSource::Server(*server),
    })
}

/// Where the managed database of the deployment had its socket whose directory was copied or moved here.
fn original_socket(layout: &Layout) -> Option<Host> {
    // A record that cannot be read is told elsewhere.
    let identity = Identity::read(layout).ok().flatten()?;
    let is_elsewhere = identity.managed && identity.root != layout.root();
    is_elsewhere.then(|| Host::Socket(Layout::new(&identity.root).postgres_socket()))
}

/// Whether the data is in the managed database, as config.json or mainstay.toml says: for whoever has not settled anything.
pub fn is_managed(layout: &Layout) -> bool {
    let config = crate::state::config_file::deployed(layout).ok().flatten();
    let in_use = config.and_then(|config| deployed(&config, layout));
    let asked = || {
        read_wanted(layout).ok().flatten().is_some_and(|(wanted, _)| wanted.get("database") == Some(MANAGED))
    };
    matches!(in_use, Some(Location::Managed(_))) || asked()
}

/// Whether config.json, if there is one, says that the data is in the deployment's own file.
///
/// # Errors
/// It cannot be read.
pub(crate) fn is_file(layout: &Layout) -> Result<bool, Error> {
    let config = crate::state::config_file::deployed(layout)?;
    Ok(config.and_then(|config| deployed(&config, layout)).is_some_and(|location| location == Location::File))
}

/// The server that config.json names: for a step, which must find what the plan found, whatever the environment is by then.
///
/// # Errors
/// config.json cannot be read, or names none.
pub(crate) fn of_config(world: &World) -> Result<Server, Error> {
    let config = crate::state::config_file::read(&world.layout.config())?;
    match deployed(&config, &world.layout) {
        Some(Location::Server(server) | Location::Managed(server)) => Ok(*server),
        _ => Err(Error::new(
            Exit::Settings,
            format!("{}: `{SECTION}.DataSource` names no database server", world.layout.config().display()),
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use dsn::TlsMode;
    use serde_json::json;
    use settings::{Defaults, Sources};

    use super::*;

    fn resolved(version: &str, pairs: &[(&str, &str)]) -> Result<Resolved, settings::Findings> {
        let environment: BTreeMap<String, String> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let sources = Sources {
            defaults: Defaults::Release,
            secrets: None,
            wanted: None,
            environment: &environment,
            flags: &BTreeMap::new(),
            site_url: None,
            read_file: &|_| Err(std::io::ErrorKind::NotFound.into()),
        };
        settings::resolve(version.parse::<version::Series>().expect("a version"), &sources)
    }

    fn at(release: &str, pairs: &[(&str, &str)], deployed: Option<&Value>) -> Result<Location, Error> {
        let release: ReleaseId = release.parse().expect("a release");
        let version = format!("{}.{}", release.version.major, release.version.minor);
        location(
            &resolved(&version, pairs).expect("they are right"),
            deployed,
            &release,
            &managed(false, false),
        )
    }

    fn managed(asked: bool, at_hand: bool) -> Managed {
        let server = postgres::server(&Layout::new("/srv/chat"), None);
        Managed { asked, possible: true, at_hand, server, original: None }
    }

    #[test]
    fn the_managed_database_is_used_where_it_is_asked_for_or_nothing_else_can_be() {
        let at = |release: &str, pairs: &[(&str, &str)], deployed: Option<&Value>, managed: &Managed| {
            let release: ReleaseId = release.parse().expect("a release");
            let version = format!("{}.{}", release.version.major, release.version.minor);
            location(&resolved(&version, pairs).expect("they are right"), deployed, &release, managed)
        };
        const TEAM: &str = "11.7.15-team";
        let is_managed = |location: Result<Location, Error>| matches!(location, Ok(Location::Managed(_)));
        assert!(is_managed(at(BUILTIN, &[], None, &managed(true, false))));
        assert!(is_managed(at(TEAM, &[], None, &managed(false, true))));
        assert_eq!(at(BUILTIN, &[], None, &managed(false, true)).expect("the file"), Location::File);
        let refused = at(TEAM, &[], None, &managed(false, false)).expect_err("nothing is there");
        let hint = refused.hint.expect("both ways");
        assert!(hint.contains("--install-packages") && hint.contains("DB_HOST"), "{hint}");
        // It stays in use, whatever mainstay.toml has lost.
        let config = json!({"SqlSettings": {"DriverName": "postgres", "DataSource":
            "postgres://mattermost:x@/mattermost?host=%2Fsrv%2Fchat%2Fpostgres%2Fsocket&port=5432&sslmode=disable"}});
        assert!(is_managed(at(BUILTIN, &[], Some(&config), &managed(false, false))));
        assert!(matches!(deployed(&config, &Layout::new("/srv/chat")), Some(Location::Managed(_))));
        assert!(matches!(deployed(&config, &Layout::new("/srv/copy")), Some(Location::Server(_))));
        // A copy has its own, although config.json still names the one of the original.
        let copy = Managed {
            original: Some(Host::Socket("/srv/first/postgres/socket".into())),
            ..managed(false, true)
        };
        let of_original = json!({"SqlSettings": {"DriverName": "postgres", "DataSource":
            "postgres://mattermost:x@/mattermost?host=%2Fsrv%2Ffirst%2Fpostgres%2Fsocket&port=5432&sslmode=disable"}});
        assert!(is_managed(at(TEAM, &[], Some(&of_original), &copy)));
        // A person names another one.
        assert!(matches!(at(TEAM, &POSTGRES, None, &managed(false, true)), Ok(Location::Server(_))));
        let both = at(TEAM, &POSTGRES, None, &managed(true, true)).expect_err("two databases");
        assert!(both.exit == Exit::Settings && both.what.contains("two databases"), "{both}");
        let container = Managed { possible: false, ..managed(true, true) };
        assert_eq!(at(TEAM, &[], None, &container).expect_err("refused").exit, Exit::Refused);
    }

    const BUILTIN: &str = "11.6.0+0.1.0-builtin";
    const POSTGRES: [(&str, &str); 4] =
        [("DB_ADAPTER", "postgres"), ("DB_HOST", "db"), ("DB_USER", "mm"), ("DB_PASS", "p@ss")];

    #[test]
    fn what_is_declared_decides_then_what_is_deployed_then_the_file() {
        let shown = |pairs: &[_], deployed| at(BUILTIN, pairs, deployed).map(|at| at.to_string());
        let postgres = "postgres://mm:***@db:5432/mattermost";
        assert_eq!(at(BUILTIN, &[], None).expect("the file"), Location::File);
        assert_eq!(shown(&POSTGRES, None).expect("a server"), postgres);
        let source =
            json!({"SqlSettings": {"DriverName": "postgres", "DataSource": "postgres://mm:x@old/chat"}});
        assert_eq!(shown(&[], Some(&source)).expect("a server"), "postgres://mm:***@old:5432/chat");
        assert_eq!(shown(&POSTGRES, Some(&source)).expect("a server"), postgres);
        let file = json!({"SqlSettings": {"DriverName": "sqlite", "DataSource": "/data/mattermost.db"}});
        assert_eq!(at(BUILTIN, &[], Some(&file)).expect("the file"), Location::File);
        let back = [("MM_SQLSETTINGS_DRIVERNAME", "sqlite")];
        assert_eq!(at(BUILTIN, &back, Some(&source)).expect("the file"), Location::File);
        let linked = [
            ("POSTGRES_PORT_5432_TCP_ADDR", "172.17.0.6"),
            ("POSTGRES_PORT_5432_TCP_PORT", "5433"),
            ("POSTGRES_ENV_POSTGRES_PASSWORD", "pw"),
        ];
        assert_eq!(shown(&linked, None).expect("linked"), "postgres://postgres:***@172.17.0.6:5433/postgres");
    }

    #[test]
    fn an_address_without_a_word_on_tls_means_what_it_means_to_the_driver() {
        let mode = |source| match at(BUILTIN, &[("MM_SQLSETTINGS_DATASOURCE", source)], None) {
            Ok(Location::Server(server)) => server.tls.mode,
            other => panic!("{other:?}"),
        };
        assert_eq!(mode("postgres://u:p@db/chat"), TlsMode::Require);
        assert_eq!(mode("postgres://u:p@db/chat?sslmode=disable"), TlsMode::Disable);
        assert_eq!(mode("postgres://u:p@db/chat?sslmode=verify-full"), TlsMode::VerifyFull);
    }

    #[test]
    fn what_cannot_be_is_refused_with_the_way_out() {
        type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], Exit, &'a str);
        let cases: [Case<'_>; 6] = [
            (BUILTIN, &[("MM_SQLSETTINGS_DATASOURCE", "u:p@tcp(db:3306)/n")], Exit::Refused, "MySQL"),
            (BUILTIN, &[("MM_SQLSETTINGS_DATASOURCE", "postgres://u:hunter2/x@db/n")], Exit::Settings, "%2F"),
            (
                BUILTIN,
                &[("MM_SQLSETTINGS_DATASOURCE", "postgres://u@db")],
                Exit::Settings,
                "names no database",
            ),
            (BUILTIN, &[("MM_SQLSETTINGS_DRIVERNAME", "postgres")], Exit::Settings, "not given"),
            ("10.11.0-team", &[], Exit::Settings, "needs a database"),
            (
                "10.11.0-team",
                &[("MM_SQLSETTINGS_DATASOURCE", "postgres://u@db/n"), ("MM_SQLSETTINGS_DRIVERNAME", "mysql")],
                Exit::Settings,
                "an address of PostgreSQL",
            ),
        ];
        for (release, pairs, kind, says) in cases {
            let error = at(release, pairs, None).expect_err(says);
            assert_eq!(error.exit, kind, "{error}");
            assert!(error.what.contains(says) && error.hint.is_some(), "{error}");
            assert!(!error.what.contains("hunter2"), "{error}");
        }
        let mysql = at("10.11.0-team", &[("DB_HOST", "db")], None).expect("an old release");
        assert_eq!(mysql.to_string(), "mysql://root@db:3306/mattermost");
    }
}

//! The way of a deployment from one release to another: the releases that must run in between, and what happens to the database
//! before each of them starts.
use serde::Serialize;
use version::Version;

use crate::capability::Capabilities;
use crate::catalogue::Catalogue;
use crate::edition::{Edition, ReleaseId};
use crate::path::{Path, path};

/// Which database holds a deployment's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// PostgreSQL, with its major version.
    Postgres(u32),
    /// MySQL, with major and minor version: 5.7 is `(5, 7)`.
    Mysql(u32, u32),
    /// MariaDB. Mattermost's makers never supported it, so there is no table of its versions.
    Mariadb,
    /// SQLite, which the built-in server alone has.
    Sqlite,
}

/// One thing to do on the way. Each is done, and checked, before the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "leg", rename_all = "snake_case")]
pub enum Leg {
    /// Start this release, which changes the database's schema, and wait until it is up.
    Release {
        /// Which.
        version: Version,
        /// Why not the next one at once; empty at the end of the way.
        why: String,
    },
    /// Bring PostgreSQL to this major version, while the server is stopped.
    Postgres {
        /// The major version.
        to: u32,
        /// Which release needs it.
        why: String,
    },
    /// Bring MySQL to this version, while the server is stopped.
    Mysql {
        /// Such as `8.0`.
        to: String,
        /// Which release needs it.
        why: String,
    },
    /// Move the data to PostgreSQL, while the server is stopped.
    MoveToPostgres {
        /// The major version.
        to: u32,
        /// Which release needs it.
        why: String,
    },
}

/// Why there is no way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoWay {
    /// Downgrades lose data.
    #[error("{to} is older than {from}, and cannot read what {from} wrote")]
    Older {
        /// The release that wrote the data.
        from: Version,
        /// The release that is wanted.
        to: Version,
    },
    /// Two releases have different migrations under one number.
    #[error("{to} does not start on what {from} wrote: {first} is the first that {why}")]
    Clash {
        /// The release that wrote the data.
        from: String,
        /// The release that is wanted.
        to: String,
        /// The first release that works.
        first: String,
        /// What it does.
        why: &'static str,
    },
    /// The edition does not have this version.
    #[error("there is no Entry edition before 11.0: {0} exists as team and enterprise")]
    NoEntry(Version),
    /// The built-in server has no MySQL.
    #[error(
        "the built-in server keeps no data in MySQL: choose an official release before 11.0, or move the data to PostgreSQL"
    )]
    NoMysql,
}

impl NoWay {
    /// What to do instead.
    pub fn hint(&self) -> String {
        match self {
            Self::Older { from, .. } => {
                format!(
                    "go on with {from} or a later release; to go back, restore a backup that was made before {from} was started"
                )
            }
            Self::Clash { first, .. } => format!("go to {first} or a later release"),
            Self::NoEntry(_) => {
                "choose `--edition team` or `--edition enterprise`, or a version from 11.0 on".to_owned()
            }
            Self::NoMysql => "`mainstay release path FROM TO --edition team` says how".to_owned(),
        }
    }
}

type Numbers = (u32, u32, u32);

/// The oldest MySQL that a release and later ones start on: 5.7 is refused by 9.5. Sources: the upgrade notes of 6.0 and 9.5.
const MYSQL: [(Numbers, (u32, u32)); 2] = [((6, 0, 0), (5, 7)), ((9, 5, 0), (8, 0))];

/// From here on the makers advise their tools for moving MySQL to PostgreSQL (they work from 7.1 on).
const MOVES_FROM: Version = Version::new(8, 0, 0);
/// Where a deployment that is older is taken first.
const MOVES_AT: Version = Version::new(8, 1, 0);

/// From here on a release may run on the newest PostgreSQL that any later release on the way needs, so that one move is enough.
const ANY_POSTGRES: Numbers = (8, 1, 0);

/// The way from one release to another. It is empty where nothing is to be done.
///
/// `every_extended` stops at each extended support release between: the makers test the way from each to the next, and allow
/// the others untested.
///
/// # Errors
/// There is no way.
pub fn journey(
    from: &ReleaseId,
    to: &ReleaseId,
    store: Store,
    every_extended: bool,
    catalogue: &Catalogue,
) -> Result<Vec<Leg>, NoWay> {
    let is_mysql = matches!(store, Store::Mysql(..) | Store::Mariadb);
    if to.edition == Edition::Entry && to.version < Version::new(11, 0, 0) {
        return Err(NoWay::NoEntry(to.version.clone()));
    }
    if to.edition == Edition::Builtin && is_mysql {
        return Err(NoWay::NoMysql);
    }
    if from == to {
        return Ok(Vec::new());
    }
    let mut releases = stops(&from.version, &to.version, catalogue)?;
    if every_extended {
        add_extended(&mut releases, &from.version, &to.version, catalogue);
    }
    let can =
        |version: &Version| Capabilities::of(&ReleaseId { version: version.clone(), edition: to.edition });
    let leaves_mysql = is_mysql && !can(&to.version).mysql;
    let runs_before_move = |version: &Version| *version >= MOVES_FROM && *version < Version::new(11, 0, 0);
    if leaves_mysql
        && !std::iter::once(&from.version).chain(releases.iter().map(|(v, _)| v)).any(runs_before_move)
    {
        let at = catalogue.newest(&MOVES_AT);
        let place = releases.iter().position(|(version, _)| *version > at).unwrap_or(releases.len());
        releases.insert(place, (at, "is where the makers' tools can move MySQL to PostgreSQL".to_owned()));
    }
    releases.push((to.version.clone(), String::new()));
    Ok(with_databases(releases, store, &can(&to.version), can))
}

/// The releases that must run on the way, each in its newest patch release.
fn stops(from: &Version, to: &Version, catalogue: &Catalogue) -> Result<Vec<(Version, String)>, NoWay> {
    match path(from, to) {
        Path::Same | Path::Open => Ok(Vec::new()),
        Path::Older => Err(NoWay::Older { from: from.clone(), to: to.clone() }),
        Path::Instead(stop) => {
            let [from, to, first] = [from, to, &stop.version].map(ToString::to_string);
            Err(NoWay::Clash { from, to, first, why: stop.why })
        }
        Path::Stops(stops) => {
            let newest = |stop: crate::path::Stop| (catalogue.newest(&stop.version), stop.why.to_owned());
            Ok(stops.into_iter().map(newest).collect())
        }
    }
}

fn add_extended(releases: &mut Vec<(Version, String)>, from: &Version, to: &Version, catalogue: &Catalogue) {
    for line in catalogue.lines.iter().filter(|line| line.extended) {
        let newest = &line.newest;
        let is_between =
            newest > from && newest < to && line.series != from.series() && line.series != to.series();
        let is_there = releases.iter().any(|(version, _)| version.series() == line.series);
        // A stop from which the next release cannot be reached is none.
        let leads_on = !matches!(path(newest, to), Path::Instead(_));
        if is_between && !is_there && leads_on {
            releases.push((newest.clone(), "is the next extended support release".to_owned()));
        }
    }
    releases.sort_by(|(a, _), (b, _)| a.cmp(b));
}

/// Puts before each release what its database needs.
fn with_databases(
    releases: Vec<(Version, String)>,
    store: Store,
    last: &Capabilities,
    can: impl Fn(&Version) -> Capabilities,
) -> Vec<Leg> {
    let mut legs = Vec::new();
    let mut at = store;
    let enough_for_all = last.postgres_minimum / 10_000;
    for (version, why) in releases {
        let needs = can(&version);
        let of_postgres = needs.postgres_minimum / 10_000;
        let reach = if version.numbers() >= ANY_POSTGRES { enough_for_all } else { of_postgres };
        let for_it = format!("{version} needs it");
        match at {
            Store::Postgres(major) if major < of_postgres => {
                legs.push(Leg::Postgres { to: reach, why: for_it });
                at = Store::Postgres(reach);
            }
            Store::Mysql(..) | Store::Mariadb if !needs.mysql => {
                legs.push(Leg::MoveToPostgres { to: reach, why: format!("{version} has no MySQL") });
                at = Store::Postgres(reach);
            }
            Store::Mysql(major, minor) => {
                let least = MYSQL.iter().rev().find(|(since, _)| version.numbers() >= *since);
                if let Some((_, (to, minor_to))) = least.filter(|(_, least)| (major, minor) < *least) {
                    legs.push(Leg::Mysql { to: format!("{to}.{minor_to}"), why: for_it });
                    at = Store::Mysql(*to, *minor_to);
                }
            }
            Store::Sqlite if !needs.sqlite => {
                legs.push(Leg::MoveToPostgres { to: reach, why: format!("{version} has no SQLite") });
                at = Store::Postgres(reach);
            }
            Store::Postgres(_) | Store::Mariadb | Store::Sqlite => {}
        }
        legs.push(Leg::Release { version, why });
    }
    legs
}

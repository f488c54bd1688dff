//! What a release can do. It is looked up in one table; no code asks for an edition.
use std::time::Duration;

use crate::edition::{Edition, ReleaseId};

/// What callers must know about a release before they use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// `mattermost db migrate` exists. Without it, the server migrates the schema when it starts.
    pub db_migrate: bool,
    /// `mattermost version` neither opens nor migrates the database.
    pub version_without_database: bool,
    /// `ping?get_server_status=true` probes database and file store.
    pub ping_server_status: bool,
    /// `ping?use_rest_semantics=true` answers 200 with the state in its body; otherwise unhealthy is a 500.
    pub rest_semantics: bool,
    /// `MM_SECTION_KEY` variables override config.json.
    pub environment_overrides: bool,
    /// `ServiceSettings.EnableLocalMode` opens a Unix socket with the administrator API, which needs no password.
    pub local_channel: bool,
    /// Keeps its data in SQLite.
    pub sqlite: bool,
    /// Keeps its data in MySQL.
    pub mysql: bool,
    /// Works through a pooler that gives each transaction another session, if its address has `binary_parameters=yes`. The
    /// built-in server keeps statements in its sessions.
    pub pooled_transactions: bool,
    /// The oldest PostgreSQL that it starts on, in the form of `server_version_num`: 140000 is 14.0.
    pub postgres_minimum: u32,
    /// Its memory is managed by the C library, which can be told by its environment to give free memory back.
    pub c_memory: bool,
    /// It listens on a Unix socket where `ServiceSettings.ListenAddress` is a path, and believes what the edge says there about clients.
    pub unix_socket: bool,
    /// The number of its last migration (`db_migrations`), if known.
    pub last_migration: Option<u32>,
    /// How long it may take to stop before it is killed.
    pub stop_limit: Duration,
}

/// Which editions a row applies to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    All,
    Official,
    Builtin,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Feature {
    DbMigrate,
    VersionWithoutDatabase,
    PingServerStatus,
    RestSemantics,
    EnvironmentOverrides,
    LocalChannel,
    Sqlite,
    Mysql,
    PooledTransactions,
    CMemory,
    UnixSocket,
}

type Numbers = (u32, u32, u32);
const NEVER: Numbers = (u32::MAX, 0, 0);

/// Feature, editions, first version with it, first version without it again. Sources: the upgrade notes of 6.5 and
/// 11.0, the API reference of `GET /system/ping`, the configuration guide ("since 3.8"), the
/// server's source (local mode).
const FEATURES: [(Feature, Line, Numbers, Numbers); 11] = [
    (Feature::DbMigrate, Line::All, (6, 5, 0), NEVER),
    (Feature::VersionWithoutDatabase, Line::All, (6, 5, 0), NEVER),
    (Feature::PingServerStatus, Line::All, (3, 10, 0), NEVER),
    (Feature::RestSemantics, Line::All, (9, 6, 0), NEVER),
    (Feature::EnvironmentOverrides, Line::All, (3, 8, 0), NEVER),
    (Feature::LocalChannel, Line::All, (5, 24, 0), NEVER),
    (Feature::Sqlite, Line::Builtin, (0, 0, 0), NEVER),
    (Feature::Mysql, Line::Official, (0, 0, 0), (11, 0, 0)),
    (Feature::PooledTransactions, Line::Official, (0, 0, 0), NEVER),
    (Feature::CMemory, Line::Builtin, (0, 0, 0), NEVER),
    (Feature::UnixSocket, Line::Builtin, (0, 0, 0), NEVER),
];

/// First version, and the oldest PostgreSQL that it and later versions start on. Sources: the upgrade notes of 5.30, 8.0, 10.6, 11.0 and 12.0.
const POSTGRES: [(Numbers, u32); 6] = [
    ((0, 0, 0), 90_400),
    ((5, 30, 0), 100_000),
    ((8, 0, 0), 110_000),
    ((10, 6, 0), 130_000),
    ((11, 0, 0), 140_000),
    ((12, 0, 0), 150_000),
];

/// First version, first version with more migrations, last migration. 11.6.2 added some. Source: the server's list of migrations.
const MIGRATIONS: [(Numbers, Numbers, u32); 1] = [((11, 6, 0), (11, 6, 2), 159)];

/// Editions, first version, and how many seconds it may take to stop. The official server waits 1 s for connections and 10 s for its
/// plugins, which it has had since 5.2, and then ends its jobs; 11.6 without plugins took 8.7 s just after its start.
const STOPS: [(Line, Numbers, u64); 3] =
    [(Line::Builtin, (0, 0, 0), 10), (Line::Official, (0, 0, 0), 10), (Line::Official, (5, 2, 0), 30)];

impl Capabilities {
    /// What the table says about a release.
    pub fn of(id: &ReleaseId) -> Self {
        let version = id.version.numbers();
        let line = if id.edition == Edition::Builtin { Line::Builtin } else { Line::Official };
        let has = |wanted| {
            FEATURES.iter().any(|(feature, of, since, before)| {
                *feature == wanted
                    && (*of == Line::All || *of == line)
                    && (*since..*before).contains(&version)
            })
        };
        let postgres = POSTGRES.iter().rev().find(|(since, _)| version >= *since);
        let migrations = MIGRATIONS.iter().find(|(since, before, _)| (*since..*before).contains(&version));
        let stops = STOPS.iter().rev().find(|(of, since, _)| *of == line && version >= *since);
        Self {
            db_migrate: has(Feature::DbMigrate),
            version_without_database: has(Feature::VersionWithoutDatabase),
            ping_server_status: has(Feature::PingServerStatus),
            rest_semantics: has(Feature::RestSemantics),
            environment_overrides: has(Feature::EnvironmentOverrides),
            local_channel: has(Feature::LocalChannel),
            sqlite: has(Feature::Sqlite),
            mysql: has(Feature::Mysql),
            pooled_transactions: has(Feature::PooledTransactions),
            c_memory: has(Feature::CMemory),
            unix_socket: has(Feature::UnixSocket),
            postgres_minimum: postgres.map_or(0, |(_, minimum)| *minimum),
            last_migration: migrations.map(|(_, _, last)| *last),
            stop_limit: Duration::from_secs(stops.map_or(10, |(_, _, seconds)| *seconds)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_at_its_edges() {
        let of = |name: &str| Capabilities::of(&name.parse().unwrap());
        for (name, migrate, rest, mysql, postgres) in [
            ("5.29.1-team", false, false, true, 90_400),
            ("5.37.10-team", false, false, true, 100_000),
            ("6.4.2-enterprise", false, false, true, 100_000),
            ("6.5.0-enterprise", true, false, true, 100_000),
            ("8.1.13-team", true, false, true, 110_000),
            ("9.6.0-team", true, true, true, 110_000),
            ("10.11.23-team", true, true, true, 130_000),
            ("11.7.15-team", true, true, false, 140_000),
            ("12.1.0-entry", true, true, false, 150_000),
            ("11.6.0+0.1.0-builtin", true, true, false, 140_000),
        ] {
            let can = of(name);
            assert_eq!(
                (can.db_migrate, can.rest_semantics, can.mysql, can.postgres_minimum),
                (migrate, rest, mysql, postgres),
                "{name}"
            );
            assert_eq!(
                (can.sqlite, can.unix_socket),
                (name.ends_with("builtin"), name.ends_with("builtin")),
                "{name}"
            );
        }
        let stops = |name| of(name).stop_limit.as_secs();
        assert_eq!([stops("5.1.2-team"), stops("5.37.10-team"), stops("11.6.0-enterprise")], [10, 30, 30]);
        assert_eq!(stops("11.6.0+0.1.0-builtin"), 10);
        let local = |name| of(name).local_channel;
        assert!(!local("5.23.2-team") && local("5.24.0-team") && local("11.6.0+0.1.0-builtin"));
    }
}

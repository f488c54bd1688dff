//! `database status`: where the data is and how it is there, without touching it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use database::{Contents, Version};
use dsn::Engine;
use release::{Capabilities, Catalogue, Edition, ReleaseId};
use serde::Serialize;
use settings::Origin;

use crate::error::{Error, Exit};
use crate::part::database::readiness::warnings;
use crate::part::identity::refuse_gone_files;
use crate::place::postgres;
use crate::state::cluster::{self, Record};
use crate::state::config_file;
use crate::state::database_failure::{refused, script};
use crate::state::deleted::deleted_database;
use crate::state::location::{self, Location, Managed};
use crate::state::settled::settings_of;
use crate::world::World;

/// How long a database may take to answer whoever looks.
const PATIENCE: Duration = Duration::from_secs(5);

/// The database of a deployment.
#[derive(Debug, Clone, Serialize)]
pub struct DatabaseStatus {
    /// Where it is, the password masked; for the built-in server's own, the file.
    pub address: String,
    /// What says so: setting and place.
    pub origins: Vec<(String, String)>,
    /// The release that it is looked at for.
    pub release: String,
    /// The file's size in bytes; `None` for a server, and where there is no file yet.
    pub file_bytes: Option<u64>,
    /// What a server answered.
    pub reached: Option<Reached>,
    /// How Mainstay runs it, where it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed: Option<ManagedStatus>,
}

/// A database that Mainstay runs.
#[derive(Debug, Clone, Serialize)]
pub struct ManagedStatus {
    /// The major version of PostgreSQL that its data is of.
    pub major: u32,
    /// Where its programs are.
    pub bin: PathBuf,
    /// Its data.
    pub data: PathBuf,
    /// Its process id while it runs.
    pub pid: Option<u32>,
    /// How often it had to be started again.
    pub restarts: u64,
}

/// What a later release needs of the database server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Need {
    /// The release line.
    pub release: String,
    /// The oldest PostgreSQL that it takes.
    pub postgres: String,
    /// Whether this one is new enough.
    pub met: bool,
}

/// A kind of statement that took long.
#[derive(Debug, Clone, Serialize)]
pub struct SlowStatement {
    /// Its text, cut, without its values.
    pub text: String,
    /// How often it ran.
    pub calls: u64,
    /// Milliseconds on average.
    pub mean_ms: f64,
    /// Milliseconds in all.
    pub total_ms: f64,
}

/// A table with many rows that were deleted or replaced and still take room.
#[derive(Debug, Clone, Serialize)]
pub struct DeadRows {
    /// The table.
    pub table: String,
    /// Rows that count.
    pub live: u64,
    /// Rows that do not.
    pub dead: u64,
}

/// What a database server answered.
#[derive(Debug, Clone, Serialize)]
pub struct Reached {
    /// `PostgreSQL`, `MySQL` or `MariaDB`.
    pub product: String,
    /// Its version.
    pub version: String,
    /// The oldest PostgreSQL that the release takes.
    pub minimum: Option<String>,
    /// Whether the way there is encrypted.
    pub tls: bool,
    /// The character set.
    pub encoding: String,
    /// How it sorts.
    pub collation: String,
    /// How many connections it takes in all.
    pub max_connections: u32,
    /// What works and yet is not as it should be.
    pub warnings: Vec<String>,
    /// Login and questions, in ms.
    pub latency_ms: u64,
    /// Whether Mattermost's tables are there.
    pub schema: bool,
    /// The Mattermost that wrote its version there.
    pub mattermost_version: Option<String>,
    /// The number of the last migration.
    pub migration: Option<u32>,
    /// Its size in bytes; `None` for MySQL.
    pub bytes: Option<u64>,
    /// Connections to it now; `None` for MySQL.
    pub connections: Option<u32>,
    /// The tables with the most dead rows, where those are many.
    pub dead_rows: Vec<DeadRows>,
    /// The statements that took the most time; `None` where PostgreSQL keeps no statistics of them.
    pub slowest: Option<Vec<SlowStatement>>,
    /// What the next releases need, where that changes.
    pub next: Vec<Need>,
}

/// Looks.
///
/// # Errors
/// A setting is wrong; the database is away or cannot be used: why, and what to do.
pub async fn database_status(world: &World) -> Result<DatabaseStatus, Error> {
    let (location, release, origins) = of_deployment(world)?;
    if let Some(deleted) = deleted_database(&world.layout) {
        return Err(deleted.refusal());
    }
    // A file that is not there yet is told as such.
    if !matches!(location, Location::File) {
        refuse_gone_files(&world.layout).await?;
    }
    let managed = match &location {
        Location::Managed(_) => Some(managed(world).await?),
        Location::File | Location::Server(_) => None,
    };
    let server = match location {
        Location::Server(server) | Location::Managed(server) => server,
        Location::File => {
            let path = world.layout.sqlite();
            let file_bytes = std::fs::metadata(&path).ok().map(|meta| meta.len());
            let address = format!("sqlite:{}", path.display());
            return Ok(DatabaseStatus {
                address,
                origins,
                release: release.to_string(),
                file_bytes,
                reached: None,
                managed: None,
            });
        }
    };
    let minimum = Capabilities::of(&release).postgres_minimum;
    let began = Instant::now();
    let facts = database::probe(&server, minimum, PATIENCE).await.map_err(|failure| refused(&failure))?;
    let contents = database::contents(&server, PATIENCE).await.map_err(|failure| refused(&failure))?;
    // Whoever may be the superuser of the managed one sees its statistics.
    let statements = match &managed {
        Some(_) => postgres::administrator(&world.layout),
        None => (*server).clone(),
    };
    let activity = database::activity(&server, &statements, PATIENCE).await;
    let activity = activity.map_err(|failure| refused(&failure))?;
    let latency_ms = began.elapsed().as_millis().try_into().unwrap_or(u64::MAX);
    let mut warnings = warnings(&facts);
    let schema = match contents {
        Contents::Mattermost(schema) => Some(schema),
        Contents::Nothing => None,
        Contents::Strangers(names) => {
            let names = names.join(", ");
            warnings.push(format!(
                "it holds tables that are not Mattermost's ({names}); give Mattermost a database of its own"
            ));
            None
        }
    };
    let next = match server.engine {
        Engine::Postgres => next_needs(&release, facts.version),
        Engine::MySql => Vec::new(),
    };
    let (bytes, connections) =
        activity.as_ref().map(|activity| (activity.bytes, activity.connections)).unzip();
    let (dead_rows, slowest) = activity.map(rows).unwrap_or_default();
    let reached = Reached {
        bytes,
        connections,
        dead_rows,
        slowest,
        next,
        product: facts.product.to_string(),
        version: facts.version.to_string(),
        minimum: (server.engine == Engine::Postgres).then(|| Version::of_postgres(minimum).to_string()),
        tls: facts.tls,
        encoding: facts.encoding,
        collation: facts.collation,
        max_connections: facts.max_connections,
        warnings,
        latency_ms,
        schema: schema.is_some(),
        migration: schema.as_ref().and_then(|schema| schema.migration),
        mattermost_version: schema.and_then(|schema| schema.version),
    };
    Ok(DatabaseStatus {
        address: server.to_string(),
        origins,
        release: release.to_string(),
        file_bytes: None,
        reached: Some(reached),
        managed,
    })
}

/// How the managed database runs.
///
/// # Errors
/// It is not made yet, or does not run.
async fn managed(world: &World) -> Result<ManagedStatus, Error> {
    let layout = &world.layout;
    let hint = "`mainstay up` makes it and starts it";
    let Some(record) = Record::read(layout)?.filter(|_| cluster::is_made(layout)) else {
        return Err(Error::not_ready(format!(
            "there is no PostgreSQL cluster in {}",
            layout.postgres().display()
        ))
        .hint(hint));
    };
    let path = world.env.get("PATH").map(String::as_str).unwrap_or_default();
    let bin = record.installation(layout, path)?.bin;
    let status = world.agent.status().await?;
    let Some(running) = status.as_ref().and_then(|status| status.postgres()) else {
        return Err(Error::not_ready(format!(
            "the PostgreSQL in {} does not run",
            layout.postgres().display()
        ))
        .hint("`mainstay up` starts it"));
    };
    Ok(ManagedStatus {
        major: record.major,
        bin,
        data: layout.postgres_data(),
        pid: running.pid,
        restarts: running.restarts,
    })
}

type Rows = (Vec<DeadRows>, Option<Vec<SlowStatement>>);

fn rows(activity: database::Activity) -> Rows {
    let dead = |database::DeadRows { table, live, dead }| DeadRows { table, live, dead };
    let slow =
        |database::Slow { text, calls, mean_ms, total_ms }| SlowStatement { text, calls, mean_ms, total_ms };
    let slowest = match activity.statements {
        database::Statements::Off => None,
        database::Statements::Slowest(all) => Some(all.into_iter().map(slow).collect()),
    };
    (activity.dead.into_iter().map(dead).collect(), slowest)
}

/// What the releases after this one need: the next line, and each later one that needs more than the line before it.
fn next_needs(release: &ReleaseId, found: Version) -> Vec<Need> {
    let catalogue = Catalogue::built_in();
    let mut later: Vec<_> =
        catalogue.lines.iter().filter(|line| line.series > release.version.series()).collect();
    later.sort_by_key(|line| line.series);
    let mut needs: Vec<Need> = Vec::new();
    for line in later {
        // What a database must be for a line does not depend on the edition.
        let newest = ReleaseId { version: line.newest.clone(), edition: Edition::Team };
        let minimum = Version::of_postgres(Capabilities::of(&newest).postgres_minimum);
        let postgres = minimum.to_string();
        if needs.last().is_none_or(|last| last.postgres != postgres) {
            needs.push(Need { release: line.series.to_string(), postgres, met: found >= minimum });
        }
    }
    needs
}

/// The SQL that creates user and database of the deployment, for its server's administrator.
///
/// # Errors
/// A setting is wrong; the database is a file.
pub fn sql_script(world: &World) -> Result<String, Error> {
    match of_deployment(world)?.0 {
        Location::File => {
            Err(Error::new(Exit::Usage, "this deployment's database is a file, which needs no SQL").hint(
                "name a database server first: DB_ADAPTER=postgres, DB_HOST, DB_NAME, DB_USER, DB_PASS",
            ))
        }
        Location::Managed(_) => {
            Err(Error::new(Exit::Usage, "Mainstay runs this deployment's database, which needs no SQL")
                .hint("`mainstay up` makes user and database; `mainstay shell database` opens it"))
        }
        Location::Server(server) => {
            script(&server).map_err(|error| Error::new(Exit::Settings, error.to_string()))
        }
    }
}

/// Where the data is, as config.json says, the password masked; nobody is asked. `None` where nothing is installed.
pub fn address(world: &World) -> Option<String> {
    if !world.layout.config().exists() {
        return None;
    }
    match location::of_config(world) {
        Ok(server) => Some(server.to_string()),
        Err(_) => Some(format!("sqlite:{}", world.layout.sqlite().display())),
    }
}

type Found = (Location, ReleaseId, Vec<(String, String)>);

fn of_deployment(world: &World) -> Result<Found, Error> {
    let release = crate::present_release(&world.layout);
    let wanted = crate::wanted_file(&world.layout)?;
    let resolved = settings_of(world, &wanted, &release)?;
    let deployed = config_file::deployed(&world.layout)?;
    let managed = Managed::of(world, &wanted, &release, false);
    let location = location::location(&resolved, deployed.as_ref(), &release, &managed)?;
    let source = resolved.setting(location::SECTION, "DataSource").and_then(|setting| setting.origin());
    let origins = match (source, &location) {
        (Some(Origin::Composed { from }), _) => settings::table::rows()
            .filter_map(|row| {
                let origin = &resolved.input(row.name)?.origin;
                // A docker link's variables have other names than the rows.
                let name = if let Origin::Variable { name, .. } = origin { name } else { row.name };
                let is_part = from.iter().any(|part| part == name);
                is_part.then(|| (row.name.to_owned(), origin.to_string()))
            })
            .collect(),
        (_, Location::Managed(_)) if managed.asked => {
            vec![("database".to_owned(), wanted.origin("database").to_string())]
        }
        (_, Location::File) if !location::is_said(&resolved, "DriverName") => Vec::new(),
        _ => vec![("SqlSettings.DataSource".to_owned(), location::origin(&resolved, "DataSource"))],
    };
    Ok((location, release, origins))
}

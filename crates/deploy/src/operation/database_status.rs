//! `database status`: where the data is and how it is there, without touching it.

use std::time::{Duration, Instant};

use database::{Contents, Version};
use dsn::Engine;
use release::{Capabilities, ReleaseId};
use serde::Serialize;
use settings::Origin;

use crate::error::{Error, Exit};
use crate::part::database::readiness::warnings;
use crate::state::config_file;
use crate::state::database_failure::{refused, script};
use crate::state::location::{self, Location};
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
}

/// Looks.
///
/// # Errors
/// A setting is wrong; the database is away or cannot be used: why, and what to do.
pub async fn database_status(world: &World) -> Result<DatabaseStatus, Error> {
    let (location, release, origins) = of_deployment(world)?;
    let server = match location {
        Location::Server(server) => server,
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
            });
        }
    };
    let minimum = Capabilities::of(&release).postgres_minimum;
    let began = Instant::now();
    let facts = database::probe(&server, minimum, PATIENCE).await.map_err(|failure| refused(&failure))?;
    let contents = database::contents(&server, PATIENCE).await.map_err(|failure| refused(&failure))?;
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
    let reached = Reached {
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
    })
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
    let resolved = settings_of(world, &crate::wanted_file(&world.layout)?, &release)?;
    let deployed = config_file::deployed(&world.layout)?;
    let location = location::location(&resolved, deployed.as_ref(), &release)?;
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
        (_, Location::File) if !location::is_said(&resolved, "DriverName") => Vec::new(),
        _ => vec![("SqlSettings.DataSource".to_owned(), location::origin(&resolved, "DataSource"))],
    };
    Ok((location, release, origins))
}

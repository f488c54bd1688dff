//! What is there: looked at, nothing touched.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use database::Lacking;
use release::ReleaseId;
use settings::Undeclared;

use crate::action::{Directories, HandOver};
use crate::control::health;
use crate::control::protocol::Status;
use crate::error::Error;
use crate::part::database::readiness::{self, Patience};
use crate::place::container::{VersionChange, volume_change};
use crate::place::layout::Layout;
use crate::state::creation::Creation;
use crate::state::location::Location;
use crate::state::settled::{Settled, reconcile};
use crate::world::World;

/// What happens to config.json, and to `declared.json` with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConfigChange {
    /// There is none yet.
    New,
    /// It changes.
    Changes,
    /// It stays, but other things are to be remembered of it.
    OnlyRemembered,
    /// Nothing.
    Stays,
}

/// What is there.
#[derive(Debug, Clone)]
pub(crate) struct Observed {
    /// Directories of the layout that are missing.
    pub missing: Vec<String>,
    /// Whether `secrets.toml` is there.
    pub secrets: bool,
    /// Whether the system user is there, where one is wanted.
    pub user: bool,
    /// The unpacked releases.
    pub releases: Vec<ReleaseId>,
    /// The active one.
    pub current: Option<ReleaseId>,
    /// Where the server listens, or will.
    pub listen: SocketAddr,
    /// What happens to config.json.
    pub config: ConfigChange,
    /// Whether there is a database with Mattermost's tables.
    pub database: bool,
    /// What its server lacks and shall be created.
    pub lacking: Option<Lacking>,
    /// What is not as it should be with that server, and works.
    pub warnings: Vec<String>,
    /// The agent, if it runs.
    pub agent: Option<Status>,
    /// What it hands over to this version, if it is older.
    pub handover: Option<HandOver>,
    /// Whether its server is well.
    pub healthy: bool,
    /// What the `VERSION` of a container's volume must become, if anything.
    pub volume: Option<VersionChange>,
}

/// Looks. With `creation`, a database that is not there is no error.
///
/// # Errors
/// The agent does not answer; a file cannot be read; the database cannot be used.
pub(crate) async fn observe(
    world: &World,
    settled: &Settled,
    creation: Option<&Creation>,
    patience: &mut Patience<'_>,
) -> Result<Observed, Error> {
    let layout = &world.layout;
    let Settled { desired, release, .. } = settled;
    let agent = world.agent.status().await?;
    let listen = server_listen(layout, agent.as_ref());
    let healthy = match agent.as_ref().and_then(|status| status.server()) {
        Some(server) => {
            health::ask(&health::client(Duration::from_secs(5))?, server.spec.listen).await.is_ok()
        }
        None => false,
    };
    let (database, lacking, warnings) = match &settled.location {
        Location::File => (layout.sqlite().exists(), None, Vec::new()),
        Location::Server(server) => {
            let ready = readiness::look(world, server, release, creation, patience).await?;
            (ready.schema.is_some(), ready.lacking, ready.warnings)
        }
    };
    Ok(Observed {
        missing: Directories::missing(layout),
        secrets: layout.secrets().exists(),
        user: desired.user.as_ref().is_none_or(|user| host::User::named(user).is_ok()),
        releases: release::installed(&layout.releases())?,
        current: release::current(&layout.current()),
        listen,
        config: config_change(settled, layout, listen)?,
        database,
        lacking,
        warnings,
        handover: agent.as_ref().and_then(|status| HandOver::from(status, &world.version)),
        agent,
        healthy,
        volume: volume_change(layout, release)?,
    })
}

fn config_change(settled: &Settled, layout: &Layout, listen: SocketAddr) -> Result<ConfigChange, Error> {
    let Settled { resolved, release, config, .. } = settled;
    if config.config.is_none() {
        return Ok(ConfigChange::New);
    }
    let next = reconcile(resolved, release, layout, listen, config, Undeclared::GoesBack)?;
    Ok(match next.changes_config() {
        true => ConfigChange::Changes,
        false if config.memory.as_ref() != Some(&next.memory) => ConfigChange::OnlyRemembered,
        false => ConfigChange::Stays,
    })
}

/// Where the server listens, or will: kept while it runs, otherwise a free port of loopback.
///
/// Below the kernel's range for outgoing connections, so that none of those can take it while the server restarts. Each
/// directory begins to look at a place of its own, so that two deployments that start at once do not find the same one.
pub(crate) fn server_listen(layout: &Layout, agent: Option<&Status>) -> SocketAddr {
    const FIRST: u16 = 18_065;
    const PORTS: u16 = 8_000;
    if let Some(server) = agent.and_then(|status| status.server()) {
        return server.spec.listen;
    }
    let mut hasher = DefaultHasher::new();
    layout.root().hash(&mut hasher);
    let begin = (hasher.finish() % u64::from(PORTS)) as u16;
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let mut ports = (0..PORTS).map(|step| FIRST + (begin + step) % PORTS);
    let free = |port: &u16| host::Listen { address: Some(loopback), port: *port }.check().is_ok();
    SocketAddr::new(loopback, ports.find(free).unwrap_or(FIRST))
}

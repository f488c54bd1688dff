//! What is there, part by part: looked at, nothing touched.

use super::configuration::{self, ConfigChange};
use super::{boot, database, directory, identity, release, server};
use crate::action::HandOver;
use crate::control::app::AppSpec;
use crate::control::protocol::Status;
use crate::error::Error;
use crate::part::database::readiness::Patience;
use crate::place::container::{VersionChange, volume_change, volume_used};
use crate::state::apps;
use crate::state::creation::Creation;
use crate::state::report::last_pass;
use crate::state::settled::Settled;
use crate::world::World;

/// What is there.
#[derive(Debug, Clone)]
pub(crate) struct Observed {
    pub directory: directory::Observed,
    pub release: release::Observed,
    /// What happens to config.json.
    pub config: ConfigChange,
    pub database: database::Observed,
    pub server: server::Observed,
    /// The agent and what it runs; `None` when it does not run.
    pub agent: Option<Status>,
    /// What it hands over to this version, if it is older.
    pub handover: Option<HandOver>,
    /// The apps that shall run.
    pub apps: Vec<AppSpec>,
    /// Whether the newest acceptance test passed.
    pub verified: bool,
    /// What the `VERSION` of a container's volume must become, if anything.
    pub volume: Option<VersionChange>,
    /// Which Mattermost used the volume, in words, if one did.
    pub volume_used: Option<String>,
    /// Which deployment this is.
    pub identity: identity::Observed,
    /// Whether it starts at boot.
    pub boot: boot::Observed,
}

/// Looks. With `creation`, a database that is not there is no error. `keeps_boot`: what starts the deployment at boot stays as it is.
///
/// # Errors
/// The agent does not answer; a file cannot be read; the database cannot be used.
pub(crate) async fn observe(
    world: &World,
    settled: &Settled,
    creation: Option<&Creation>,
    keeps_boot: bool,
    patience: &mut Patience<'_>,
) -> Result<Observed, Error> {
    let layout = &world.layout;
    let agent = world.agent.status().await?;
    let server = server::observe(layout, agent.as_ref(), settled.desired.listen).await?;
    Ok(Observed {
        config: configuration::observe(world, settled, server.listen)?,
        server,
        database: database::observe(world, settled, creation, agent.as_ref(), patience).await?,
        directory: directory::observe(layout, settled)?,
        release: release::observe(layout, settled)?,
        handover: agent.as_ref().and_then(|status| HandOver::from(status, world.program())),
        agent,
        // A test that was killed may have left a setting switched on, accounts and a team: the next one takes them back.
        verified: last_pass(layout).is_some()
            && !layout.tokens_marker().exists()
            && !layout.left_by_test().exists(),
        volume: volume_change(layout, &settled.release)?,
        volume_used: volume_used(layout)?,
        identity: identity::observe(layout).await?,
        apps: apps::deployed(layout).current.into_iter().map(|deployed| deployed.spec).collect(),
        boot: boot::observe(world, settled, keeps_boot).await?,
    })
}

//! The database: whether it can be used, and what a plan does about it.

pub(crate) mod plan;
pub(crate) mod readiness;

use ::database::Lacking;

use crate::error::Error;
use crate::state::creation::Creation;
use crate::state::location::Location;
use crate::state::settled::Settled;
use crate::world::World;

/// What is there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Observed {
    /// Whether there is a database with Mattermost's tables.
    pub exists: bool,
    /// What its server lacks and shall be created.
    pub lacking: Option<Lacking>,
    /// What works and yet is not as it should be.
    pub warnings: Vec<String>,
}

pub(super) async fn observe(
    world: &World,
    settled: &Settled,
    creation: Option<&Creation>,
    patience: &mut readiness::Patience<'_>,
) -> Result<Observed, Error> {
    match &settled.location {
        Location::File => Ok(Observed { exists: world.layout.sqlite().exists(), ..Observed::default() }),
        Location::Server(server) => {
            let ready = readiness::look(world, server, &settled.release, creation, patience).await?;
            let readiness::Ready { schema, lacking, warnings } = ready;
            Ok(Observed { exists: schema.is_some(), lacking, warnings })
        }
    }
}

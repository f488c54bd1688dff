//! The database: whether it can be used, and what a plan does about it.

pub(crate) mod cluster;
pub(crate) mod fit;
pub(crate) mod plan;
pub(crate) mod readiness;
pub(crate) mod startable;

use ::database::{Lacking, Obstacle, Schema};
use version::Version;

use readiness::QUESTION;

use crate::control::protocol::Status;
use crate::error::Error;
use crate::state::blank::is_there;
use crate::state::creation::Creation;
use crate::state::database_failure::refused;
use crate::state::database_programs::Programs;
use crate::state::location::{Location, SECTION};
use crate::state::settled::Settled;
use crate::world::World;

/// What is there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Observed {
    /// Whether there is a database with Mattermost's tables.
    pub exists: bool,
    /// The deployment that it says it belongs to; a database on a server, or the managed cluster.
    pub deployment: Option<String>,
    /// The version that last used it, where it was before 6.4, which counts migrations.
    pub unmigrated: Option<Version>,
    /// Who else uses a database that might be taken over: from where, with how many connections.
    pub others: Vec<(String, i64)>,
    /// What there is of the managed cluster, where it is the managed one.
    pub cluster: Option<cluster::Observed>,
    /// What its server lacks and shall be created.
    pub lacking: Option<Lacking>,
    /// Bytes of what is kept while another release migrates it; `None` where none does.
    pub to_keep: Option<u64>,
    /// Whether a dump of it can be kept meanwhile, and loaded again.
    pub can_be_dumped: bool,
    /// Why what is in it cannot be moved aside, where that is needed.
    pub immovable: Option<Obstacle>,
    /// What works and yet is not as it should be.
    pub warnings: Vec<String>,
}

pub(super) async fn observe(
    world: &World,
    settled: &Settled,
    creation: Option<&Creation>,
    agent: Option<&Status>,
    patience: &mut readiness::Patience<'_>,
) -> Result<Observed, Error> {
    let mut seen = look(world, settled, creation, agent, patience).await?;
    let layout = &world.layout;
    let current = ::release::current(&layout.current());
    let migrates = seen.exists && current.is_some_and(|current| current != settled.release);
    if let Location::Server(server) = &settled.location
        && seen.lacking.is_none()
        && (migrates || settled.restoring.is_some())
    {
        let asked = ::database::obstacle_aside(server, QUESTION).await;
        seen.immovable = asked.map_err(|failure| refused(&failure))?;
    }
    if migrates {
        seen.to_keep = Some(plan::kept(layout, settled).size(layout)?);
        if let Location::Server(server) = &settled.location {
            let (programs, scratch) = (Programs::of(world)?, layout.run());
            let asked = ::database::dump::check(server, &programs.means(&scratch, QUESTION)).await;
            seen.can_be_dumped = asked.is_ok() && comes_back(seen.immovable.as_ref());
            seen.warnings
                .extend(asked.err().map(|why| format!("no dump of the database can be kept: {why}")));
        }
    }
    Ok(seen)
}

async fn look(
    world: &World,
    settled: &Settled,
    creation: Option<&Creation>,
    agent: Option<&Status>,
    patience: &mut readiness::Patience<'_>,
) -> Result<Observed, Error> {
    match &settled.location {
        Location::File => Ok(Observed { exists: is_filled(&world.layout.sqlite()), ..Observed::default() }),
        Location::Managed(server) => cluster::observe(world, settled, server, agent).await,
        Location::Server(server) => {
            let connections = fit::Connections { most: most_connections(settled) };
            // What is there now is of the release after the one that comes back.
            let returning = settled.returning.as_ref();
            let reads = returning.map_or(&settled.release, |returning| &returning.state.next);
            let ready = readiness::look(world, server, (reads, connections), creation, patience).await?;
            fit::files_are_readable(server, settled.desired.user.as_deref())?;
            let readiness::Ready { schema, lacking, warnings, shares_sessions } = ready;
            let exists = schema.is_some();
            let Schema { version, migration, deployment } = schema.unwrap_or_default();
            let unmigrated = version.filter(|_| migration.is_none()).and_then(|text| text.parse().ok());
            // What a pooler keeps open says nothing.
            let may_be_used =
                exists && deployment.is_none() && !shares_sessions && !is_there(&world.layout.secrets());
            let others = if may_be_used { readiness::others(server).await? } else { Vec::new() };
            Ok(Observed { exists, deployment, unmigrated, others, lacking, warnings, ..Observed::default() })
        }
    }
}

/// Whether the file holds anything: an empty one is what SQLite makes before it writes, and what a lost mount leaves.
pub(crate) fn is_filled(sqlite: &std::path::Path) -> bool {
    sqlite.symlink_metadata().is_ok_and(|meta| meta.len() > 0)
}

/// Whether a dump of it can be loaded again: what the migration had made is moved aside first.
const fn comes_back(immovable: Option<&Obstacle>) -> bool {
    immovable.is_none()
}

/// `SqlSettings.MaxOpenConns` as it will be.
fn most_connections(settled: &Settled) -> Option<u32> {
    const KEY: &str = "MaxOpenConns";
    let said = settled.resolved.value(SECTION, KEY);
    let (config, shipped) = (settled.config.config.as_ref(), &settled.config.shipped);
    let kept = || config.unwrap_or(shipped)[SECTION].get(KEY);
    said.or_else(kept)?.as_u64()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_is_an_undo_only_where_it_can_be_loaded_again() {
        let obstacle = Obstacle { what: "no schema may be created".to_owned(), fix: String::new() };
        assert!(comes_back(None));
        assert!(!comes_back(Some(&obstacle)));
    }
}

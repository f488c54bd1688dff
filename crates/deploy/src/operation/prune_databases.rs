//! `database prune`: old databases that the deployment has left are deleted.

use plan::Plan;
use serde::Serialize;

use super::runner::{Looking, Operation};
use super::verify::refuse_not_installed;
use crate::action::{Action, OldDatabases};
use crate::error::Error;
use crate::place::ground::ground;
use crate::state::kept_database::{LeftDatabase, OldDatabase};
use crate::state::words::PRUNE_DATABASES;
use crate::world::World;

/// Deletes every database that a move or an upgrade of PostgreSQL has kept.
#[derive(Debug, Clone, Copy, Default)]
pub struct PruneDatabases {}

/// What it came to.
#[derive(Debug, Clone, Serialize)]
pub struct PrunedDatabases {
    /// What is gone.
    pub removed: Vec<OldDatabase>,
}

impl Operation for PruneDatabases {
    const NAME: &'static str = PRUNE_DATABASES;
    type Seen = Vec<OldDatabase>;
    type Report = PrunedDatabases;

    async fn look(&self, world: &World, _: Looking<'_>) -> Result<Vec<OldDatabase>, Error> {
        let layout = &world.layout;
        ground(layout)?;
        refuse_not_installed(layout)?;
        let all = LeftDatabase::all(layout)?.into_iter().map(|(name, kept)| {
            let bytes = host::directory::size(&layout.set_aside().join(&name))?;
            Ok(OldDatabase { name, bytes, kept })
        });
        all.collect()
    }

    fn plan(&self, world: &World, seen: &Vec<OldDatabase>) -> Result<Plan<Action>, Error> {
        let title = format!("Delete old databases in {}", world.layout.set_aside().display());
        let names: Vec<String> = seen.iter().map(|old| old.name.clone()).collect();
        let steps = if names.is_empty() { Vec::new() } else { vec![OldDatabases::of(names).step(seen)] };
        Ok(Plan::new(Self::NAME, title, steps))
    }

    async fn report(&self, world: &World, seen: Vec<OldDatabase>, _: bool) -> Result<PrunedDatabases, Error> {
        host::disk::remove_tree(&world.layout.unneeded())?;
        // Only where it is empty.
        let _ = std::fs::remove_dir(world.layout.set_aside());
        Ok(PrunedDatabases { removed: seen })
    }
}

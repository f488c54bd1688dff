//! The managed cluster, exchanged for the one that was made beside it, while neither runs.

use std::path::PathBuf;

use plan::{Progress, Step, Undo};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::cluster::write_files;
use super::cluster_copy::{next, programs};
use super::removal::rename;
use super::{Action, blocking, step};
use crate::error::Error;
use crate::place::machine::make_dir;
use crate::state::cluster::Record;
use crate::world::World;

/// Moves the old data into `set-aside` and the new data to its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterExchange {
    /// The major version of the old one.
    pub from: u32,
    /// The major version of the new one.
    pub to: u32,
    /// Where the programs of the old one were.
    pub bin: PathBuf,
    /// The system user that owns both; `None` = whoever runs the plan.
    pub user: Option<String>,
    /// How many connections the server opens at most.
    pub connections: u32,
    /// The directory below `set-aside` that the old one is moved into.
    pub into: String,
}

/// The old data in its directory.
const OLD: &str = "postgres-data";

impl ClusterExchange {
    pub(crate) fn step(self) -> Step<Action> {
        let (from, to) = (self.from, self.to);
        let title = format!("Use the cluster of PostgreSQL {to}; the one of {from} moves into set-aside");
        step("cluster-exchange", title, Undo::by("Exchange them again"), 50, self)
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let (this, world) = (self.clone(), world.clone());
        blocking(move || this.exchange(&world)).await.map(|()| Value::Null)
    }

    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        let (this, world) = (self.clone(), world.clone());
        blocking(move || this.exchange_back(&world)).await
    }

    fn old(&self, world: &World) -> PathBuf {
        world.layout.set_aside().join(&self.into).join(OLD)
    }

    fn exchange(&self, world: &World) -> Result<(), Error> {
        let layout = &world.layout;
        let (data, old, next) = (layout.postgres_data(), self.old(world), next(layout));
        make_dir(&layout.set_aside().join(&self.into), 0o700, None)?;
        if next.exists() {
            if !old.exists() {
                rename(&data, &old)?;
            }
            rename(&next, &data)?;
        }
        self.describe(world, self.to, None)
    }

    fn exchange_back(&self, world: &World) -> Result<(), Error> {
        let layout = &world.layout;
        let (data, old, next) = (layout.postgres_data(), self.old(world), next(layout));
        if old.exists() {
            if !next.exists() {
                rename(&data, &next)?;
            }
            rename(&old, &data)?;
        }
        self.describe(world, self.from, Some(&self.bin))
    }

    /// Writes what belongs to the data that is in place.
    fn describe(&self, world: &World, major: u32, bin: Option<&PathBuf>) -> Result<(), Error> {
        let layout = &world.layout;
        let mut installation = programs(world, major)?;
        if let Some(bin) = bin.filter(|bin| bin.join("postgres").is_file()) {
            installation.bin = bin.clone();
        }
        write_files(layout, &installation, self.connections, self.user.as_deref())?;
        let record = Record::read(layout)?.unwrap_or_else(Record::unknown);
        Record { deployment: record.deployment, ..Record::of(&installation) }.write(layout)?;
        Ok(host::disk::sync_file_system(layout.root())?)
    }
}

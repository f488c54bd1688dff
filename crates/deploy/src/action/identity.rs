//! Which data belongs to the deployment, written where each of them can be asked.

use std::time::Duration;

use plan::{Progress, Step, Undo};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Action, blocking, step};
use crate::error::Error;
use crate::place::layout::Layout;
use crate::place::machine::owner;
use crate::state::cluster::Record as Cluster;
use crate::state::identity::Identity as Record;
use crate::state::{database_failure, location};
use crate::world::World;

/// How long the database may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Writes the deployment's id into the directory of its data, into its database where that is on a server, and into `deployment.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// What is written.
    pub identity: Record,
    /// What `deployment.json` said.
    pub before: Option<Record>,
    /// Who owns the directory of the data; `None` = whoever runs the plan.
    pub user: Option<String>,
    /// The id that was in the directory of the data.
    pub data_before: Option<String>,
    /// The id that was in the database.
    pub database_before: Option<String>,
}

impl Identity {
    pub(crate) fn step(self) -> Step<Action> {
        let undo =
            if self.before.is_some() { "Record what was recorded before" } else { "Remove the record" };
        step("identity", "Record which data belongs to this deployment", Undo::by(undo), 20, self)
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let id = Some(self.identity.id.as_str());
        self.mark_database(world, id).await?;
        self.mark_data(world, id).await?;
        let (identity, layout) = (self.identity.clone(), world.layout.clone());
        blocking(move || identity.write(&layout)).await.map(|()| Value::Null)
    }

    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        let (before, layout) = (self.before.clone(), world.layout.clone());
        blocking(move || match before {
            Some(before) => before.write(&layout),
            None => Ok(host::disk::remove_file(&layout.identity())?),
        })
        .await?;
        self.mark_data(world, self.data_before.as_deref()).await?;
        self.mark_database(world, self.database_before.as_deref()).await
    }

    async fn mark_database(&self, world: &World, id: Option<&str>) -> Result<(), Error> {
        if self.identity.managed {
            let (layout, deployment) = (world.layout.clone(), id.map(str::to_owned));
            return blocking(move || match Cluster::read(&layout)? {
                Some(cluster) => Cluster { deployment, ..cluster }.write(&layout),
                None => Ok(()),
            })
            .await;
        }
        if self.identity.database.is_none() {
            return Ok(());
        }
        let server = location::of_config(world)?;
        let marked = ::database::mark(&server, id, PATIENCE).await;
        marked.map_err(|failure| database_failure::refused(&failure))
    }

    async fn mark_data(&self, world: &World, id: Option<&str>) -> Result<(), Error> {
        let (layout, user, id) = (world.layout.clone(), self.user.clone(), id.map(str::to_owned));
        blocking(move || write_mark(&layout, user.as_deref(), id.as_deref())).await
    }
}

/// The server's user may read it, and owns the directory that it is in.
fn write_mark(layout: &Layout, user: Option<&str>, id: Option<&str>) -> Result<(), Error> {
    let path = layout.data_mark();
    match id {
        Some(id) => Ok(host::disk::atomic_write(&path, format!("{id}\n").as_bytes(), 0o640, owner(user)?)?),
        None => Ok(host::disk::remove_file(&path)?),
    }
}

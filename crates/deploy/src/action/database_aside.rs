//! The tables that are in a database on a server, moved aside so that others can be loaded. Nothing is deleted.

use std::time::Duration;

use plan::{Progress, Step, Undo};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Action, step};
use crate::error::Error;
use crate::state::{database_failure, location};
use crate::world::World;

/// How long moving tables may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Moves everything in the database's schema into a schema of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseAside {
    /// The name of that schema.
    pub schema: String,
}

impl DatabaseAside {
    pub(crate) fn step(self) -> Step<Action> {
        let title = "Move the tables of the database into a schema of their own";
        step("database-aside", title, Undo::by("Move them back"), 200, self)
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let server = location::of_config(world)?;
        let moved = database::set_aside(&server, &self.schema, PATIENCE).await;
        moved.map(|()| Value::Null).map_err(|failure| database_failure::refused(&failure))
    }

    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        let server = location::of_config(world)?;
        let moved = database::bring_back(&server, &self.schema, PATIENCE).await;
        moved.map_err(|failure| database_failure::refused(&failure))
    }
}

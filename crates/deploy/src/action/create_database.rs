//! User and database on a server that is somebody else's.

use std::time::Duration;

use database::{Created, Made};
use dsn::Server;
use plan::{Progress, Step, Undo};
use release::{Capabilities, ReleaseId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Action, step};
use crate::error::Error;
use crate::state::creation::Creation;
use crate::state::{database_failure, location};
use crate::world::World;

/// How long each question to the server may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Creates what was missing when the plan was made. The wanted database is the one that config.json names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateDatabase {
    /// The release that shall use it.
    pub release: ReleaseId,
    /// Where the administrator's login is read from.
    pub creation: Creation,
    /// Whether the user was missing.
    pub user: bool,
    /// Whether the database was missing.
    pub database: bool,
}

impl CreateDatabase {
    pub(crate) fn step(self, server: &Server) -> Step<Action> {
        let (name, role) = (server.name.escape_debug(), server.user.escape_debug());
        let what = match (self.user, self.database) {
            (true, true) => format!("user {role} and database {name}"),
            (true, false) => format!("user {role}"),
            _ => format!("database {name}"),
        };
        let title = format!("Create {what} on {}", server.place());
        step("create-database", title, Undo::by("Drop what is still empty"), 200, self)
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let wanted = location::of_config(world)?;
        let minimum = Capabilities::of(&self.release).postgres_minimum;
        // After a kill it may be there already, and the administrator's login may not.
        if database::probe(&wanted, minimum, PATIENCE).await.is_ok() {
            return Ok(Value::Null);
        }
        let admin = self.creation.administrator(world)?;
        let made = database::create(&admin, &wanted, PATIENCE)
            .await
            .map_err(|error| database_failure::not_created(&error))?;
        database::probe(&wanted, minimum, PATIENCE)
            .await
            .map_err(|failure| database_failure::refused(&failure))?;
        Ok(json!({"user": made.user == Made::New, "database": made.database == Made::New}))
    }

    /// Drops what this run made and nobody has used. Without the administrator's login it stays: an empty database is no harm, and the
    /// next run finds it.
    pub(super) async fn undo(&self, world: &World, output: Option<&Value>) -> Result<(), Error> {
        let Ok(admin) = self.creation.administrator(world) else { return Ok(()) };
        let wanted = location::of_config(world)?;
        // Told of what was made, if the step came to its end; otherwise it can only have been what was missing.
        let made = |key: &str, missing: bool| {
            let said = output.and_then(|output| output[key].as_bool());
            if said.unwrap_or(missing) { Made::New } else { Made::Existing }
        };
        let made = Created { user: made("user", self.user), database: made("database", self.database) };
        database::discard(&admin, &wanted, made, PATIENCE)
            .await
            .map_err(|error| database_failure::not_created(&error))
    }
}

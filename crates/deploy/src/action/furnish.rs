//! The server's user and database in the managed cluster, and the password that the server logs in with.

use std::time::Duration;

use database::{Created, Made};
use plan::{Progress, Step, Undo};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Action, Rotation, blocking, step};
use crate::error::Error;
use crate::place::layout::FILE_LIMIT;
use crate::place::postgres::{administrator, server};
use crate::state::cluster::Record;
use crate::state::database_failure;
use crate::world::World;

/// How long each question may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Generates the password of the managed database where `secrets.toml` has none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabasePassword {}

impl DatabasePassword {
    pub(crate) fn step(self) -> Step<Action> {
        step("database-password", "Generate the database's password", Undo::by("Remove it"), 10, self)
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let world = world.clone();
        // Run again, the first one stays: a later step may have used it.
        blocking(move || {
            if world.secrets()?.database_password.is_some() {
                return Ok(Value::Null);
            }
            change(&world, Some(settings::random_password())).map(|()| Value::Null)
        })
        .await
    }

    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        let world = world.clone();
        blocking(move || if world.layout.secrets().exists() { change(&world, None) } else { Ok(()) }).await
    }
}

fn change(world: &World, password: Option<SecretString>) -> Result<(), Error> {
    let path = world.layout.secrets();
    // Its owner stays: only root can give a file to another.
    let old = host::disk::read_guarded(&path, FILE_LIMIT)?;
    let owner = rustix::process::geteuid().is_root().then_some(old.owner);
    let mut secrets = world.secrets()?;
    secrets.database_password = password;
    Ok(host::disk::atomic_write(&path, secrets.to_toml().expose_secret().as_bytes(), 0o600, owner)?)
}

/// Makes the server's user and database, or gives the user the password that `secrets.toml` has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Furnish {}

impl Furnish {
    pub(crate) fn step(self) -> Step<Action> {
        let title = "Give PostgreSQL the server's user and database";
        step("furnish", title, Undo::by("Drop what is still empty"), 150, self)
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        furnish(world, world.secrets()?.database_password).await.map(|()| Value::Null)
    }

    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        let made = Created { user: Made::New, database: Made::New };
        let (administrator, wanted) = (administrator(&world.layout), server(&world.layout, None));
        // What cannot be dropped goes with the cluster, or stays in it, empty.
        if let Err(error) = database::discard(&administrator, &wanted, made, PATIENCE).await {
            tracing::warn!(%error, "the server's user and database stay");
        }
        Ok(())
    }
}

/// Makes what is missing, and gives the user this password.
async fn furnish(world: &World, password: Option<SecretString>) -> Result<(), Error> {
    let layout = &world.layout;
    let wanted = server(layout, password);
    let path = world.env.get("PATH").map(String::as_str).unwrap_or_default();
    let record = Record::read(layout)?;
    let installation = record.and_then(|record| record.installation(layout, path).ok());
    let statements = installation.is_some_and(|installation| installation.has_statements());
    let made = database::cluster::furnish(&administrator(layout), &wanted, statements, PATIENCE).await;
    made.map_err(|error| database_failure::not_created(&error))
}

/// Gives the server's user the password that `secrets.toml` has since the step before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolePassword {}

impl RolePassword {
    pub(crate) fn step(self) -> Step<Action> {
        step("role-password", "Tell PostgreSQL the new password", Undo::by("Tell it the old one"), 50, self)
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        furnish(world, world.secrets()?.database_password).await.map(|()| Value::Null)
    }

    /// `secrets.toml` still has the new one: it is put back after this.
    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        let kept = Rotation::kept(world)?;
        let old = kept.map_or_else(|| world.secrets(), Ok)?;
        furnish(world, old.database_password).await
    }
}

//! The unit with which systemd starts the deployment at boot.

use std::path::PathBuf;

use host::systemd::{Manager, Scope};
use plan::{Progress, Step, Undo};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::file::Kept;
use super::{Action, step};
use crate::error::Error;
use crate::place::layout::Layout;
use crate::world::World;

/// What becomes of a unit's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileChange {
    /// It says this. A unit holds no secrets.
    Write(String),
    /// It goes.
    Remove,
}

/// Writes or removes the unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// Its name.
    pub name: String,
    /// Whose manager runs it.
    pub scope: Scope,
    /// What becomes of its file.
    pub file: FileChange,
    /// Whether there is a file.
    pub existed: bool,
    /// Whether it is to be started at boot.
    pub enable: bool,
    /// Whether it was before.
    pub enabled: bool,
    /// Whether variables are kept for it.
    pub has_environment: bool,
}

impl Unit {
    pub(crate) fn step(self) -> Step<Action> {
        let name = &self.name;
        let (title, undo) = match (&self.file, self.existed) {
            (FileChange::Remove, _) => (format!("Remove {name}, which starts it at boot"), "Put it back"),
            (FileChange::Write(_), false) => {
                (format!("Have systemd start it at boot: {name}"), "Remove the unit")
            }
            (FileChange::Write(_), true) => (format!("Write {name} anew"), "Put it back as it was"),
        };
        step("unit", title, Undo::by(undo), 300, self)
    }

    fn manager(&self, world: &World) -> Result<Manager, Error> {
        Ok(match self.scope {
            Scope::System => Manager::of_machine(),
            Scope::User => Manager::of_user(&host::User::current()?, &world.variables),
        })
    }

    fn path(&self, manager: &Manager) -> PathBuf {
        manager.units().join(&self.name)
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let manager = self.manager(world)?;
        let (path, environment) = (self.path(&manager), world.layout.boot_environment());
        Kept { existed: self.existed }.keep(world, &self.name, &path)?;
        Kept { existed: self.has_environment }.keep(world, Layout::BOOT_ENVIRONMENT, &environment)?;
        match &self.file {
            FileChange::Write(text) => {
                write_environment(world)?;
                std::fs::create_dir_all(manager.units())
                    .map_err(|error| Error::path("make", manager.units(), &error))?;
                host::disk::atomic_write(&path, text.as_bytes(), 0o644, None)?;
                manager.reload().await?;
                if self.enable != self.enabled {
                    manager.enable(&self.name, self.enable).await?;
                }
            }
            FileChange::Remove => {
                if path.symlink_metadata().is_ok() {
                    manager.enable(&self.name, false).await?;
                }
                host::disk::remove_file(&path)?;
                host::disk::remove_file(&environment)?;
                manager.reload().await?;
            }
        }
        Ok(Value::Null)
    }

    pub(super) async fn undo(&self, world: &World, output: Option<&Value>) -> Result<(), Error> {
        let manager = self.manager(world)?;
        let (path, environment) = (self.path(&manager), world.layout.boot_environment());
        if !self.enabled && path.symlink_metadata().is_ok() {
            // Its link goes before its file, which names the link.
            manager.enable(&self.name, false).await?;
        }
        Kept { existed: self.existed }.put_back(world, &self.name, &path, output)?;
        if world.layout.root().exists() {
            Kept { existed: self.has_environment }.put_back(
                world,
                Layout::BOOT_ENVIRONMENT,
                &environment,
                output,
            )?;
        }
        manager.reload().await?;
        if self.enabled {
            manager.enable(&self.name, true).await?;
        }
        Ok(())
    }
}

/// The variables that say settings, as systemd reads them; `None` where there are none.
pub(crate) fn environment_text(world: &World) -> Option<String> {
    let variables = settings::of_settings(&world.variables);
    let lines = variables.iter().map(|(name, value)| host::systemd::environment_line(name, value));
    let text: String = lines.collect();
    (!text.is_empty()).then(|| {
        format!(
            "# The variables that say settings, as the last `mainstay up` had them: the start at boot has them, too.\n{text}"
        )
    })
}

fn write_environment(world: &World) -> Result<(), Error> {
    let path = world.layout.boot_environment();
    match environment_text(world) {
        Some(text) => Ok(host::disk::atomic_write(&path, text.as_bytes(), 0o600, None)?),
        None => Ok(host::disk::remove_file(&path)?),
    }
}

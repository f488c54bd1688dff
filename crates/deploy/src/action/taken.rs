//! What a deployment takes over from a Mattermost that was installed by other means: its config.json and its files. The originals stay.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use plan::{Progress, Step, Undo};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Action, blocking, step};
use crate::error::Error;
use crate::place::machine::owner;
use crate::state::config_file::text;
use crate::state::taken::Taken;
use crate::world::World;

/// Copies its config.json, which the deployment's own is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenConfig {
    /// The old file.
    pub from: PathBuf,
    /// Who reads the copy; `None` = whoever runs the plan.
    pub user: Option<String>,
}

impl TakenConfig {
    pub(crate) fn step(self) -> Step<Action> {
        let title = format!("Copy {}", self.from.display());
        step("taken-config", title, Undo::by("Remove the copy"), 10, self)
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let (this, path, data) = (self.clone(), world.layout.config(), world.layout.data());
        blocking(move || {
            let taken = Taken::read(&this.from, &data)?;
            let owner = owner(this.user.as_deref())?;
            Ok(host::disk::atomic_write(&path, &text(&taken.config)?, 0o600, owner)?)
        })
        .await
        .map(|()| Value::Null)
    }

    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        let path = world.layout.config();
        blocking(move || Ok(host::disk::remove_file(&path)?)).await
    }
}

/// Copies the files that people uploaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenFiles {
    /// The old directory.
    pub from: PathBuf,
    /// Who owns the copies; `None` = whoever runs the plan.
    pub user: Option<String>,
    /// The names in it when the plan was made: what an undo removes.
    pub names: Vec<String>,
}

impl TakenFiles {
    pub(crate) fn step(self) -> Step<Action> {
        let title = format!("Copy the files in {}", self.from.display());
        step("taken-files", title, Undo::by("Remove the copies"), 1000, self)
    }

    pub(super) async fn apply(&self, world: &World, progress: &Progress) -> Result<Value, Error> {
        let (this, to, progress) = (self.clone(), world.layout.data(), progress.clone());
        blocking(move || {
            const SAID: u64 = 256 << 20;
            let (owner, copied) = (owner(this.user.as_deref())?, AtomicU64::new(0));
            host::directory::copy(&this.from, &to, owner, host::directory::Modes::Plain, |bytes| {
                let before = copied.fetch_add(bytes, Ordering::Relaxed);
                if (before + bytes) / SAID > before / SAID {
                    progress.say(format!("{} MiB copied", (before + bytes) >> 20));
                }
            })?;
            Ok(serde_json::json!({ "bytes": copied.into_inner() }))
        })
        .await
    }

    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        let (names, to) = (self.names.clone(), world.layout.data());
        blocking(move || {
            names.iter().try_for_each(|name| {
                let path = to.join(name);
                match path.symlink_metadata() {
                    Ok(meta) if meta.is_dir() => Ok(host::disk::remove_tree(&path)?),
                    Ok(_) => Ok(host::disk::remove_file(&path)?),
                    Err(_) => Ok(()),
                }
            })
        })
        .await
    }
}

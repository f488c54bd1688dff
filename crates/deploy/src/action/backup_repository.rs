//! A new repository for backups.

use std::path::Path;
use std::sync::Arc;

use backup::Repository;
use plan::{Progress, Step, Undo};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Action, blocking, step};
use crate::error::Error;
use crate::state::backups::access::{Access, Elsewhere, told};
use crate::state::backups::choice::RepositoryPlace;
use crate::world::World;

/// Makes a repository; in a plan only where there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupRepository {
    /// Where.
    pub location: String,
    /// Whether its directory was there, empty.
    pub has_directory: bool,
}

impl BackupRepository {
    pub(crate) fn step(self) -> Step<Action> {
        let title = format!("Make a backup repository in {}", self.location);
        step("backup-repository", title, Undo::by("Remove it"), 1500, self)
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let (world, location) = (world.clone(), self.location.clone());
        blocking(move || {
            let access = of_plan(&world, &location)?.forgetting();
            if !access.exists()? {
                Repository::create(Arc::clone(access.store()), &access.key()?).map_err(told)?;
            }
            // After a kill in it: whether it opens.
            access.open().map(drop)
        })
        .await
        .map(|()| Value::Null)
    }

    /// A place that cannot be reached keeps what was begun there, and the deployment keeps the key of it.
    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        let (world, this) = (world.clone(), self.clone());
        blocking(move || {
            let Ok(access) = of_plan(&world, &this.location) else { return Ok(()) };
            match Repository::remove_unused(access.store().as_ref()) {
                Ok(false) => {}
                Ok(true) => {
                    if let RepositoryPlace::Directory(path) = &access.choice.place {
                        remove_empty(path, this.has_directory);
                    }
                }
                Err(error) => tracing::warn!(%error, "a repository that was only begun is left"),
            }
            Ok(())
        })
        .await
    }
}

/// The repository that the plan was made for.
fn of_plan(world: &World, location: &str) -> Result<Access, Error> {
    let access = Access::of(world, &Elsewhere::default())?;
    match access.location() == location {
        true => Ok(access),
        false => Err(Error::not_ready(format!(
            "the settings now name {} for the backups, and not {location}",
            access.location()
        ))),
    }
}

/// Removes the empty directories of what was a repository; what is not empty stays.
fn remove_empty(root: &Path, keeps_root: bool) {
    for name in ["keys", "index", "snapshots", "data", "locks"] {
        let folder = root.join(name);
        for below in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let _ = std::fs::remove_dir(below.path());
        }
        let _ = std::fs::remove_dir(folder);
    }
    if !keeps_root {
        let _ = std::fs::remove_dir(root);
    }
}

//! Which release is current.

use std::path::PathBuf;

use plan::{Progress, Step, Undo};
use release::ReleaseId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Action, blocking, step};
use crate::error::Error;
use crate::place::layout::Layout;
use crate::world::World;

/// Points `current` at a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activation {
    /// The release that becomes current.
    pub release: ReleaseId,
    /// The one that was.
    pub before: Option<ReleaseId>,
}

/// What `current` points at: relative, so that a deployment can be moved, but for a release in an image.
fn target(layout: &Layout, release: &ReleaseId) -> PathBuf {
    let releases = layout.releases();
    releases.strip_prefix(layout.root()).unwrap_or(&releases).join(release.to_string())
}

impl Activation {
    pub(crate) fn step(self) -> Step<Action> {
        let undo = if self.before.is_some() { "Point back" } else { "Remove the link" };
        step("activation", format!("Make {} current", self.release), Undo::by(undo), 10, self)
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let (link, target) = (world.layout.current(), target(&world.layout, &self.release));
        blocking(move || Ok(host::disk::symlink_flip(&link, &target)?)).await.map(|()| Value::Null)
    }

    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        let before = self.before.as_ref().map(|before| target(&world.layout, before));
        let link = world.layout.current();
        blocking(move || match before {
            Some(target) => Ok(host::disk::symlink_flip(&link, &target)?),
            None => Ok(host::disk::remove_file(&link)?),
        })
        .await
    }
}

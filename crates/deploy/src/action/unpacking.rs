//! A release, unpacked into `releases/`.

use std::path::PathBuf;

use plan::{Progress, Step, Undo};
use release::{Origin, ReleaseId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Action, blocking, step};
use crate::error::Error;
use crate::world::World;

/// Unpacks a release; in a plan only when it is not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unpacking {
    /// Which release it must turn out to be.
    pub release: ReleaseId,
    /// The tarball it comes from; `None` = the built-in server, which comes out of this binary.
    pub tarball: Option<PathBuf>,
}

impl Unpacking {
    pub(crate) fn step(self) -> Step<Action> {
        step("release", format!("Unpack {}", self.release), Undo::by("Remove it"), 300, self)
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let (this, releases, mainstay) = (self.clone(), world.layout.releases(), world.mainstay.clone());
        blocking(move || {
            if releases.join(this.release.to_string()).exists() {
                return Ok(Value::Null);
            }
            let origin = Origin::file_or_builtin(this.tarball);
            let unpacked = release::unpack(&origin, &mainstay, &releases)?;
            if *unpacked.id() == this.release {
                return Ok(Value::Null);
            }
            let found = unpacked.id().clone();
            host::disk::remove_tree(unpacked.root())?;
            Err(Error::not_ready(format!("the tarball holds {found}, not {}", this.release)))
        })
        .await
    }

    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        let path = world.layout.releases().join(self.release.to_string());
        blocking(move || Ok(host::disk::remove_tree(&path)?)).await
    }
}

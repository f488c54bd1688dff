//! A release, unpacked into `releases/`.

use std::path::PathBuf;

use plan::{Progress, Step, Undo};
use release::{Cache, Origin, ReleaseId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Action, blocking, step};
use crate::error::{Error, Exit};
use crate::world::World;

/// Unpacks a release; in a plan only when it is not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Forms")]
pub struct Unpacking {
    /// Which release it must turn out to be.
    pub release: ReleaseId,
    /// Where it comes from.
    pub origin: Origin,
}

/// What journals say of it.
#[derive(Deserialize)]
struct Forms {
    release: ReleaseId,
    origin: Option<Origin>,
    /// In the first form: a file, or the built-in server where there is none.
    tarball: Option<PathBuf>,
}

impl From<Forms> for Unpacking {
    fn from(Forms { release, origin, tarball }: Forms) -> Self {
        Self { release, origin: origin.unwrap_or_else(|| Origin::file_or_builtin(tarball)) }
    }
}

impl Unpacking {
    pub(crate) fn step(self) -> Step<Action> {
        step("release", format!("Unpack {}", self.release), Undo::by("Remove it"), 300, self)
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let (this, world) = (self.clone(), world.clone());
        blocking(move || unpack(&this.release, &this.origin, &world).map(|()| Value::Null)).await
    }

    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        let path = world.layout.releases().join(self.release.to_string());
        blocking(move || Ok(host::disk::remove_tree(&path)?)).await
    }
}

/// Unpacks a release where none of that name is.
///
/// # Errors
/// It cannot be unpacked, or turns out to be another one.
pub(super) fn unpack(release: &ReleaseId, origin: &Origin, world: &World) -> Result<(), Error> {
    let releases = world.layout.releases();
    if releases.join(release.to_string()).exists() {
        return Ok(());
    }
    let confining = &host::Shim::confining();
    let programs = release::Programs { mainstay: &world.mainstay, confining, told: Some(release) };
    let unpacked = release::unpack(origin, programs, &releases)?;
    if unpacked.id() == release {
        return Ok(());
    }
    let found = unpacked.id().clone();
    host::disk::remove_tree(unpacked.root())?;
    let error = Error::new(Exit::Refused, format!("{origin} is {found}, not {release}"));
    match origin {
        // Kept, it would be taken for the release at every further try.
        Origin::Published { wish, cache } => {
            let cache = Cache::at(cache);
            cache.remove(&cache.tarball(&wish.file()))?;
            Err(error.hint("the site serves another release under this name: tell whoever runs it, or name another with `mirror` in `[release]`"))
        }
        _ => Err(error),
    }
}

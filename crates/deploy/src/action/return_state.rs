//! The state that an upgrade kept, in the place of the present one.

use plan::{Progress, Step, Undo};
use release::ReleaseId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::file::Kept;
use super::{Action, KeptCopy, blocking, kept_dump, step};
use crate::error::Error;
use crate::place::layout::FILE_LIMIT;
use crate::state::returning::{COPIED, COPY, DECLARED, PRESENT};
use crate::world::World;

/// Makes database, config.json and plugins what they were. What is there now was copied by the steps before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnState {
    /// The release that the state is of.
    pub release: ReleaseId,
    /// Whether the database is on a server, and a dump is loaded into it.
    pub dumped: bool,
    /// Whether there is a `declared.json` now.
    pub remembers: bool,
}

impl ReturnState {
    pub(crate) fn step(self) -> Step<Action> {
        let (title, undo) = match self.dumped {
            true => (
                "Load the dump of the database",
                "Load the dump of the present one; what this made stays in a schema of its own",
            ),
            false => ("Put the database", "Leave it to the copy, which brings the present one back"),
        };
        let title = match self.dumped {
            true => {
                format!("{title}, and put config.json and the plugins back, as {} left them", self.release)
            }
            false => format!("{title}, config.json and the plugins back as {} left them", self.release),
        };
        step("return-state", title, Undo::by(undo), 1000, self)
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let directory = world.layout.rollback().join(self.release.to_string());
        if self.dumped {
            kept_dump::load(world, &directory).await?;
        }
        let (this, world) = (self.clone(), world.clone());
        blocking(move || {
            let path = directory.join(COPIED);
            let text = host::disk::read_named(&path, FILE_LIMIT)
                .map_err(|error| Error::path("read", &path, &error))?;
            let copied: KeptCopy = serde_json::from_slice(&text)
                .map_err(|error| Error::not_ready(format!("{}: {error}", path.display())))?;
            let declared = world.layout.declared();
            Kept { existed: this.remembers }.keep(&world, PRESENT, &declared)?;
            copied.put_back_from(&world.layout, &directory.join(COPY))?;
            match directory.join(DECLARED) {
                old if old.exists() => Ok(host::disk::copy(&old, &declared, None).map(drop)?),
                _ => Ok(host::disk::remove_file(&declared)?),
            }
        })
        .await
        .map(|()| Value::Null)
    }

    pub(super) async fn undo(&self, world: &World, output: Option<&Value>) -> Result<(), Error> {
        if self.dumped {
            kept_dump::load(world, &world.layout.before()).await?;
        }
        let (this, world, output) = (self.clone(), world.clone(), output.cloned());
        blocking(move || {
            if !this.remembers && output.is_none() {
                return Ok(());
            }
            let kept = Kept { existed: this.remembers };
            kept.put_back(&world, PRESENT, &world.layout.declared(), output.as_ref())
        })
        .await
    }
}

//! Taking a deployment away, in a way that can be taken back.

use plan::Progress;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{World, blocking};
use crate::error::{Error, reason};
use crate::machine::make_dir;

/// Moves entries of the directory aside; what is aside is deleted only after the plan is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    /// Names at the top of the deployment's directory.
    pub names: Vec<String>,
}

impl Removal {
    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let (names, root, aside) = (self.names.clone(), world.layout.root().to_owned(), world.layout.aside());
        blocking(move || {
            make_dir(&aside, 0o700, None)?;
            names.iter().try_for_each(|name| rename(&root.join(name), &aside.join(name)))
        })
        .await
        .map(|()| Value::Null)
    }

    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        let (names, root, aside) = (self.names.clone(), world.layout.root().to_owned(), world.layout.aside());
        blocking(move || names.iter().rev().try_for_each(|name| rename(&aside.join(name), &root.join(name))))
            .await
    }
}

/// Moves what is there; what has been moved already stays where it is.
fn rename(from: &std::path::Path, to: &std::path::Path) -> Result<(), Error> {
    if from.symlink_metadata().is_err() {
        return Ok(());
    }
    std::fs::rename(from, to).map_err(|error| {
        Error::not_ready(format!("cannot move {} aside: {}", from.display(), reason(&error)))
    })
}

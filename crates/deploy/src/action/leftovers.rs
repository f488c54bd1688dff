//! What a plan kept for its undo, removed once it is done.

use plan::Progress;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{World, blocking};
use crate::error::Error;

/// Removes what earlier steps kept. The last step of a plan: nothing can fail after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leftovers {}

impl Leftovers {
    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let before = world.layout.before();
        blocking(move || Ok(host::disk::remove_tree(&before)?)).await.map(|()| Value::Null)
    }

    #[allow(clippy::unused_async, reason = "every action has the same shape")]
    pub(super) async fn undo(&self, _: &World, _: Option<&Value>) -> Result<(), Error> {
        Ok(())
    }
}

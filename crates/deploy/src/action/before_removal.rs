//! What was kept for the undo of one stop of a way, removed when the stop is proven.

use plan::{Progress, Step, Undo};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Action, RanBefore, blocking, step};
use crate::error::{Error, Exit};
use crate::world::World;

/// Removes it, and writes down what runs now: what comes after it is undone no further than to here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BeforeRemoval {}

impl BeforeRemoval {
    pub(crate) fn step(self) -> Step<Action> {
        step("forget-before", "Remove what the undo of this stop would have needed", Undo::Nothing, 10, self)
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let before = world.layout.before();
        blocking(move || Ok(host::disk::remove_tree(&before)?)).await?;
        RanBefore::keep(world).await.map(|()| Value::Null)
    }

    #[expect(clippy::unused_async, reason = "every action has an undo")]
    pub(super) async fn undo(&self, _: &World, _: Option<&Value>) -> Result<(), Error> {
        Err(Error::new(Exit::Bug, "what was removed for good has no undo"))
    }
}

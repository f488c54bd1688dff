//! Requests wait at the edge while the server is replaced, and go on when its successor is proven.

use plan::{Progress, Step, Undo};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::agent::AGENT_PATIENCE;
use super::{Action, step};
use crate::control::protocol::Ask;
use crate::error::Error;
use crate::world::World;

/// Lets requests wait, or lets them through again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Whether they wait.
    pub on: bool,
}

impl Hold {
    pub(crate) fn step(self) -> Step<Action> {
        match self.on {
            true => step("hold", "Let requests wait at the edge", Undo::by("Let them through"), 10, self),
            false => step("admit", "Let requests through", Undo::by("Let them wait again"), 10, self),
        }
    }

    /// Whether the step lets people in: what is undone after it loses what they did.
    pub(crate) fn admits(step: &Step<Action>) -> bool {
        matches!(step.action, Action::Hold(Hold { on: false }))
    }

    /// Lets people through.
    ///
    /// # Errors
    /// The agent does not answer.
    pub(crate) async fn end(world: &World) -> Result<(), Error> {
        set(world, false).await
    }

    pub(super) async fn apply(self, world: &World, _: &Progress) -> Result<Value, Error> {
        // An agent that ended meanwhile took the edge with it: to let people in is to open it again, as before.
        if !self.on && world.agent.status().await?.is_none() {
            return Err(Error::not_ready(
                "the agent has ended, and the edge with it, so nobody can be let in",
            ));
        }
        set(world, self.on).await.map(|()| Value::Null)
    }

    pub(super) async fn undo(self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        set(world, !self.on).await
    }
}

async fn set(world: &World, on: bool) -> Result<(), Error> {
    let pass = world.layout.pass();
    if on && !pass.exists() {
        let word = format!("{:032x}", rand::random::<u128>());
        host::disk::atomic_write(&pass, word.as_bytes(), 0o600, None)?;
    }
    // Without an agent there is no edge where anybody could wait.
    if world.agent.status().await?.is_some() {
        world.agent.ask(&Ask::Hold { on }, AGENT_PATIENCE).await?;
    }
    if !on {
        host::disk::remove_file(&pass)?;
    }
    Ok(())
}

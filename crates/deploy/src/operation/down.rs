//! `down`: stop everything, keep everything.

use plan::Plan;

use super::runner::{Looking, Operation};
use crate::action::Action;
use crate::control::protocol::Status;
use crate::error::Error;
use crate::part::stopping;
use crate::place::ground::ground;
use crate::world::World;

/// Stops edge, server and agent, in this order. Reports whether anything ran.
#[derive(Debug, Clone, Copy)]
pub struct Down;

impl Operation for Down {
    const NAME: &'static str = "down";
    type Seen = Option<Status>;
    type Report = bool;

    async fn look(&self, world: &World, _: Looking<'_>) -> Result<Self::Seen, Error> {
        ground(&world.layout)?;
        world.agent.status().await
    }

    fn plan(&self, world: &World, running: &Self::Seen) -> Result<Plan<Action>, Error> {
        let title = format!("Stop {}", world.layout.root().display());
        Ok(Plan::new(Self::NAME, title, stopping(running.as_ref())))
    }

    async fn report(&self, _: &World, _: Self::Seen, changed: bool) -> Result<bool, Error> {
        Ok(changed)
    }
}

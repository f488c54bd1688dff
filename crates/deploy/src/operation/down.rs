//! `down`: stop everything, keep everything.

use plan::Plan;

use crate::action::{Action, Agent, Edge, Server, Switch};
use crate::control::protocol::Status;
use crate::error::Error;
use crate::operation::runner::{Caller, Turn};
use crate::operation::up::Steps;
use crate::place::ground::ground;
use crate::world::World;

/// The plan that [`down`] would run. Empty when nothing runs.
///
/// # Errors
/// The agent does not answer.
pub async fn planned(world: &World) -> Result<Plan<Action>, Error> {
    ground(&world.layout)?;
    let steps = stopping(world.agent.status().await?.as_ref());
    Ok(Plan {
        operation: "down".to_owned(),
        title: format!("Stop {}", world.layout.root().display()),
        steps: steps.0,
    })
}

/// Stops edge, server and agent, in this order. Says whether anything ran.
///
/// # Errors
/// A part does not stop: the others are started again.
pub async fn down(world: &World, mut caller: Caller<'_>) -> Result<bool, Error> {
    if planned(world).await?.steps.is_empty() && !world.layout.journal().exists() {
        return Ok(false);
    }
    let turn = Turn::take(&world.layout, "down", &caller).await?;
    turn.recover(world, &mut caller).await?;
    let plan = planned(world).await?;
    if plan.steps.is_empty() {
        return Ok(false);
    }
    turn.run(&plan, world, &mut caller).await.map(|()| true)
}

/// The steps that stop what runs.
pub(crate) fn stopping(status: Option<&Status>) -> Steps {
    let mut steps = Steps::default();
    let Some(status) = status else { return steps };
    if let Some(edge) = status.edge() {
        let action = Edge { spec: None, before: Some(edge.spec.clone()) };
        steps.add("close-edge", "Close the edge", Some("Open it again"), 200, action);
    }
    if let Some(server) = status.server() {
        let action = Server { switch: Switch::Off, spec: server.spec.clone() };
        steps.add("stop-server", "Stop the server", Some("Start it again"), 500, action);
    }
    steps.add("stop-agent", "Stop the agent", Some("Start it again"), 50, Agent { switch: Switch::Off });
    steps
}

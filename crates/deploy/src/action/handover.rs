//! The agent of another program, replaced while what it runs goes on.

use std::time::Duration;

use plan::{Progress, Step, Undo};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::agent::{AGENT_PATIENCE, STOP_PATIENCE, set_schedule, start_agent, stop_agent};
use super::{Action, revival, step};
use crate::control::presence::lives;
use crate::control::program::{Age, Program};
use crate::control::protocol::{Ask, PartSpec, ScheduleEntry, Status};
use crate::error::Error;
use crate::world::World;

/// The first protocol in which an agent can hand over.
const HANDS_OVER: u32 = 2;

/// The agent of an older version, or of another build of this one, becomes this program's, and what runs goes on. Where that fails for good, a new agent is started with the same
/// parts, so the server restarts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandOver {
    /// The older version; `None` where it does not tell one.
    from: Option<String>,
    /// The version of the protocol that it speaks.
    protocol: u32,
    /// What runs, in the order in which it is started.
    parts: Vec<(String, PartSpec)>,
    #[serde(default)]
    schedule: Vec<ScheduleEntry>,
}

impl HandOver {
    /// What the agent of another program runs; `None` where it is this program, or a newer one.
    pub(crate) fn from(status: &Status, ours: Program<'_>) -> Option<Self> {
        let Status { version: from, protocol, .. } = status.clone();
        let schedule = status.scheduled();
        matches!(status.age(ours), Age::Older | Age::OtherBuild).then(|| Self {
            from,
            protocol,
            parts: status.specs(),
            schedule,
        })
    }

    /// What ran before it, and runs after it.
    pub(super) fn parts(&self) -> &[(String, PartSpec)] {
        &self.parts
    }

    /// Its undo is nothing: what ran before runs then, too.
    pub(crate) fn step(self) -> Step<Action> {
        let title = match &self.from {
            Some(from) if self.protocol >= HANDS_OVER => {
                format!("Replace the agent of Mainstay {from}; what runs goes on")
            }
            _ => "Replace the agent of an early Mainstay; the server restarts".to_owned(),
        };
        step("hand-over", title, Undo::Nothing, 200, self)
    }

    pub(super) async fn apply(&self, world: &World, progress: &Progress) -> Result<Value, Error> {
        if let Some(status) = world.agent.status().await? {
            match status.age(world.program()) {
                Age::Older | Age::OtherBuild if status.protocol >= HANDS_OVER => {
                    let ask = Ask::HandOver { program: world.mainstay.clone(), older: false };
                    let Err(refused) = world.agent.ask(&ask, STOP_PATIENCE).await else {
                        return Ok(Value::Null);
                    };
                    // It refused and goes on; or the new program has ended, and everything with it.
                    if is_running(world).await? {
                        return Err(refused);
                    }
                }
                Age::Older | Age::OtherBuild => stop_agent(world).await?,
                Age::Same | Age::Newer => return Ok(Value::Null),
            }
        }
        start_agent(world).await?;
        for (part, spec) in &self.parts {
            revival::start(world, part, spec, Some(progress)).await?;
        }
        set_schedule(world, &self.schedule).await?;
        Ok(Value::Null)
    }

    /// What ran before runs now.
    pub(super) async fn undo(&self, _: &World, _: Option<&Value>) -> Result<(), Error> {
        Ok(())
    }
}

/// Whether an agent still runs: it answers, or its lock is free. One that is ending does neither for a moment.
pub(super) async fn is_running(world: &World) -> Result<bool, Error> {
    let deadline = tokio::time::Instant::now() + AGENT_PATIENCE;
    while lives(&world.layout)? {
        let late = tokio::time::Instant::now() > deadline;
        match world.agent.status().await {
            Ok(Some(_)) => return Ok(true),
            Ok(None) if late => return Ok(false),
            Err(error) if late => return Err(error),
            Ok(None) | Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
    Ok(false)
}

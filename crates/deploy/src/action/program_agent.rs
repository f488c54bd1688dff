//! The agent, which becomes the program that was put in place, or the one before that.

use plan::{Progress, Step, Undo};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::agent::{STOP_PATIENCE, set_schedule, start_agent, stop_agent};
use super::handover::is_running;
use super::program::ProgramFile;
use super::{Action, blocking, revival, step};
use crate::control::protocol::{Ask, PartSpec, ScheduleEntry, Status};
use crate::error::Error;
use crate::world::World;

/// Has the agent become the program in place; what runs goes on. A program that does not go on with it ends, and everything with it: then
/// it is started anew with the same parts, and where that fails, too, the undo does so with the program of before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramAgent {
    /// The file, and which build it is before.
    pub file: ProgramFile,
    /// What runs, in the order in which it is started.
    parts: Vec<(String, PartSpec)>,
    schedule: Vec<ScheduleEntry>,
}

impl ProgramAgent {
    /// Of what runs now.
    pub(crate) fn of(status: &Status, file: ProgramFile) -> Self {
        Self { file, parts: status.specs(), schedule: status.scheduled() }
    }

    pub(crate) fn step(self) -> Step<Action> {
        let undo = Undo::by("Have it become the program of before");
        step("program-agent", "Have the agent become that program; what runs goes on", undo, 300, self)
    }

    /// What ran before it, and runs after it.
    pub(super) fn parts(&self) -> &[(String, PartSpec)] {
        &self.parts
    }

    pub(super) async fn apply(&self, world: &World, progress: &Progress) -> Result<Value, Error> {
        self.become_file(world, Some(progress)).await.map(|()| Value::Null)
    }

    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        let (file, layout) = (self.file.clone(), world.layout.clone());
        blocking(move || file.put_back(&layout)).await?;
        self.become_file(world, None).await
    }

    /// The agent is the program that is in place now, and runs every part.
    async fn become_file(&self, world: &World, progress: Option<&Progress>) -> Result<(), Error> {
        let program = self.file.program.clone();
        let build = host::build::id(&program).map_err(|error| Error::path("read", &program, &error))?;
        if let Some(status) = world.agent.status().await? {
            if status.build.as_ref() == Some(&build) {
                return Ok(());
            }
            let ask = Ask::HandOver { program, older: true };
            if let Err(refused) = world.agent.ask(&ask, STOP_PATIENCE).await {
                let goes_on = is_running(world).await?;
                // On the way forward nothing has changed then; on the way back it must not stay.
                if goes_on && progress.is_some() {
                    return Err(refused);
                }
                if goes_on {
                    stop_agent(world).await?;
                }
            }
        }
        if world.agent.status().await?.is_some() {
            return Ok(());
        }
        start_agent(world).await?;
        for (part, spec) in &self.parts {
            revival::start(world, part, spec, progress).await?;
        }
        set_schedule(world, &self.schedule).await
    }
}

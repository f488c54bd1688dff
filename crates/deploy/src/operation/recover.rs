//! `recover`: finish or take back an interrupted run, and nothing else. The agent begins it where people wait at the edge for an operation
//! that was killed.

use plan::{Plan, RunId};
use serde::Serialize;

use super::retest::tested_again;
use super::runner::{Looking, Operation};
use crate::action::{Action, Hold};
use crate::error::Error;
use crate::place::ground::ground;
use crate::state::words::RECOVER;
use crate::world::World;

/// Finishes or takes back an interrupted run, and lets people through where nobody else would.
#[derive(Debug, Clone, Copy)]
pub struct Recover;

/// What a recovery came to.
#[derive(Debug, Clone, Serialize)]
pub struct RecoveredRun {
    /// The run that was interrupted; `None` = there was none.
    pub run: Option<RunId>,
    /// The command's word of that run.
    pub operation: Option<String>,
    /// Whether it was finished, and not taken back.
    pub finished: bool,
    /// After an undo: what a test of the deployment came to, in words.
    pub tested: Option<String>,
}

impl Operation for Recover {
    const NAME: &'static str = RECOVER;
    type Seen = RecoveredRun;
    type Report = RecoveredRun;

    async fn look(&self, world: &World, looking: Looking<'_>) -> Result<RecoveredRun, Error> {
        ground(&world.layout)?;
        let run = looking.recovered;
        Ok(RecoveredRun {
            run: run.map(|run| run.run),
            operation: run.map(|run| run.plan.operation.clone()),
            finished: run.is_some_and(|run| run.finished),
            tested: None,
        })
    }

    fn plan(&self, world: &World, _: &RecoveredRun) -> Result<Plan<Action>, Error> {
        let title = format!("Finish or take back what was interrupted in {}", world.layout.root().display());
        Ok(Plan::new(Self::NAME, title, Vec::new()))
    }

    /// No run is unfinished by now, so a hold is nobody's.
    async fn report(&self, world: &World, seen: RecoveredRun, _: bool) -> Result<RecoveredRun, Error> {
        if world.agent.status().await?.is_some_and(|status| status.holds) {
            Hold::end(world).await?;
        }
        let was_undone = seen.run.is_some() && !seen.finished;
        let tested = if was_undone { Some(tested_again(world).await) } else { None };
        Ok(RecoveredRun { tested, ..seen })
    }

    fn finishes_without_steps(&self) -> bool {
        true
    }

    /// It starts what the interrupted run knows, and nothing of its own.
    fn may_follow_another_build(&self) -> bool {
        true
    }
}

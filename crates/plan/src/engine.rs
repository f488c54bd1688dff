//! Runs plans: look at the state, do what is next, write it down, look again.

mod active_run;
mod effect;

use crate::{
    Action, EntryKind, Failure, FaultError, Faults, Journal, JournalError, Lock, NotUndone, Phase, Plan,
    PlanError, Reader, Run, RunId, State,
};
use active_run::ActiveRun;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeMap, marker::PhantomData};
use tokio_util::sync::CancellationToken;

/// Runs the plans of one kind of action against a journal.
///
/// Cancelling the token drops the running step's future, notes the step as failed and undoes the run; an undo
/// is not cancelled. Dropping the engine's own future is like a kill: recover the run later.
pub struct Engine<'a, A> {
    journal: &'a Journal,
    lock: &'a Lock,
    reader: &'a mut dyn Reader,
    faults: Faults,
    cancel: CancellationToken,
    actions: PhantomData<fn(&A)>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Outcome {
    /// Every step succeeded: the new state.
    Done {
        /// Which run.
        run: RunId,
        /// What each step returned, by its name.
        outputs: BTreeMap<String, Value>,
    },
    /// A step failed or was interrupted, and everything that can be undone is undone: the old state, but for
    /// what `not_undone` names.
    Undone {
        /// Which run.
        run: RunId,
        /// The step that failed.
        step: String,
        /// Why.
        failure: Failure,
        /// What began, cannot be undone, and was not covered by a snapshot.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        not_undone: Vec<NotUndone>,
        /// The checkpoint that it went back to: the steps up to this one are not undone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kept: Option<String>,
    },
    /// An undo failed. The journal remembers where; recovery tries it again.
    NeedsYou {
        /// Which run.
        run: RunId,
        /// The step that could not be undone.
        step: String,
        /// What its undo should have done.
        undo: String,
        /// Why it could not.
        failure: Failure,
        /// The step that failed first.
        failed_step: String,
        /// Why it did.
        cause: Failure,
    },
}

/// How to go on with a run that an earlier process began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recovery {
    /// On towards its end; a run that was being undone is undone further.
    Resume,
    /// Back to where it began.
    Undo,
}

/// Why a plan was not run, or not to an outcome.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The journal failed. Nothing is done or undone without it; what it says last is where recovery begins.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The plan is not one that can be run.
    #[error("this plan cannot be run: {0}")]
    Plan(#[from] PlanError),
    /// A fault cannot be injected into this plan.
    #[error(transparent)]
    Fault(#[from] FaultError),
    /// An earlier run is neither done nor undone.
    #[error("run {run}, `{operation}` ({title}), is unfinished: resume or undo it first")]
    Unfinished {
        /// Which run.
        run: RunId,
        /// Its command's word.
        operation: String,
        /// What it is for.
        title: String,
    },
    /// The state machine refused an entry of the engine's own.
    #[error("a bug in the plan engine: it would write that `{step}` {kind}, but {phase}")]
    Bug {
        /// The step.
        step: String,
        /// The entry.
        kind: &'static str,
        /// Where the run stands.
        phase: String,
    },
}

impl<'a, A: Action> Engine<'a, A> {
    /// An engine for the operation that holds `lock`, which guards the deployment that `journal` belongs to.
    pub fn new(
        journal: &'a Journal,
        lock: &'a Lock,
        reader: &'a mut dyn Reader,
        faults: Faults,
        cancel: CancellationToken,
    ) -> Self {
        Self { journal, lock, reader, faults, cancel, actions: PhantomData }
    }

    /// Runs `plan` to its end, or undoes it.
    ///
    /// # Errors
    /// [`EngineError`]. Except for the journal's, nothing has been done.
    pub async fn run(&mut self, plan: &Plan<A>, world: &A::World) -> Result<Outcome, EngineError> {
        plan.check()?;
        self.faults.check(plan)?;
        if let Some(earlier) = self.journal.unfinished_run::<Value>().await? {
            let Run { id: run, plan: Plan { operation, title, .. }, .. } = earlier;
            return Err(EngineError::Unfinished { run, operation, title });
        }
        let json = readable_json(plan)?;
        let run = self.journal.begin(plan, &json, self.lock.holder()).await?;
        let active = ActiveRun::new(run, plan, State::new(plan), self.cancel.clone());
        self.drive(active, None, world).await
    }

    /// Takes the unfinished run to its end, or back. `None` when no run is unfinished.
    ///
    /// Faults strike the steps that the old plan has; one for the plan that comes after it is no error here.
    ///
    /// # Errors
    /// [`EngineError`].
    pub async fn recover(
        &mut self,
        world: &A::World,
        recovery: Recovery,
    ) -> Result<Option<Outcome>, EngineError> {
        let Some((run, plan, state)) = self.journal.unfinished::<A>().await? else { return Ok(None) };
        let mut active = ActiveRun::new(run, &plan, state, self.cancel.clone());
        if recovery == Recovery::Undo {
            // To give up is to be cancelled before the next step does anything.
            active.cancel = CancellationToken::new();
            active.cancel.cancel();
        }
        self.drive(active, Some(recovery), world).await.map(Some)
    }

    async fn drive(
        &mut self,
        mut active: ActiveRun<'_, A>,
        recovery: Option<Recovery>,
        world: &A::World,
    ) -> Result<Outcome, EngineError> {
        self.reader.read(&active.started(recovery));
        match active.state.phase {
            Phase::Ready(_) | Phase::Running(_) if !active.cancel.is_cancelled() => self.journal.keep_room(),
            _ => _ = self.journal.give_up_room(),
        }
        let driven = self.driven(&mut active, world).await;
        self.journal.give_up_room();
        let outcome = driven?;
        self.reader.read(&active.finished(outcome.clone()));
        Ok(outcome)
    }

    async fn driven(
        &mut self,
        active: &mut ActiveRun<'_, A>,
        world: &A::World,
    ) -> Result<Outcome, EngineError> {
        if let Phase::Stuck(step, _) = active.state.phase {
            self.record(active, step, EntryKind::UndoStarted).await?;
        }
        loop {
            let (step, kind) = match active.state.phase {
                Phase::Ready(step) => (step, EntryKind::Started),
                Phase::Running(step) => (step, self.apply(active, step, world).await),
                Phase::Unwinding(step) => (step, EntryKind::UndoStarted),
                Phase::Undoing(step) => (step, self.undo(active, step, world).await),
                Phase::Done | Phase::Undone | Phase::Stuck(..) => return Ok(active.outcome()),
            };
            if matches!(kind, EntryKind::Failed(_)) {
                // The run turns round: the room was kept for what comes now.
                self.journal.give_up_room();
            }
            self.record(active, step, kind).await?;
        }
    }

    /// Makes one entry durable, and advances the state by it.
    async fn record(
        &mut self,
        active: &mut ActiveRun<'_, A>,
        step: usize,
        kind: EntryKind,
    ) -> Result<(), EngineError> {
        let name = &active.plan.steps[step].name;
        let bug = |phase| EngineError::Bug { step: name.clone(), kind: kind.word(), phase };
        let next = active.state.clone().then(active.plan, name, &kind).map_err(bug)?;
        self.journal.record(active.run, name, &kind, &next.phase).await?;
        active.state = next;
        if let Some(event) = active.ended(step, kind) {
            self.reader.read(&event);
        }
        Ok(())
    }
}

/// A plan that no recovery could read must not begin.
fn readable_json<A: Action>(plan: &Plan<A>) -> Result<String, PlanError> {
    let unreadable = |error: serde_json::Error| PlanError::Unreadable(error.to_string());
    let json = serde_json::to_string(plan).map_err(unreadable)?;
    serde_json::from_str::<Plan<A>>(&json).map_err(unreadable)?;
    Ok(json)
}

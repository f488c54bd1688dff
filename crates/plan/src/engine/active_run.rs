//! A run under way: its state, and how it is told.

use super::{Outcome, Recovery};
use crate::{EntryKind, Event, Heading, Phase, Place, Plan, RunId, State};
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// A run and where it stands.
pub(super) struct ActiveRun<'p, A> {
    pub(super) run: RunId,
    pub(super) plan: &'p Plan<A>,
    pub(super) state: State,
    /// Stops the running step and turns the run round.
    pub(super) cancel: CancellationToken,
    begun: Instant,
    effect_begun: Instant,
}

impl<'p, A> ActiveRun<'p, A> {
    pub(super) fn new(run: RunId, plan: &'p Plan<A>, state: State, cancel: CancellationToken) -> Self {
        let now = Instant::now();
        Self { run, plan, state, cancel, begun: now, effect_begun: now }
    }

    pub(super) fn place(&self, index: usize) -> Place {
        Place { run: self.run, step: self.plan.steps[index].name.clone(), index, of: self.plan.steps.len() }
    }

    pub(super) fn started(&self, recovery: Option<Recovery>) -> Event {
        let done = self.state.outputs.len();
        let steps = self.plan.steps.iter().enumerate();
        Event::RunStarted {
            run: self.run,
            operation: self.plan.operation.clone(),
            title: self.plan.title.clone(),
            recovery,
            steps: steps.map(|(index, step)| Heading::of(step, index < done)).collect(),
        }
    }

    /// Starts the clock of one effect.
    pub(super) fn begin_effect(&mut self) {
        self.effect_begun = Instant::now();
    }

    /// What to tell of an entry: the two that begin an effect are told when it begins.
    pub(super) fn ended(&self, step: usize, kind: EntryKind) -> Option<Event> {
        let (place, ms) = (self.place(step), ms_since(self.effect_begun));
        match kind {
            EntryKind::Started | EntryKind::UndoStarted => None,
            EntryKind::Succeeded(_) => Some(Event::StepSucceeded { place, ms }),
            EntryKind::Failed(failure) => Some(Event::StepFailed { place, ms, failure }),
            EntryKind::UndoFinished => Some(Event::UndoFinished { place, ms }),
            EntryKind::UndoFailed(failure) => Some(Event::UndoFailed { place, ms, failure }),
        }
    }

    pub(super) fn finished(&self, outcome: Outcome) -> Event {
        Event::RunFinished { ms: ms_since(self.begun), outcome }
    }

    /// How a run ended that has nothing next: only one that turned round has a cause.
    pub(super) fn outcome(&self) -> Outcome {
        let run = self.run;
        let name = |index: usize| self.plan.steps[index].name.clone();
        match (self.state.phase.clone(), self.state.cause.clone()) {
            (_, None) => {
                let names = self.plan.steps.iter().map(|step| step.name.clone());
                Outcome::Done { run, outputs: names.zip(self.state.outputs.iter().cloned()).collect() }
            }
            (Phase::Stuck(step, failure), Some((failed, cause))) => Outcome::NeedsYou {
                run,
                step: name(step),
                undo: self.plan.steps[step].undo.title().unwrap_or_default().to_owned(),
                failure,
                failed_step: name(failed),
                cause,
            },
            (_, Some((step, failure))) => {
                let kept = self.plan.kept(step);
                let not_undone = self.plan.uncovered(kept, step + 1);
                let kept = kept.checked_sub(1).map(name);
                Outcome::Undone { run, step: name(step), failure, not_undone, kept }
            }
        }
    }
}

fn ms_since(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}

//! Where a run stands: the one function that says which entry may follow which.
//!
//! ```text
//!             started           succeeded
//!   Ready k ----------> Running k ----------> Ready k+1, or Done
//!                           | failed
//!                           v       undo-started
//!   Undone, or      <-- Unwinding k ------------> Undoing k -- undo-failed --> Stuck k
//!   Unwinding k-1   <---------------------------------'  ^---- undo-started ------'
//!                               undo-finished
//! ```
//! Steps with nothing to undo, and those that cannot be undone, are passed over on the way back and leave no
//! entry there. [`Outcome::Undone`](crate::Outcome::Undone) names the latter.
//!
//! A kill leaves no entry either: `Running` and `Undoing` are entered again where they stopped, and giving up
//! on a run is an ordinary `failed`. So there is no transition that only recovery knows.

use crate::{Failure, Plan};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// One line of a run's journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The step's name.
    pub step: String,
    /// When it was written. For people: no decision reads it.
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub kind: EntryKind,
}

/// What an entry says. These six and no others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "detail", rename_all = "kebab-case")]
pub enum EntryKind {
    /// The step may have begun.
    Started,
    /// The step is done; its output.
    Succeeded(Value),
    /// The step failed, was interrupted, or was given up.
    Failed(Failure),
    /// The step's undo may have begun.
    UndoStarted,
    /// The step is undone.
    UndoFinished,
    /// The step's undo failed.
    UndoFailed(Failure),
}

/// Where a run stands, as its entries tell.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// What is next.
    pub phase: Phase,
    /// The outputs of the steps that succeeded, in the plan's order.
    pub outputs: Vec<Value>,
    /// The step, by its index, whose failure turned the run round, and why.
    pub cause: Option<(usize, Failure)>,
}

/// What is next in a run. Steps are called by their index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// The step has not started; all before it have succeeded.
    Ready(usize),
    /// The step has started, and may have done anything between nothing and everything.
    Running(usize),
    /// The step is the next to be undone.
    Unwinding(usize),
    /// The step's undo has started.
    Undoing(usize),
    /// The step's undo failed: this needs a person, or another try.
    Stuck(usize, Failure),
    /// Every step has succeeded.
    Done,
    /// Every step that can be undone is undone.
    Undone,
}

/// An entry that cannot be where it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("entry {seq} says `{step}` {kind}, but {phase}")]
pub struct ReplayError {
    /// The entry's number in its run, from 0.
    pub seq: usize,
    /// The step it names.
    pub step: String,
    /// What it says.
    pub kind: &'static str,
    /// Where the run stood.
    pub phase: String,
}

impl EntryKind {
    /// The word the journal keeps it under.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Succeeded(_) => "succeeded",
            Self::Failed(_) => "failed",
            Self::UndoStarted => "undo-started",
            Self::UndoFinished => "undo-finished",
            Self::UndoFailed(_) => "undo-failed",
        }
    }
}

impl State {
    /// A run of `plan` that has no entries.
    pub fn new<A>(plan: &Plan<A>) -> Self {
        Self { phase: Phase::ready(plan, 0), outputs: Vec::new(), cause: None }
    }

    /// The state of a run of `plan` after all its entries.
    ///
    /// # Errors
    /// The first entry that cannot follow those before it.
    pub fn after<A>(plan: &Plan<A>, entries: &[Entry]) -> Result<Self, ReplayError> {
        entries.iter().enumerate().try_fold(Self::new(plan), |state, (seq, Entry { step, kind, .. })| {
            state.then(plan, step, kind).map_err(|phase| ReplayError {
                seq,
                step: step.clone(),
                kind: kind.word(),
                phase,
            })
        })
    }

    /// The state after one more entry; if it cannot follow, where the run stands instead, in words.
    pub(crate) fn then<A>(self, plan: &Plan<A>, step: &str, kind: &EntryKind) -> Result<Self, String> {
        let Some(index) = self.phase.step().filter(|&index| plan.steps[index].name == step) else {
            return Err(self.phase.words(plan));
        };
        let Self { phase, mut outputs, mut cause } = self;
        let phase = match (phase, kind) {
            (Phase::Ready(_), EntryKind::Started) => Phase::Running(index),
            (Phase::Running(_), EntryKind::Succeeded(output)) => {
                outputs.push(output.clone());
                Phase::ready(plan, index + 1)
            }
            (Phase::Running(_), EntryKind::Failed(failure)) => {
                cause = Some((index, failure.clone()));
                Phase::unwinding(plan, index, index + 1)
            }
            (Phase::Unwinding(_) | Phase::Stuck(..), EntryKind::UndoStarted) => Phase::Undoing(index),
            (Phase::Undoing(_), EntryKind::UndoFinished) => Phase::unwinding(plan, index, index),
            (Phase::Undoing(_), EntryKind::UndoFailed(failure)) => Phase::Stuck(index, failure.clone()),
            (phase, _) => return Err(phase.words(plan)),
        };
        Ok(Self { phase, outputs, cause })
    }
}

impl Phase {
    fn ready<A>(plan: &Plan<A>, next: usize) -> Self {
        if next < plan.steps.len() { Self::Ready(next) } else { Self::Done }
    }

    /// Undoes the last of the first `count` steps that can be undone and are not kept by a checkpoint among the first `succeeded`.
    fn unwinding<A>(plan: &Plan<A>, succeeded: usize, count: usize) -> Self {
        let kept = plan.kept(succeeded);
        let step = plan.steps[kept..count].iter().rposition(|step| step.undo.title().is_some());
        step.map_or(Self::Undone, |step| Self::Unwinding(kept + step))
    }

    /// The step that the next entry must name.
    fn step(&self) -> Option<usize> {
        match *self {
            Self::Ready(step)
            | Self::Running(step)
            | Self::Unwinding(step)
            | Self::Undoing(step)
            | Self::Stuck(step, _) => Some(step),
            Self::Done | Self::Undone => None,
        }
    }

    /// Whether nothing can follow.
    pub fn is_over(&self) -> bool {
        self.step().is_none()
    }

    /// What the journal's `outcome` column says in this phase.
    pub(crate) fn outcome(&self) -> Option<&'static str> {
        match self {
            Self::Done => Some("done"),
            Self::Undone => Some("undone"),
            Self::Stuck(..) => Some("needs-you"),
            _ => None,
        }
    }

    fn words<A>(&self, plan: &Plan<A>) -> String {
        struct Words<'a>(&'a Phase, &'a str);
        impl fmt::Display for Words<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let Self(phase, step) = self;
                match phase {
                    Phase::Ready(_) => write!(f, "`{step}` had yet to start"),
                    Phase::Running(_) => write!(f, "`{step}` was running"),
                    Phase::Unwinding(_) => write!(f, "`{step}` had yet to be undone"),
                    Phase::Undoing(_) => write!(f, "`{step}` was being undone"),
                    Phase::Stuck(..) => write!(f, "the undo of `{step}` had failed"),
                    Phase::Done => write!(f, "the run was done"),
                    Phase::Undone => write!(f, "the run was undone"),
                }
            }
        }
        Words(self, self.step().map_or("", |step| &plan.steps[step].name)).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use EntryKind::*;
    use std::time::Duration;

    /// Steps `a`, `b`, `c`; `b` has nothing to undo.
    fn plan() -> Plan<()> {
        let step = |name: &str| crate::Step {
            name: name.into(),
            title: name.into(),
            undo: if name == "b" { crate::Undo::Nothing } else { crate::Undo::by("undo") },
            snapshot: false,
            checkpoint: false,
            estimate: Duration::ZERO,
            action: (),
        };
        Plan::new("up", "Up", vec![step("a"), step("b"), step("c")])
    }

    fn after(entries: &[(&str, EntryKind)]) -> Result<State, ReplayError> {
        let entry = |(step, kind): &(&str, EntryKind)| Entry {
            step: (*step).into(),
            at: Timestamp::UNIX_EPOCH,
            kind: kind.clone(),
        };
        State::after(&plan(), &entries.iter().map(entry).collect::<Vec<_>>())
    }

    fn forward() -> Vec<(&'static str, EntryKind)> {
        let step = |name| [(name, Started), (name, Succeeded(Value::from(name)))];
        ["a", "b", "c"].into_iter().flat_map(step).collect()
    }

    #[test]
    fn goes_forward_to_done() {
        let entries = forward();
        let phases = [
            Phase::Ready(0),
            Phase::Running(0),
            Phase::Ready(1),
            Phase::Running(1),
            Phase::Ready(2),
            Phase::Running(2),
            Phase::Done,
        ];
        for (n, phase) in phases.into_iter().enumerate() {
            assert_eq!(after(&entries[..n]).unwrap().phase, phase);
        }
        assert_eq!(after(&entries).unwrap().outputs, ["a", "b", "c"].map(Value::from));
    }

    #[test]
    fn a_failure_undoes_that_step_and_those_before_it_that_can_be_undone() {
        let mut entries = forward();
        entries[5].1 = Failed(Failure::new("no"));
        let back = [
            (UndoStarted, "c", Phase::Undoing(2)),
            (UndoFailed(Failure::new("stuck")), "c", Phase::Stuck(2, Failure::new("stuck"))),
            (UndoStarted, "c", Phase::Undoing(2)),
            (UndoFinished, "c", Phase::Unwinding(0)),
            (UndoStarted, "a", Phase::Undoing(0)),
            (UndoFinished, "a", Phase::Undone),
        ];
        assert_eq!(after(&entries).unwrap().phase, Phase::Unwinding(2));
        for (kind, step, phase) in back {
            entries.push((step, kind));
            assert_eq!(after(&entries).unwrap().phase, phase);
        }
        assert_eq!(after(&entries).unwrap().cause, Some((2, Failure::new("no"))));
    }

    #[test]
    fn a_failure_after_a_checkpoint_goes_back_to_it_and_no_further() {
        let mut plan = plan();
        plan.steps[0].checkpoint = true;
        let run = |entries: &[(&str, EntryKind)]| {
            entries.iter().fold(State::new(&plan), |state, (step, kind)| {
                state.then(&plan, step, kind).expect("an entry that may follow")
            })
        };
        let mut entries = forward();
        entries[5].1 = Failed(Failure::new("no"));
        assert_eq!(run(&entries).phase, Phase::Unwinding(2));
        entries.extend([("c", UndoStarted), ("c", UndoFinished)]);
        assert_eq!(run(&entries).phase, Phase::Undone, "`a` stays");
        // The checkpoint itself is undone where it fails.
        let failed = [("a", Started), ("a", Failed(Failure::new("no")))];
        assert_eq!(run(&failed).phase, Phase::Unwinding(0));
        assert_eq!((plan.kept(0), plan.kept(1), plan.kept(3)), (0, 1, 1));
        assert_eq!(Plan::new("up", "Up", plan.steps.clone()).format, crate::FORMAT);
    }

    #[test]
    fn a_failure_with_nothing_to_undo_ends_the_run() {
        let mut plan = plan();
        plan.steps.remove(0);
        let failed = EntryKind::Failed(Failure::new("no"));
        let state = State::new(&plan).then(&plan, "b", &Started).unwrap().then(&plan, "b", &failed).unwrap();
        assert_eq!(state.phase, Phase::Undone);
        plan.steps.clear();
        assert_eq!(State::new(&plan).phase, Phase::Done);
    }

    /// Every entry that is not the one the drawing allows is refused, after every prefix of a history.
    #[test]
    fn refuses_every_other_entry() {
        let failure = || Failure::new("no");
        let mut entries = forward();
        entries[5].1 = Failed(failure());
        entries.extend([("c", UndoStarted), ("c", UndoFailed(failure())), ("c", UndoStarted)]);
        entries.extend([("c", UndoFinished), ("a", UndoStarted), ("a", UndoFinished)]);
        let kinds = [Started, Succeeded(Value::Null), Failed(failure())];
        let kinds = [kinds, [UndoStarted, UndoFinished, UndoFailed(failure())]].concat();
        let mut refused = 0;
        for n in 0..=entries.len() {
            let allowed = match after(&entries[..n]).unwrap().phase {
                Phase::Ready(_) => vec!["started"],
                Phase::Running(_) => vec!["succeeded", "failed"],
                Phase::Unwinding(_) | Phase::Stuck(..) => vec!["undo-started"],
                Phase::Undoing(_) => vec!["undo-finished", "undo-failed"],
                Phase::Done | Phase::Undone => vec![],
            };
            for kind in &kinds {
                for step in ["a", "b", "c", "d"] {
                    let legal = allowed.contains(&kind.word()) && entries.get(n).is_some_and(|e| e.0 == step);
                    let mut longer = entries[..n].to_vec();
                    longer.push((step, kind.clone()));
                    let result = after(&longer);
                    assert_eq!(result.is_ok(), legal, "{step} {} at {n}", kind.word());
                    refused += usize::from(result.is_err_and(|error| error.seq == n));
                }
            }
        }
        assert!(refused > 250, "{refused}");
    }

    #[test]
    fn says_what_is_wrong() {
        let error = after(&[("a", Started), ("b", Started)]).unwrap_err();
        assert_eq!(error.to_string(), "entry 1 says `b` started, but `a` was running");
    }
}

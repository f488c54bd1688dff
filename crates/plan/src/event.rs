//! What happened, as data: the terminal, `--json` and the console are its readers.

use crate::{Failure, Outcome, Recovery, RunId, Step, Undo, Unit};
use serde::{Deserialize, Serialize};

/// One thing that happened in a run. Serialises with a `type`, such as `step-started`.
///
/// A step's beginning is told after its journal entry is durable and before its effect; its end is told
/// after the entry that says so is durable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Event {
    /// A run begins, or goes on after a kill.
    RunStarted {
        /// Which run.
        run: RunId,
        /// The command's word.
        operation: String,
        /// What the run is for.
        title: String,
        /// How it goes on, when an earlier process began it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        recovery: Option<Recovery>,
        /// The steps in order.
        steps: Vec<Heading>,
    },
    /// The command waits: for something that a run needs, before there is a plan; or a step of the run says what keeps it.
    Waiting {
        /// What, and why.
        text: String,
        /// For how long already, in milliseconds.
        ms: u64,
    },
    /// Another operation changed the deployment after the plan had been shown: this is the title of the new plan.
    Replanned {
        /// What the new plan is for.
        title: String,
    },
    /// A step is about to be applied.
    StepStarted {
        /// Which step.
        #[serde(flatten)]
        place: Place,
    },
    /// A step, or its undo, has come so far.
    Progress {
        /// Which step.
        #[serde(flatten)]
        place: Place,
        /// How much is done.
        done: u64,
        /// How much there will be, where that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        total: Option<u64>,
        /// What is counted.
        unit: Unit,
    },
    /// A step, or its undo, says what it is at.
    Said {
        /// Which step.
        #[serde(flatten)]
        place: Place,
        /// What it said.
        text: String,
    },
    /// A step has been applied.
    StepSucceeded {
        /// Which step.
        #[serde(flatten)]
        place: Place,
        /// How long it took in this process, in milliseconds.
        ms: u64,
    },
    /// A step failed: it and all before it will be undone.
    StepFailed {
        /// Which step.
        #[serde(flatten)]
        place: Place,
        /// How long it took in this process, in milliseconds.
        ms: u64,
        /// Why.
        failure: Failure,
    },
    /// A step is about to be undone.
    UndoStarted {
        /// Which step.
        #[serde(flatten)]
        place: Place,
        /// The undo's title.
        undo: String,
    },
    /// A step has been undone.
    UndoFinished {
        /// Which step.
        #[serde(flatten)]
        place: Place,
        /// How long it took in this process, in milliseconds.
        ms: u64,
    },
    /// A step could not be undone: the run stops here.
    UndoFailed {
        /// Which step.
        #[serde(flatten)]
        place: Place,
        /// How long it took in this process, in milliseconds.
        ms: u64,
        /// Why.
        failure: Failure,
    },
    /// The run has ended, or stopped where it needs a person.
    RunFinished {
        /// How long it took in this process, in milliseconds.
        ms: u64,
        /// How it ended, and which run it was.
        outcome: Outcome,
    },
}

/// Which step of which run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Which run.
    pub run: RunId,
    /// The step's name.
    pub step: String,
    /// Its place in the plan, from 0.
    pub index: usize,
    /// How many steps the plan has.
    pub of: usize,
}

/// What people need to know of a step before it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heading {
    /// The step's name.
    pub step: String,
    /// What it does.
    pub title: String,
    /// What its undo does.
    #[serde(default, skip_serializing_if = "Undo::is_nothing")]
    pub undo: Undo,
    /// How long it is thought to take, in milliseconds.
    pub estimate_ms: u64,
    /// Whether an earlier process has applied it already.
    pub done: bool,
}

impl Heading {
    pub(crate) fn of<A>(step: &Step<A>, done: bool) -> Self {
        Self {
            step: step.name.clone(),
            title: step.title.clone(),
            undo: step.undo.clone(),
            estimate_ms: u64::try_from(step.estimate.as_millis()).unwrap_or(u64::MAX),
            done,
        }
    }
}

/// Reads the events of a run as they happen. Called on the engine's task: a slow reader slows the run.
pub trait Reader: Send {
    /// Takes note of one event.
    fn read(&mut self, event: &Event);
}

/// Nobody reads.
impl Reader for () {
    fn read(&mut self, _: &Event) {}
}

/// Several readers, in order.
impl Reader for Vec<Box<dyn Reader>> {
    fn read(&mut self, event: &Event) {
        for reader in self {
            reader.read(event);
        }
    }
}

/// Keeps the events.
impl Reader for Vec<Event> {
    fn read(&mut self, event: &Event) {
        self.push(event.clone());
    }
}

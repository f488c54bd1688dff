//! The schedule: operations that the agent begins by itself.

use plan::Step;

use super::{Part, Stage, View};
use crate::action::{self, Action};
use crate::control::protocol::Status;
use crate::state::updates::timetable::entries;

pub(super) struct Schedule;

impl Part for Schedule {
    fn name(&self) -> &'static str {
        "schedule"
    }

    fn steps(&self, stage: Stage, view: &View<'_>) -> Vec<Step<Action>> {
        let before = view.observed.agent.as_ref().map(Status::scheduled).unwrap_or_default();
        let entries = entries(&view.settled.desired.wanted, view.layout.place());
        match stage {
            Stage::Open if before != entries => vec![action::Schedule { entries, before }.step()],
            _ => Vec::new(),
        }
    }

    /// A new agent has no entries.
    fn start_again(&self, running: &Status) -> Option<Step<Action>> {
        let entries = running.scheduled();
        (!entries.is_empty()).then(|| action::Schedule { entries, before: Vec::new() }.step())
    }
}

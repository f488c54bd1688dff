//! The agent, which runs the other parts.

use plan::Step;

use super::{Part, Stage, View};
use crate::action::{self, Action, HandOver, Switch};
use crate::control::protocol::Status;

/// When the agent is started: before the tables are made where it runs the managed database for that.
pub(super) fn stage(view: &View<'_>) -> Stage {
    if view.observed.database.cluster.is_some() { Stage::Change } else { Stage::Start }
}

pub(super) struct Agent;

impl Part for Agent {
    fn name(&self) -> &'static str {
        "agent"
    }

    fn steps(&self, at: Stage, view: &View<'_>) -> Vec<Step<Action>> {
        match at {
            // First of all: what comes later speaks to an agent of this version.
            Stage::Prepare => view.observed.handover.clone().map(HandOver::step).into_iter().collect(),
            now if now == stage(view) && view.observed.agent.is_none() => {
                vec![action::Agent { switch: Switch::On }.step()]
            }
            _ => Vec::new(),
        }
    }

    fn stop(&self, _running: &Status) -> Option<Step<Action>> {
        Some(action::Agent { switch: Switch::Off }.step())
    }

    fn start_again(&self, _running: &Status) -> Option<Step<Action>> {
        Some(action::Agent { switch: Switch::On }.step())
    }
}

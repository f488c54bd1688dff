//! The edge: the HTTP proxy in front of the server.

use plan::Step;

use super::{Part, Stage, View};
use crate::action::{self, Action};
use crate::control::protocol::{EdgeSpec, Status};

pub(super) struct Edge;

impl Part for Edge {
    fn name(&self) -> &'static str {
        "edge"
    }

    fn steps(&self, stage: Stage, view: &View<'_>) -> Vec<Step<Action>> {
        let before = view.observed.agent.as_ref().and_then(open);
        let spec = Some(view.settled.desired.edge());
        match stage {
            Stage::Open if before != spec => vec![action::Edge { spec, before }.step()],
            _ => Vec::new(),
        }
    }

    fn stop(&self, running: &Status) -> Option<Step<Action>> {
        let before = open(running)?;
        Some(action::Edge { spec: None, before: Some(before) }.step())
    }

    fn start_again(&self, running: &Status) -> Option<Step<Action>> {
        let spec = open(running)?;
        Some(action::Edge { spec: Some(spec), before: None }.step())
    }
}

/// How it is open now.
fn open(status: &Status) -> Option<EdgeSpec> {
    status.edge().map(|edge| edge.spec.clone())
}

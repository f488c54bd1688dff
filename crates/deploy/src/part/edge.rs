//! The edge: the HTTP proxy in front of the server.

use plan::Step;

use super::server::Server;
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
            // One that is closed opens held: the agent runs by then.
            Stage::Stop if waits(view) && before.is_some() => vec![action::Hold { on: true }.step()],
            Stage::Start if waits(view) && before.is_none() => vec![action::Hold { on: true }.step()],
            Stage::Admit if waits(view) => vec![action::Hold { on: false }.step()],
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

/// Whether people have to wait for another server: one of them stops, or what the new one does with the data is to be proven first.
fn waits(view: &View<'_>) -> bool {
    view.migrates() || view.settled.moving.is_some() || !Server.steps(Stage::Stop, view).is_empty()
}

/// These steps, which replace the server, with requests waiting meanwhile where the edge is open.
pub(crate) fn held(steps: Vec<Step<Action>>, running: &Status) -> Vec<Step<Action>> {
    let wait = |on| running.edge().map(|_| action::Hold { on }.step());
    wait(true).into_iter().chain(steps).chain(wait(false)).collect()
}

/// How it is open now.
fn open(status: &Status) -> Option<EdgeSpec> {
    status.edge().map(|edge| edge.spec.clone())
}

//! The acceptance test, which proves that the other parts work together.

use plan::Step;

use super::{Part, Stage, View};
use crate::action::{AcceptanceTest, Action};
use crate::state::desired::Desired;

pub(super) struct Acceptance;

impl Part for Acceptance {
    fn name(&self) -> &'static str {
        "acceptance"
    }

    fn steps(&self, stage: Stage, view: &View<'_>) -> Vec<Step<Action>> {
        match stage {
            Stage::Prove => vec![test_step(&view.settled.desired)],
            _ => Vec::new(),
        }
    }
}

/// The test through the edge, speaking as the address that people type.
pub(crate) fn test_step(desired: &Desired) -> Step<Action> {
    AcceptanceTest::of(desired).step()
}

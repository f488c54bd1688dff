//! What people had, compared after a release has changed their database. It is counted right before that, by the part that changes it.

use plan::Step;

use super::{Part, Stage, View};
use crate::action::{self, Action};

pub(super) struct Comparison;

impl Part for Comparison {
    fn name(&self) -> &'static str {
        "comparison"
    }

    fn steps(&self, stage: Stage, view: &View<'_>) -> Vec<Step<Action>> {
        match stage {
            // After the acceptance test: what the new server has done at its start counts as well.
            Stage::Prove if view.changes_schema() => vec![action::Comparison::step()],
            _ => Vec::new(),
        }
    }
}

//! A container's volume, which says in `VERSION` which server last used it.

use plan::Step;

use super::{Part, Stage, View};
use crate::action::{Action, VolumeVersion};

pub(super) struct Volume;

impl Part for Volume {
    fn name(&self) -> &'static str {
        "volume"
    }

    fn steps(&self, stage: Stage, view: &View<'_>) -> Vec<Step<Action>> {
        match (stage, &view.observed.volume) {
            (Stage::Record, Some(change)) => {
                let (version, before) = (view.settled.release.version.clone(), change.before.clone());
                vec![VolumeVersion { version, before }.step()]
            }
            _ => Vec::new(),
        }
    }
}

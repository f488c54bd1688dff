//! The apps that are deployed to this machine.
//!
//! An app that does not work is no reason to keep people out: `up` has the agent run it, and does not wait until it answers.

use plan::Step;

use super::{Part, Stage, View};
use crate::action::{self, Action, Check};
use crate::control::app::{AppSpec, app_of, part_of};
use crate::control::protocol::Status;

pub(super) struct Apps;

impl Part for Apps {
    fn name(&self) -> &'static str {
        "apps"
    }

    fn steps(&self, stage: Stage, view: &View<'_>) -> Vec<Step<Action>> {
        let (before, wanted) =
            (view.observed.agent.as_ref().map(running).unwrap_or_default(), &view.observed.apps);
        let (gone, new) = differing(&before, wanted);
        match stage {
            Stage::Open if !gone.is_empty() || !new.is_empty() => {
                vec![action::Apps { apps: new, before: gone, check: None }.step()]
            }
            _ => Vec::new(),
        }
    }

    fn stop(&self, running: &Status) -> Option<Step<Action>> {
        let before = self::running(running);
        (!before.is_empty()).then(|| action::Apps { apps: Vec::new(), before, check: None }.step())
    }

    fn start_again(&self, running: &Status) -> Option<Step<Action>> {
        let apps = self::running(running);
        (!apps.is_empty()).then(|| action::Apps { apps, before: Vec::new(), check: None }.step())
    }
}

/// The steps that stop and start one app that runs. `part`: the name of its part, or its id.
pub(crate) fn restarting(part: &str, running: &Status) -> Option<Vec<Step<Action>>> {
    let app = running.app(app_of(part).or_else(|| app_of(&part_of(part)).map(|_| part))?)?.spec.clone();
    let stop = action::Apps { apps: Vec::new(), before: vec![app.clone()], check: None }.step();
    let start =
        action::Apps { apps: vec![app], before: Vec::new(), check: Some(Check { ping: false }) }.step();
    Some(vec![stop, start])
}

/// The apps that run.
fn running(status: &Status) -> Vec<AppSpec> {
    status.apps().map(|app| app.spec.clone()).collect()
}

/// What runs and shall not run so, and what shall run and does not run so.
fn differing(before: &[AppSpec], wanted: &[AppSpec]) -> (Vec<AppSpec>, Vec<AppSpec>) {
    let beside = |ours: &[AppSpec], others: &[AppSpec]| {
        ours.iter().filter(|app| !others.contains(app)).cloned().collect::<Vec<_>>()
    };
    (beside(before, wanted), beside(wanted, before))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(id: &str, version: &str) -> AppSpec {
        AppSpec {
            app_id: id.into(),
            version: version.into(),
            key: version.into(),
            listen: ([127, 0, 0, 1], 8090).into(),
            from: Vec::new(),
            root_url: None,
            memory: 512,
            timeout: 30,
            concurrency: 4,
        }
    }

    #[test]
    fn only_what_differs_is_changed() {
        let (old, new, other) = (app("com.a", "1"), app("com.a", "2"), app("com.b", "1"));
        let (gone, fresh) = differing(&[old.clone(), other.clone()], &[new.clone(), other.clone()]);
        assert_eq!((gone, fresh), (vec![old], vec![new]));
        assert_eq!(
            differing(std::slice::from_ref(&other), std::slice::from_ref(&other)),
            (Vec::new(), Vec::new())
        );
    }
}

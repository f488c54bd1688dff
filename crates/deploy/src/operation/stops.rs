//! The stops of an upgrade's way as one plan: the steps of each as if the stop before it stood, one after the other.
//!
//! Everything is fetched before anybody waits. Each stop ends in a checkpoint: it is proven, people are let in, and a failure later on goes
//! back to it and no further. All or nothing, people wait from the first stop to the end, and whatever fails goes back to the beginning.

use std::collections::BTreeMap;

use plan::{Step, Undo};
use release::{Origin, ReleaseId};

use crate::action::{Action, BeforeRemoval, Hold, KeepState, Switch};
use crate::control::protocol::{PartStatus, ServerSpec};
use crate::part::configuration::ConfigChange;
use crate::part::{Observed, View, converging};
use crate::place::layout::Layout;
use crate::state::settled::Settled;

/// A release on the way.
pub(super) struct Stop {
    pub settled: Settled,
    pub observed: Observed,
    pub origin: Origin,
    /// Why not the end of the way at once; empty at its end.
    pub why: String,
}

impl Stop {
    /// Its steps.
    pub(super) fn steps(&self, layout: &Layout) -> Vec<Step<Action>> {
        let Self { settled, observed, origin, .. } = self;
        converging(&View { layout, settled, observed, creation: None, origin })
    }
}

/// What is there once the stop before is proven, seen from what was there before it.
pub(super) fn after(mut observed: Observed, before: &Stop, layout: &Layout) -> Observed {
    let release = before.settled.release.clone();
    observed.release.installed.push(release.clone());
    observed.release.current = Some(release);
    observed.release.other_build = false;
    // Those are this way's own by then.
    observed.release.kept.clear();
    observed.directory.missing.clear();
    observed.directory.of_others.clear();
    observed.directory.denied.clear();
    observed.directory.exposed.clear();
    observed.handover = None;
    // What the stop before has written into it is not known yet.
    observed.config = ConfigChange::Changes;
    observed.server.healthy = true;
    let started = before.steps(layout).into_iter().find_map(|step| match step.action {
        Action::Server(server) if server.switch == Switch::On => Some(server.spec),
        _ => None,
    });
    if let Some(spec) = started {
        runs(&mut observed, &spec);
    }
    observed
}

/// Another server runs.
fn runs(observed: &mut Observed, spec: &ServerSpec) {
    let parts = observed.agent.iter_mut().flat_map(|agent| agent.parts.values_mut());
    for part in parts {
        if let PartStatus::Server(server) = part {
            server.spec = spec.clone();
        }
    }
}

/// Whether more than one stop can be planned at once: what runs now tells how the later ones run.
pub(super) fn can_go_on(observed: &Observed) -> bool {
    let agent = observed.agent.as_ref();
    agent.is_some_and(|agent| agent.server().is_some() && agent.edge().is_some())
}

/// The steps of the whole way.
pub(super) fn in_one(stops: Vec<Vec<Step<Action>>>, all_or_nothing: bool) -> Vec<Step<Action>> {
    let last = stops.len().saturating_sub(1);
    if last == 0 {
        return stops.into_iter().flatten().collect();
    }
    let (mut fetched, mut steps, mut kept) = (Vec::new(), Vec::new(), None);
    for (at, of_stop) in stops.into_iter().enumerate() {
        let numbered = |step: Step<Action>| match at {
            0 => step,
            _ => Step { name: format!("{}-{}", step.name, at + 1), ..step },
        };
        for mut step in of_stop.into_iter().map(numbered) {
            match &step.action {
                Action::Fetching(_) => fetched.push(step),
                // What the first stop does for the whole deployment.
                Action::Identity(_) | Action::Unit(_) if at > 0 => {}
                _ if all_or_nothing => steps.extend(in_one_hold(step, at, last, &mut kept)),
                _ => {
                    step.checkpoint = at < last && Hold::admits(&step);
                    steps.push(step);
                }
            }
        }
        if !all_or_nothing && at < last {
            steps.push(numbered(BeforeRemoval {}.step()));
        }
    }
    fetched.extend(steps);
    fetched
}

/// The same for a way that is undone as a whole: what the first stop keeps is for all of them. `kept` is its state for `rollback`.
fn in_one_hold(
    mut step: Step<Action>,
    at: usize,
    last: usize,
    kept: &mut Option<Step<Action>>,
) -> Option<Step<Action>> {
    match &mut step.action {
        Action::Hold(hold) if hold.on => (at == 0).then_some(step),
        Action::Hold(_) => (at == last).then_some(step),
        // Whether one release changes nothing says nothing of the others.
        Action::Pending(_) => None,
        Action::KeptCopy(_) | Action::KeptDump(_) | Action::Postgres(_) => (at == 0).then_some(step),
        Action::KeepState(state) => {
            if at == 0 {
                *kept = Some(step);
                return None;
            }
            if at < last {
                return None;
            }
            let next = state.next.clone();
            let mut first = kept.take()?;
            if let Action::KeepState(state) = &mut first.action {
                *state = KeepState { next, ..state.clone() };
            }
            Some(first)
        }
        Action::Database(database) if at > 0 => {
            database.dumped = false;
            step.undo = Undo::by("Leave it to what the first stop kept");
            Some(step)
        }
        _ => Some(step),
    }
}

/// The releases of the way, for people.
pub(super) fn names(stops: &[Stop]) -> Vec<&ReleaseId> {
    stops.iter().map(|stop| &stop.settled.release).collect()
}

/// Which stop each checkpoint of a plan is, by the name of the step.
pub(super) fn checkpoints(steps: &[Step<Action>]) -> BTreeMap<String, ReleaseId> {
    let mut current = None;
    let mut found = BTreeMap::new();
    for step in steps {
        match &step.action {
            Action::Activation(activation) => current = Some(activation.release.clone()),
            _ if step.checkpoint => found.extend(current.clone().map(|release| (step.name.clone(), release))),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::up::tests::{finished, settled};

    fn stop(release: &str, observed: Observed) -> Stop {
        let release = release.parse().expect("a release");
        let settled = Settled { release, ..settled(false, Some(settings::Wanted::default())) };
        Stop { settled, observed, origin: Origin::File { path: "a.tar".into() }, why: String::new() }
    }

    fn way(all_or_nothing: bool) -> Vec<Step<Action>> {
        let layout = Layout::new("/srv/chat");
        let first = stop("11.7.0-team", finished());
        let second = stop("11.8.0-team", after(finished(), &first, &layout));
        in_one(vec![first.steps(&layout), second.steps(&layout)], all_or_nothing)
    }

    #[test]
    fn each_stop_is_proven_and_stays() {
        let steps = way(false);
        let names: Vec<&str> = steps.iter().map(|step| step.name.as_str()).collect();
        let of_stop = |end: &str| {
            [
                "release",
                "pending",
                "hold",
                "stop-server",
                "copy",
                "count",
                "migration",
                "activation",
                "server",
            ]
            .into_iter()
            .chain(["administrator", "acceptance", "compare", "keep-state", "admit"])
            .map(|name| format!("{name}{end}"))
            .collect::<Vec<_>>()
        };
        let without_config = names
            .iter()
            .filter(|name| !["mainstay-toml", "configuration"].contains(&name.trim_end_matches("-2")));
        let expected = [of_stop(""), vec!["forget-before".to_owned()], of_stop("-2")].concat();
        assert_eq!(without_config.copied().collect::<Vec<_>>(), expected);
        let kept: Vec<&str> =
            steps.iter().filter(|step| step.checkpoint).map(|step| step.name.as_str()).collect();
        assert_eq!(kept, ["admit"], "the last stop is the end of the plan");
        assert_eq!(checkpoints(&steps)["admit"].to_string(), "11.7.0-team");
        let befores: Vec<String> = steps
            .iter()
            .filter_map(|step| match &step.action {
                Action::Activation(activation) => activation.before.as_ref().map(ToString::to_string),
                _ => None,
            })
            .collect();
        assert_eq!(befores, [release::builtin().to_string(), "11.7.0-team".to_owned()]);
        plan::Plan::new("upgrade", "Upgrade", steps).check().expect("a plan the engine takes");
    }

    #[test]
    fn all_or_nothing_people_wait_once_and_one_copy_is_kept() {
        let steps = way(true);
        let count = |name: &str| steps.iter().filter(|step| step.name.trim_end_matches("-2") == name).count();
        for (name, times) in [
            ("hold", 1),
            ("copy", 1),
            ("keep-state", 1),
            ("admit", 1),
            ("pending", 0),
            ("stop-server", 2),
            ("migration", 2),
            ("acceptance", 2),
            ("forget-before", 0),
        ] {
            assert_eq!(count(name), times, "{name}");
        }
        assert!(!steps.iter().any(|step| step.checkpoint));
        let kept = steps.iter().find_map(|step| match &step.action {
            Action::KeepState(state) => Some((state.release.to_string(), state.next.to_string())),
            _ => None,
        });
        assert_eq!(kept, Some((release::builtin().to_string(), "11.8.0-team".to_owned())));
        plan::Plan::new("upgrade", "Upgrade", steps).check().expect("a plan the engine takes");
    }
}

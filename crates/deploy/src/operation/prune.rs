//! `release prune`: releases that are neither active nor needed to go back are deleted.

use plan::{Journal, Plan};
use release::ReleaseId;
use serde::Serialize;

use super::runner::{Looking, Operation};
use super::verify::refuse_not_installed;
use crate::action::{Action, Pruning};
use crate::error::{Error, Exit};
use crate::place::ground::ground;
use crate::state::returning::kept_names;
use crate::state::words::PRUNE_RELEASES;
use crate::world::World;

/// How many runs are looked at for the release before the active one.
const RUNS: u32 = 200;

/// Deletes unpacked releases.
#[derive(Debug, Clone)]
pub struct Prune {
    /// How many to keep beside the active one, the newest first. The one that was active before counts first.
    pub keep: usize,
    /// Whether what upgrades have kept for `rollback` goes, too.
    pub gives_up_rollback: bool,
}

/// What it decides from.
pub struct Seen {
    installed: Vec<ReleaseId>,
    current: ReleaseId,
    /// The release that was active before: what a way back needs.
    before: Option<ReleaseId>,
    /// Those of which the state is kept for `rollback`.
    states: Vec<ReleaseId>,
}

/// What it came to.
#[derive(Debug, Clone, Serialize)]
pub struct Pruned {
    /// What is gone.
    pub removed: Vec<String>,
    /// What is kept.
    pub kept: Vec<String>,
    /// Of which releases the state that was kept for `rollback` is gone.
    pub given_up: Vec<String>,
}

impl Operation for Prune {
    const NAME: &'static str = PRUNE_RELEASES;
    type Seen = Seen;
    type Report = Pruned;

    async fn look(&self, world: &World, _: Looking<'_>) -> Result<Seen, Error> {
        let layout = &world.layout;
        ground(layout)?;
        if layout.place().image_decides_release() {
            return Err(Error::new(Exit::Refused, "in a container the image decides the release")
                .hint("there is one release in an image, and it is needed"));
        }
        refuse_not_installed(layout)?;
        let current = release::current(&layout.current());
        let current =
            current.ok_or_else(|| Error::not_ready("the link to the active release leads to none"))?;
        let before = before(world, &current).await?;
        let (installed, states) = (release::installed(&layout.releases())?, kept_names(layout));
        Ok(Seen { installed, current, before, states })
    }

    fn plan(&self, world: &World, seen: &Seen) -> Result<Plan<Action>, Error> {
        let (unneeded, _) = split(seen, self.keep);
        let states = if self.gives_up_rollback { seen.states.clone() } else { Vec::new() };
        let is_nothing = unneeded.is_empty() && states.is_empty();
        let steps = if is_nothing { Vec::new() } else { vec![Pruning::of(unneeded, states).step()] };
        Ok(Plan::new(Self::NAME, format!("Delete releases in {}", world.layout.releases().display()), steps))
    }

    async fn report(&self, world: &World, seen: Seen, _: bool) -> Result<Pruned, Error> {
        host::disk::remove_tree(&world.layout.unneeded())?;
        let (removed, kept) = split(&seen, self.keep);
        let names = |ids: Vec<ReleaseId>| ids.iter().map(ToString::to_string).collect();
        let given_up = if self.gives_up_rollback { names(seen.states) } else { Vec::new() };
        Ok(Pruned { removed: names(removed), kept: names(kept), given_up })
    }
}

/// What is not needed, and what is kept.
fn split(seen: &Seen, keep: usize) -> (Vec<ReleaseId>, Vec<ReleaseId>) {
    let needed =
        |id: &ReleaseId| *id == seen.current || Some(id) == seen.before.as_ref() || seen.states.contains(id);
    let beside = usize::from(seen.before.as_ref().is_some_and(|before| seen.installed.contains(before)));
    let others = seen.installed.iter().rev().filter(|id| !needed(id));
    let newest: Vec<&ReleaseId> = others.take(keep.saturating_sub(beside)).collect();
    seen.installed.iter().cloned().partition(|id| !needed(id) && !newest.contains(&id))
}

/// The release that was active before `current`, as the journal says.
async fn before(world: &World, current: &ReleaseId) -> Result<Option<ReleaseId>, Error> {
    if !world.layout.journal().exists() {
        return Ok(None);
    }
    let runs = Journal::open_read_only(&world.layout.journal()).await?.runs(RUNS).await?;
    let steps = runs.into_iter().flat_map(|run| run.plan.steps.into_iter().rev());
    let mut activations = steps.map(|step| step.action).filter(|action| action["action"] == "activation");
    let current = current.to_string();
    let made_current = activations.find(|action| action["release"] == *current);
    Ok(made_current.and_then(|action| action["before"].as_str()?.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_active_and_what_was_before_stay() {
        let ids = |names: &[&str]| -> Vec<ReleaseId> {
            names.iter().map(|name| name.parse().expect("a release")).collect()
        };
        let all = ids(&["11.6.0-team", "11.7.1-team", "11.7.3-team", "11.7.15-team"]);
        let removed = |current: &str, before: Option<&str>, keep| {
            let parse = |name: &str| name.parse().expect("a release");
            let seen = Seen {
                installed: all.clone(),
                current: parse(current),
                before: before.map(parse),
                states: Vec::new(),
            };
            split(&seen, keep).0
        };
        assert_eq!(removed("11.7.15-team", Some("11.6.0-team"), 1), ids(&["11.7.1-team", "11.7.3-team"]));
        assert_eq!(removed("11.7.15-team", Some("11.6.0-team"), 0), ids(&["11.7.1-team", "11.7.3-team"]));
        assert_eq!(removed("11.7.15-team", Some("11.6.0-team"), 2), ids(&["11.7.1-team"]));
        assert_eq!(removed("11.7.15-team", None, 1), ids(&["11.6.0-team", "11.7.1-team"]));
        // After a way back the newest one is not the active one.
        assert_eq!(removed("11.7.1-team", Some("11.7.15-team"), 1), ids(&["11.6.0-team", "11.7.3-team"]));
        assert_eq!(removed("11.7.15-team", None, 9), []);
    }
}

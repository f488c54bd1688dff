//! `backup prune`: snapshots that no rule keeps are removed, and the space of what no snapshot needs is freed.

use backup::{Keep, Retained};
use plan::Plan;
use serde::Serialize;
use serde_json::Value;

use crate::action::{Action, FREED, Forgetting, Freeing};
use crate::error::{Error, Exit};
use crate::operation::runner::{Looking, Operation};
use crate::operation::verify::refuse_not_installed;
use crate::place::layout::FILE_LIMIT;
use crate::state::backups::access::{Access, Elsewhere, apart, told};
use crate::state::words::PRUNE_BACKUPS;
use crate::world::World;

/// Why it needs no snapshot of its own.
const NO_SNAPSHOT: &str = "what is removed are snapshots; the newest always stays";

/// Removes snapshots.
#[derive(Debug, Clone, Default)]
pub struct PruneBackups {
    /// Which are kept; `None` = what the settings say.
    pub keep: Option<Keep>,
    /// Whether what somebody may be reading is freed, too.
    pub at_once: bool,
    /// Whether there is nothing to do where all snapshots are kept.
    pub only_if_needed: bool,
    /// Whether a lock that another host left in the repository is taken over.
    pub takes_over: bool,
}

/// What it decides from.
pub struct Seen {
    location: String,
    retained: Vec<Retained>,
}

/// What it came to.
#[derive(Debug, Clone, Serialize)]
pub struct PrunedBackups {
    /// Where the repository is.
    pub location: String,
    /// The snapshots that are gone, in full.
    pub removed: Vec<String>,
    /// Those that are kept, and why.
    pub kept: Vec<(String, Vec<String>)>,
    /// Bytes that were freed.
    pub freed: u64,
    /// Bytes that a later `prune` frees, when nobody can be reading them any more.
    pub later: u64,
}

impl Seen {
    fn removed(&self) -> Vec<String> {
        let gone = self.retained.iter().filter(|one| one.reasons.is_empty());
        gone.map(|one| one.snapshot.id.clone()).collect()
    }
}

impl Operation for PruneBackups {
    const NAME: &'static str = PRUNE_BACKUPS;
    type Seen = Seen;
    type Report = PrunedBackups;

    async fn look(&self, world: &World, _: Looking<'_>) -> Result<Seen, Error> {
        refuse_not_installed(&world.layout)?;
        let (this, world) = (self.clone(), world.clone());
        apart(move || {
            let access = Access::of(&world, &Elsewhere::default())?;
            let keep = this.keep.or(access.choice.keep).ok_or_else(|| {
                Error::new(Exit::Usage, "nothing says which snapshots are kept").hint(
                    "say it in `[backup]` of mainstay.toml, as in `keep_daily = 7`, or here, as in `--keep-daily 7`",
                )
            })?;
            let repository = access.open()?;
            repository.check_free(this.takes_over).map_err(told)?;
            let retained = repository.retained(&keep).map_err(told)?;
            Ok(Seen { location: access.location(), retained })
        })
        .await
    }

    fn plan(&self, _: &World, seen: &Seen) -> Result<Plan<Action>, Error> {
        let (removed, takes_over) = (seen.removed(), self.takes_over);
        let mut steps = Vec::new();
        if !removed.is_empty() {
            steps.push(Forgetting { snapshots: removed, takes_over }.step());
        }
        if !steps.is_empty() || !self.only_if_needed {
            steps.push(Freeing { at_once: self.at_once, takes_over }.step());
        }
        let removes = steps.len() > 1;
        let plan = Plan::new(Self::NAME, format!("Thin out the backups in {}", seen.location), steps);
        Ok(if removes { plan.without_snapshot(NO_SNAPSHOT) } else { plan })
    }

    async fn report(&self, world: &World, seen: Seen, changed: bool) -> Result<PrunedBackups, Error> {
        let removed = seen.removed();
        let kept = seen.retained.into_iter().filter(|one| !one.reasons.is_empty());
        let kept = kept.map(|one| (one.snapshot.id, one.reasons)).collect();
        let report = if changed {
            let text = host::disk::read_named(&world.layout.run().join(FREED), FILE_LIMIT);
            text.ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
        } else {
            Value::Null
        };
        if let Some(failure) = report["failure"].as_str() {
            let count = removed.len();
            return Err(Error::not_ready(format!(
                "{count} snapshots were removed, and the space of what no snapshot needs could not be freed: {failure}"
            ))
            .hint("`mainstay backup prune` frees it; no snapshot that is kept has lost anything"));
        }
        let number = |key: &str| report[key].as_u64().unwrap_or(0);
        Ok(PrunedBackups {
            location: seen.location,
            removed,
            kept,
            freed: number("freed"),
            later: number("later"),
        })
    }

    fn remarks(&self, seen: &Seen) -> Vec<String> {
        let kept = seen.retained.iter().filter(|one| !one.reasons.is_empty());
        let line = |one: &Retained| {
            let time = one.snapshot.time.round(jiff::Unit::Second).unwrap_or(one.snapshot.time);
            format!("{} of {time} stays: {}", &one.snapshot.id[..8], one.reasons.join(", "))
        };
        kept.map(line).collect()
    }

    /// It is what makes room.
    fn works_on_a_full_disk(&self) -> bool {
        true
    }

    fn may_follow_another_build(&self) -> bool {
        true
    }
}

//! `backup prune`: snapshots that no rule keeps are removed, and the space of what no snapshot needs is freed.

use backup::{Keep, Retained};
use plan::Plan;
use serde::Serialize;
use serde_json::Value;

use crate::action::{Action, FREED, Forgetting, Freeing, RepositoryLock};
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

/// Why a snapshot is kept, as people say it.
fn in_words(reason: &str) -> &str {
    match reason {
        "last" => "it is one of the newest",
        "daily" => "the newest of its day",
        "weekly" => "the newest of its week",
        "monthly" => "the newest of its month",
        "yearly" => "the newest of its year",
        other => other,
    }
}

/// Refuses counts that keep no snapshot at all: somebody who says so means something else.
fn refuse_nothing_kept(keep: &Keep) -> Result<(), Error> {
    let counts = [keep.last, keep.daily, keep.weekly, keep.monthly, keep.yearly];
    if counts.into_iter().flatten().any(|count| count > 0) {
        return Ok(());
    }
    Err(Error::new(Exit::Usage, "the rule keeps no snapshot: every count is 0").hint(
        "say how many are kept, as in `--keep-last 1` or `keep_daily = 7` in `[backup]` of mainstay.toml; the newest always stays",
    ))
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
            refuse_nothing_kept(&keep)?;
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
        let removes = !removed.is_empty();
        if removes || !self.only_if_needed {
            // A place that refuses is told before anything is removed.
            steps.push(RepositoryLock { location: seen.location.clone(), takes_over }.step());
        }
        if removes {
            steps.push(Forgetting { snapshots: removed, takes_over }.step());
        }
        if !steps.is_empty() {
            steps.push(Freeing { at_once: self.at_once, takes_over }.step());
        }
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
            let removed = finding::counted(removed.len(), "snapshot", "snapshots");
            return Err(Error::not_ready(format!(
                "{removed} removed, and the space of what no snapshot needs could not be freed: {failure}"
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
            let (id, time) = (&one.snapshot.id[..8], finding::moment(one.snapshot.time));
            let reasons: Vec<&str> = one.reasons.iter().map(|reason| in_words(reason)).collect();
            format!("{id} of {time} stays: {}", reasons.join(", "))
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

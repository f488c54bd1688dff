//! `backup repair`: a repository that has lost parts is made fit for new snapshots, and the snapshots that have lost data are named.

use backup::Silent;
use plan::Plan;
use serde::Serialize;

use crate::action::{Action, MENDED, Mended, Mending, RepositoryLock};
use crate::error::{Error, Exit};
use crate::operation::runner::{Looking, Operation};
use crate::operation::verify::refuse_not_installed;
use crate::place::layout::FILE_LIMIT;
use crate::state::backups::access::{Access, Elsewhere, apart, told};
use crate::state::words::REPAIR_BACKUPS;
use crate::world::World;

/// Why it needs no snapshot of its own.
const NO_SNAPSHOT: &str = "what is removed has lost data already";

/// Makes the repository fit for new snapshots.
#[derive(Debug, Clone, Copy, Default)]
pub struct RepairBackups {
    /// Whether every pack is read.
    pub reads_all: bool,
    /// Whether the snapshots that have lost data are removed.
    pub forgets: bool,
    /// Whether a lock that another host left in the repository is taken over.
    pub takes_over: bool,
}

/// What it decides from.
pub struct Seen {
    location: String,
    /// What is wrong, in words.
    damage: Vec<String>,
    /// Snapshots that an earlier repair found to have lost data.
    damaged: usize,
    bytes: u64,
}

/// What it came to.
#[derive(Debug, Clone, Serialize)]
pub struct RepairedBackups {
    /// Where the repository is.
    pub location: String,
    /// Whether anything was repaired or removed.
    pub changed: bool,
    /// What was done.
    #[serde(flatten)]
    pub mended: Mended,
}

impl Operation for RepairBackups {
    const NAME: &'static str = REPAIR_BACKUPS;
    type Seen = Seen;
    type Report = RepairedBackups;

    async fn look(&self, world: &World, _: Looking<'_>) -> Result<Seen, Error> {
        refuse_not_installed(&world.layout)?;
        let (this, world) = (*self, world.clone());
        apart(move || {
            let access = Access::of(&world, &Elsewhere::default())?;
            let repository = access.open()?;
            repository.check_free(this.takes_over).map_err(told)?;
            let percent = if this.reads_all { 100 } else { 0 };
            let checked = repository.check(percent, &Silent).map_err(told)?;
            let damage: Vec<String> =
                checked.faults.into_iter().filter(|fault| fault.serious).map(|fault| fault.text).collect();
            // What cannot be listed is damaged itself.
            let all = repository.snapshots().unwrap_or_default();
            let bytes = if this.reads_all { all.iter().map(|one| one.added).sum() } else { 0 };
            let damaged = all.iter().filter(|one| one.damaged).count();
            Ok(Seen { location: access.location(), damage, damaged, bytes })
        })
        .await
    }

    fn plan(&self, _: &World, seen: &Seen) -> Result<Plan<Action>, Error> {
        let Self { reads_all, forgets, takes_over } = *self;
        let title = format!("Repair the backups in {}", seen.location);
        if seen.damage.is_empty() && !(forgets && seen.damaged > 0) {
            return Ok(Plan::new(Self::NAME, title, Vec::new()));
        }
        let location = seen.location.clone();
        let steps = vec![
            RepositoryLock { location: location.clone(), takes_over }.step(),
            Mending { location, reads_all, forgets, takes_over }.step(1000 + seen.bytes / 100_000),
        ];
        let plan = Plan::new(Self::NAME, title, steps);
        Ok(if forgets { plan.without_snapshot(NO_SNAPSHOT) } else { plan })
    }

    async fn report(&self, world: &World, seen: Seen, changed: bool) -> Result<RepairedBackups, Error> {
        let mut mended = Mended::default();
        if changed {
            let text = host::disk::read_named(&world.layout.run().join(MENDED), FILE_LIMIT);
            let read = text.ok().and_then(|text| serde_json::from_slice(&text).ok());
            mended =
                read.ok_or_else(|| Error::new(Exit::Bug, "what the repair came to is not written down"))?;
        }
        Ok(RepairedBackups { location: seen.location, changed, mended })
    }

    fn remarks(&self, seen: &Seen) -> Vec<String> {
        const SHOWN: usize = 20;
        let more = seen.damage.len().saturating_sub(SHOWN);
        let more = (more > 0).then(|| format!("and {more} more"));
        seen.damage.iter().take(SHOWN).cloned().chain(more).collect()
    }

    fn may_follow_another_build(&self) -> bool {
        true
    }
}

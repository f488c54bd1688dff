//! Which snapshots are kept, and the space of the others.
use std::sync::Arc;

use jiff::{Span, Zoned};
use rustic_core::repofile::SnapshotFile;
use rustic_core::{KeepOptions, LimitOption, PruneOptions};
use serde::{Deserialize, Serialize};

use super::snapshot::is_damaged;
use super::{Repository, Snapshot};
use crate::error::Error;
use crate::lock::Writer;
use crate::watch::Watch;

/// How many snapshots are kept of each kind: the newest of each day, week, month, year. `None`: none of this kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Keep {
    /// The newest.
    pub last: Option<u16>,
    /// Days.
    pub daily: Option<u16>,
    /// Weeks.
    pub weekly: Option<u16>,
    /// Months.
    pub monthly: Option<u16>,
    /// Years.
    pub yearly: Option<u16>,
}

/// Why a snapshot is kept that no rule is for.
const OTHERS: &str = "not of this deployment";
/// The same for one that has lost data: no rule counts it, so that it takes the place of none that is whole.
const LOST_DATA: &str = "it has lost data, and may be all that is left";

impl Keep {
    /// Whether it keeps nothing at all.
    pub fn is_empty(&self) -> bool {
        *self == Keep::default()
    }
}

/// A snapshot and what becomes of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Retained {
    /// Which.
    pub snapshot: Snapshot,
    /// Why it is kept (`daily`, `last`, ...); empty: it is removed.
    pub reasons: Vec<String>,
}

/// What pruning came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Bytes that were freed now.
    pub freed: u64,
    /// Bytes that the next pruning frees, a day from now at the earliest: somebody may be restoring from them.
    pub later: u64,
}

impl Repository {
    /// What a rule would do. The newest snapshot is always kept, and so is what names another deployment, or none.
    ///
    /// # Errors
    /// The place refuses; the repository is damaged.
    pub fn retained(&self, keep: &Keep) -> Result<Vec<Retained>, Error> {
        let number = |count: Option<u16>| count.map(i32::from);
        let options = KeepOptions::default()
            .keep_last(Some(i32::from(keep.last.unwrap_or(0).max(1))))
            .keep_daily(number(keep.daily))
            .keep_weekly(number(keep.weekly))
            .keep_monthly(number(keep.monthly))
            .keep_yearly(number(keep.yearly));
        let all = self.complete_ones()?;
        let (own, others): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|file| self.deployment.is_none() || self.is_own(file));
        let (damaged, own): (Vec<_>, Vec<_>) = own.into_iter().partition(is_damaged);
        let kept = |file: &SnapshotFile, why: &str| Retained {
            snapshot: Snapshot::of(file),
            reasons: vec![why.to_owned()],
        };
        let others: Vec<_> = (others.iter().map(|file| kept(file, OTHERS)))
            .chain(damaged.iter().map(|file| kept(file, LOST_DATA)))
            .collect();
        let judged = options.apply(own, &Zoned::now()).map_err(|error| self.fail(&error))?;
        let snapshots = self.snapshots()?;
        let find = |id: &str| snapshots.iter().find(|snapshot| snapshot.id == id).cloned();
        let judged = judged.into_iter().filter_map(|judged| {
            let snapshot = find(judged.snapshot.id.to_hex().as_str())?;
            let reasons = if judged.keep { judged.reasons } else { Vec::new() };
            Some(Retained { snapshot, reasons })
        });
        Ok(judged.chain(others).collect())
    }

    /// Removes snapshots by their ids. Their data stays until [`Repository::prune`].
    ///
    /// # Errors
    /// There is no such snapshot; the place refuses.
    pub fn forget(&self, writer: &Writer, ids: &[String]) -> Result<(), Error> {
        let files =
            ids.iter().map(|id| self.file_of(id).map(|file| file.id)).collect::<Result<Vec<_>, _>>()?;
        writer.assert_held()?;
        self.engine(Arc::new(crate::watch::Silent))?
            .delete_snapshots(&files)
            .map_err(|error| self.fail(&error))
    }

    /// Removes the data that no snapshot needs. `at_once` also what somebody may still be reading: for a full disk, when nobody
    /// else uses the repository.
    ///
    /// # Errors
    /// The place refuses; the repository is damaged. Whatever happens, no snapshot loses data.
    pub fn prune(&self, writer: &Writer, at_once: bool, watch: &Arc<dyn Watch>) -> Result<Pruned, Error> {
        self.remove_incomplete(writer)?;
        let engine = self.engine(Arc::clone(watch))?;
        let options = PruneOptions::default()
            .instant_delete(at_once)
            .keep_pack(Span::new())
            .max_repack(LimitOption::Unlimited);
        let plan = engine.prune_plan(&options).map_err(|error| self.fail(&error))?;
        let (sizes, marked) = (plan.stats.size_sum(), plan.stats.size_to_delete);
        let unneeded = sizes.remove + sizes.repackrm + plan.stats.size_unref + marked.keep;
        let pruned = if at_once {
            Pruned { freed: marked.remove + unneeded, later: 0 }
        } else {
            Pruned { freed: marked.remove, later: unneeded }
        };
        writer.assert_held()?;
        engine.prune(&options, plan).map_err(|error| self.fail(&error))?;
        Ok(pruned)
    }
}

//! A repository that has lost parts is made fit for new snapshots again.
//!
//! What an index names counts as kept and is not written again, so nothing may name what is gone. The indexes are written anew from the
//! packs that are there; the next snapshot then reads again whatever no pack has. A snapshot that has lost data stays, for what is left
//! of it, with a tag: it is neither `latest` nor counted by retention nor restored as a whole.
use std::sync::Arc;

use rustic_core::repofile::SnapshotFile;
use rustic_core::{LsOptions, RepairIndexOptions, RepairSnapshotsOptions};

use super::snapshot::{is_damaged, of_ours};
use super::{DAMAGED, Repository, Snapshot};
use crate::error::Error;
use crate::lock::Writer;
use crate::watch::{Silent, Watch};

/// Where damaged files of the repository are moved to: restic and the engine look at no folder of this name.
const ASIDE: &str = "damaged";
/// What the name of a file ends with that has lost parts of its content.
const CUT: &str = ".damaged";

/// What a repair did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repaired {
    /// Packs that the indexes named, and that are gone.
    pub missing: Vec<String>,
    /// Files that were not what was written. Each is below `damaged` now.
    pub set_aside: Vec<String>,
    /// The snapshots that have lost data.
    pub lost: Vec<Lost>,
    /// Snapshots that have lost nothing.
    pub whole: usize,
}

/// A snapshot that has lost data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// The id that it had, in full.
    pub was: String,
    /// The id of what is left of it; `None` = nothing is.
    pub id: Option<String>,
    /// When it was taken.
    pub time: jiff::Timestamp,
    /// Files that it had.
    pub had: u64,
    /// Files of it that are whole.
    pub left: u64,
}

impl Repository {
    /// Makes the indexes name what is there, and marks the snapshots that have lost data. `reads_all` reads every pack, so that one whose
    /// content has changed is found, too. Safe to end anywhere, and to run again.
    ///
    /// # Errors
    /// The place refuses; somebody else took the lock; it was cancelled.
    pub fn repair(&self, writer: &Writer, reads_all: bool, watch: &dyn Watch) -> Result<Repaired, Error> {
        let mut repaired = Repaired::default();
        for folder in ["index", "snapshots"] {
            for entry in self.store.list(folder)? {
                if self.flaw(&entry)?.is_some() {
                    self.set_aside(writer, &entry.name, &mut repaired)?;
                }
            }
        }
        let flaws = self.packs()?.flaws;
        for cut in flaws.iter().filter(|flaw| flaw.serious && flaw.is_there) {
            self.set_aside(writer, &cut.name, &mut repaired)?;
        }
        let missing = flaws.into_iter().filter(|flaw| flaw.serious && !flaw.is_there);
        repaired.missing = missing.map(|flaw| flaw.name).collect();
        if reads_all {
            for (name, _) in self.read_packs(&self.store.list("data")?, watch)? {
                self.set_aside(writer, &name, &mut repaired)?;
            }
        }
        writer.assert_held()?;
        let engine = self.engine(Arc::new(Silent))?;
        engine.repair_index(&RepairIndexOptions::default(), false).map_err(|error| self.fail(&error))?;
        drop(engine);
        self.mark_lost(writer, &mut repaired)?;
        repaired.lost.sort_by_key(|lost| lost.time);
        Ok(repaired)
    }

    /// Moves a file of the repository to where nothing of the repository is looked for. A kill leaves it in both places, or in one.
    fn set_aside(&self, writer: &Writer, name: &str, repaired: &mut Repaired) -> Result<(), Error> {
        writer.assert_held()?;
        let content = self.store.read(name)?;
        self.store.write(&format!("{ASIDE}/{name}"), &[content])?;
        self.store.remove(name)?;
        repaired.set_aside.push(name.to_owned());
        Ok(())
    }

    /// Replaces each snapshot that has lost data by what is left of it, with a tag. Its own file is set aside: where its packs are found
    /// again, it can be put back.
    fn mark_lost(&self, writer: &Writer, repaired: &mut Repaired) -> Result<(), Error> {
        let engine = self.indexed()?;
        let all = engine.get_all_snapshots().map_err(|error| self.fail(&error))?;
        for snapshot in all.iter().filter(|snapshot| of_ours(snapshot)) {
            if self.check_tree(&engine, snapshot).is_ok() {
                repaired.whole += usize::from(!is_damaged(snapshot));
                continue;
            }
            writer.assert_held()?;
            let mut tags = snapshot.tags.clone();
            tags.add(DAMAGED.to_owned());
            let options = RepairSnapshotsOptions::default().delete(false).suffix(CUT).tag(vec![tags]);
            engine
                .repair_snapshots(&options, vec![snapshot.clone()], false)
                .map_err(|error| self.fail(&error))?;
            let was = snapshot.id.to_hex().to_string();
            let is_left = |file: &SnapshotFile| {
                file.original == Some(snapshot.original.unwrap_or(snapshot.id)) && file.id != snapshot.id
            };
            // The index that was read at first does not have what was written since.
            let left = self.complete_ones()?.into_iter().find(|file| is_damaged(file) && is_left(file));
            let files = left.as_ref().map_or(Ok(0), |file| self.whole_files(file))?;
            repaired.lost.push(Lost {
                id: left.map(|file| file.id.to_hex().to_string()),
                time: snapshot.time.timestamp(),
                had: Snapshot::of(snapshot).files,
                left: files,
                was: was.clone(),
            });
            let name = format!("snapshots/{was}");
            let content = self.store.read(&name)?;
            self.store.write(&format!("{ASIDE}/{name}"), &[content])?;
            self.store.remove(&name)?;
        }
        Ok(())
    }

    /// How many files of a snapshot that was marked have lost nothing.
    fn whole_files(&self, file: &SnapshotFile) -> Result<u64, Error> {
        let engine = self.indexed()?;
        let root = self.node(&engine, file, "")?;
        let listed = engine.ls(&root, &LsOptions::default()).map_err(|error| self.fail(&error))?;
        let mut whole = 0;
        for item in listed {
            let (path, node) = item.map_err(|error| self.fail(&error))?;
            let is_cut = path.to_string_lossy().ends_with(CUT);
            whole += u64::from(node.is_file() && !is_cut);
        }
        Ok(whole)
    }
}

//! Whether everything that the snapshots need is there, and is what was written.
//!
//! Not by the engine's own check, which panics on damage that it does not expect. Here a file of the repository is right if its
//! SHA-256 is its name: that is how restic names them. What was written had been decrypted and compared before it was written.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use rand::seq::SliceRandom as _;
use rustic_core::repofile::{IndexFile, Node, SnapshotFile};
use rustic_core::{IndexedFullStatus, LsOptions};

use super::Repository;
use super::snapshot::{is_damaged, of_ours};
use crate::error::Error;
use crate::parallel;
use crate::store::Entry;
use crate::watch::{Silent, Watch};

/// How many packs are read at a time.
const AT_A_TIME: usize = 4;
/// No more faults are listed: a repository whose disk is gone has as many as it has files.
const MOST_FAULTS: usize = 100;

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// Complete snapshots that can be read.
    pub snapshots: usize,
    /// Packs that there are, and that were read.
    pub packs: usize,
    /// See [`Checked::packs`].
    pub packs_read: usize,
    /// What is wrong; empty: nothing.
    pub faults: Vec<Fault>,
}

/// Something that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// In words.
    pub text: String,
    /// A snapshot cannot be restored; otherwise space is lost, and nothing else.
    pub serious: bool,
}

/// The packs that are there, against those that the indexes name.
pub(super) struct Packs {
    any: bool,
    pub(super) flaws: Vec<PackFlaw>,
}

/// What is wrong with a pack.
pub(super) struct PackFlaw {
    /// Its name in the store.
    pub(super) name: String,
    text: String,
    /// An index says that snapshots need it.
    pub(super) serious: bool,
    /// It is there: cut, or unknown to the indexes.
    pub(super) is_there: bool,
}

impl Checked {
    /// Whether every snapshot can be restored, as far as was read.
    pub fn is_sound(&self) -> bool {
        !self.faults.iter().any(|fault| fault.serious)
    }

    fn add(&mut self, serious: bool, text: String) {
        if self.faults.len() < MOST_FAULTS {
            self.faults.push(Fault { text, serious });
        }
    }
}

impl Repository {
    /// Looks at keys, indexes and snapshots whole, at all trees, and at the presence and size of all packs; reads `percent` of the
    /// packs, chosen by chance (100: all, so that no flipped bit is missed).
    ///
    /// # Errors
    /// The place refuses; it was cancelled. Damage is no error here: it is in [`Checked`].
    pub fn check(&self, percent: u8, watch: &dyn Watch) -> Result<Checked, Error> {
        let mut checked = Checked::default();
        for folder in ["keys", "index", "snapshots"] {
            for entry in self.store.list(folder)? {
                if let Some(why) = self.flaw(&entry)? {
                    checked.add(true, why);
                }
            }
        }
        // What is damaged already is not given to the engine.
        if checked.is_sound() {
            self.check_structure(&mut checked)?;
        }
        self.check_packs(percent, &mut checked, watch)?;
        Ok(checked)
    }

    /// Refuses to build on what is not there any more: what an index names counts as kept, and would not be written again.
    ///
    /// # Errors
    /// [`Error::Damaged`]; the place refuses.
    pub(super) fn refuse_missing_packs(&self) -> Result<(), Error> {
        let missing = self.packs()?.flaws.into_iter().find(|flaw| flaw.serious);
        match missing {
            Some(flaw) => Err(Error::Damaged { location: self.location(), why: flaw.text }),
            None => Ok(()),
        }
    }

    /// All packs against all indexes.
    pub(super) fn packs(&self) -> Result<Packs, Error> {
        let engine = self.engine(Arc::new(Silent))?;
        let there: BTreeMap<String, u64> =
            self.store.list("data")?.into_iter().map(|entry| (entry.name, entry.size)).collect();
        let (mut known, mut flaws) = (BTreeSet::new(), Vec::new());
        for index in engine.stream_files::<IndexFile>().map_err(|error| self.fail(&error))? {
            let (_, index) = index.map_err(|error| self.fail(&error))?;
            let needed = index.packs.iter().map(|pack| (pack, true));
            let unneeded = index.packs_to_delete.iter().map(|pack| (pack, false));
            for (pack, serious) in needed.chain(unneeded) {
                let (id, size) = (pack.id.to_hex(), u64::from(pack.pack_size()));
                let name = format!("data/{}/{}", &id.as_str()[..2], id.as_str());
                let found = there.get(&name);
                let text = match found {
                    None => Some(format!("{name} is missing")),
                    Some(found) if *found != size => Some(format!("{name} has {found} bytes, not {size}")),
                    Some(_) => None,
                };
                let flaw = |text| PackFlaw { name: name.clone(), text, serious, is_there: found.is_some() };
                flaws.extend(text.map(flaw));
                known.insert(name);
            }
        }
        let unknown = there.keys().filter(|name| !known.contains(*name));
        flaws.extend(unknown.map(|name| {
            let text = format!("{name} belongs to no snapshot; `prune` removes it");
            PackFlaw { name: name.clone(), text, serious: false, is_there: true }
        }));
        Ok(Packs { any: !there.is_empty(), flaws })
    }

    /// What is wrong with the content of a file, if anything is.
    pub(super) fn flaw(&self, entry: &Entry) -> Result<Option<String>, Error> {
        let content = match self.store.read(&entry.name) {
            Ok(content) => content,
            Err(error) if error.is_missing() => return Ok(Some(format!("{} is missing", entry.name))),
            Err(error) => return Err(error.into()),
        };
        let name = entry.name.rsplit('/').next().unwrap_or_default();
        let same = hex::encode(digest(&SHA256, &content)) == name;
        Ok((!same).then(|| format!("{} is not what was written", entry.name)))
    }

    /// Indexes against packs, snapshots against indexes.
    fn check_structure(&self, checked: &mut Checked) -> Result<(), Error> {
        let packs = self.packs()?;
        packs.flaws.into_iter().for_each(|flaw| checked.add(flaw.serious, flaw.text));
        let engine = self.engine(Arc::new(Silent))?;
        let snapshots = engine.get_all_snapshots().map_err(|error| self.fail(&error))?;
        if snapshots.is_empty() && packs.any {
            checked.add(true, "there are packs and no snapshot".to_owned());
        }
        let engine = match engine.to_indexed() {
            Ok(engine) => engine,
            Err(error) => {
                checked.add(true, self.fail(&error).to_string());
                return Ok(());
            }
        };
        for snapshot in snapshots.iter().filter(|snapshot| of_ours(snapshot)) {
            let short = snapshot.id.to_hex().as_str()[..8].to_owned();
            match self.check_tree(&engine, snapshot) {
                Ok(()) if is_damaged(snapshot) => checked.add(
                    false,
                    format!("snapshot {short} has lost data, as `backup repair` found; it is kept for what is left of it"),
                ),
                Ok(()) => checked.snapshots += 1,
                Err(why) => checked.add(true, format!("snapshot {short}: {why}")),
            }
        }
        Ok(())
    }

    /// Whether all trees of a snapshot can be read, and all pieces of its files are in the index.
    pub(super) fn check_tree(
        &self,
        engine: &rustic_core::Repository<IndexedFullStatus>,
        snapshot: &SnapshotFile,
    ) -> Result<(), String> {
        let root = self.node(engine, snapshot, "").map_err(|error| error.to_string())?;
        let listed =
            engine.ls(&root, &LsOptions::default()).map_err(|error| self.fail(&error).to_string())?;
        for item in listed {
            let (path, node): (_, Node) = item.map_err(|error| self.fail(&error).to_string())?;
            let mut size = 0;
            for blob in node.content.iter().flatten() {
                let found = engine.get_index_entry(blob);
                let found = found.map_err(|_| format!("a part of {} is missing", path.display()))?;
                size += u64::from(found.data_length());
            }
            if node.is_file() && size != node.meta.size {
                return Err(format!("{} has parts of {size} bytes, not {}", path.display(), node.meta.size));
            }
        }
        Ok(())
    }

    fn check_packs(&self, percent: u8, checked: &mut Checked, watch: &dyn Watch) -> Result<(), Error> {
        let mut packs = self.store.list("data")?;
        checked.packs = packs.len();
        if percent < 100 {
            packs.shuffle(&mut rand::rng());
            packs.truncate((packs.len() * usize::from(percent)).div_ceil(100));
        }
        checked.packs_read = packs.len();
        for (_, text) in self.read_packs(&packs, watch)? {
            checked.add(true, text);
        }
        Ok(())
    }

    /// Reads packs in full. Those that are not what was written, by name, and what is wrong with each.
    pub(super) fn read_packs(
        &self,
        packs: &[Entry],
        watch: &dyn Watch,
    ) -> Result<Vec<(String, String)>, Error> {
        let found = Mutex::new(Vec::new());
        parallel::for_each(
            AT_A_TIME,
            packs,
            |pack| pack.size,
            watch,
            |pack| {
                if let Some(text) = self.flaw(pack)? {
                    let flaw = (pack.name.clone(), text);
                    found.lock().unwrap_or_else(PoisonError::into_inner).push(flaw);
                }
                Ok(())
            },
        )?;
        Ok(found.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

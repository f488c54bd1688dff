//! A snapshot is written: whole, or not at all.
use std::path::PathBuf;
use std::sync::Arc;

use rustic_core::repofile::{SnapshotFile, StringList};
use rustic_core::{BackupOptions, ParentOptions, SnapshotOptions};

use super::snapshot::{MANIFEST, is_damaged, of_ours};
use super::{INCOMPLETE, OF, OURS, Repository};
use crate::error::Error;
use crate::lock::Writer;
use crate::set::{Content, Set};
use crate::source::{Input, Source, Trail};
use crate::watch::Watch;

/// How often files that change while they are read are read again.
const ATTEMPTS: usize = 5;

/// A snapshot that was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// Its id, in full.
    pub id: String,
    /// Bytes that the repository grew by.
    pub added: u64,
    /// Files that were read, because they are new or have changed.
    pub read: u64,
    /// Files that are as they were in the snapshot before.
    pub unchanged: u64,
    /// Attempts that were needed, because files changed while they were read.
    pub attempts: usize,
}

impl Repository {
    /// Writes a set as a snapshot. The part named [`MANIFEST`] must be among its parts.
    ///
    /// # Errors
    /// A dump failed, a file cannot be read, the place refuses, it was cancelled: then there is no snapshot of it.
    pub fn write(
        &self,
        writer: &Writer,
        set: Set,
        host: &str,
        watch: &Arc<dyn Watch>,
    ) -> Result<Written, Error> {
        self.refuse_missing_packs()?;
        self.remove_incomplete(writer)?;
        let trail = Trail::new(Arc::clone(watch));
        let before =
            self.engine(Arc::clone(watch))?.get_all_snapshots().map_err(|error| self.fail(&error))?;
        // One that has lost folders would be read where they are missing.
        let before = before.into_iter().filter(|file| of_ours(file) && !is_damaged(file));
        let before = before.filter(|file| self.deployment.is_none() || self.is_own(file));
        let before = before.max_by(|one, other| one.time.cmp(&other.time));
        let mut parents: Vec<String> =
            before.iter().map(|snapshot| snapshot.id.to_hex().to_string()).collect();

        let again = set.again();
        let mut inputs: Vec<(String, Input)> =
            set.into_parts().into_iter().map(|part| (part.name, Input::New(part.content))).collect();
        let mut attempt = 1;
        loop {
            let source = Source::new(std::mem::take(&mut inputs), &trail);
            let taken = self.attempt(&source, host, &parents, Arc::clone(watch));
            if let Some(failure) = trail.failure() {
                self.remove_incomplete(writer)?;
                return Err(failure);
            }
            let taken = taken?;
            let changed = trail.take_changed();
            if changed.is_empty() {
                return self.complete(writer, taken, attempt);
            }
            if attempt == ATTEMPTS {
                self.remove_incomplete(writer)?;
                let path = changed.into_iter().next().unwrap_or_default();
                return Err(Error::Restless { path, attempts: attempt });
            }
            attempt += 1;
            parents.push(taken.id.to_hex().to_string());
            let input = |content: &Option<Content>| {
                content.as_ref().and_then(Content::again).map_or(Input::Known, Input::New)
            };
            inputs = again.iter().map(|(name, content)| (name.clone(), input(content))).collect();
        }
    }

    /// Archives a source as a snapshot that is not complete yet.
    fn attempt(
        &self,
        source: &Source,
        host: &str,
        parents: &[String],
        watch: Arc<dyn Watch>,
    ) -> Result<SnapshotFile, Error> {
        let fail = |error| self.fail(&error);
        let named = self.deployment.as_ref().filter(|id| !id.is_empty());
        let named = named.map(|id| format!(",{OF}{id}")).unwrap_or_default();
        let snapshot = SnapshotOptions::default()
            .host(host.to_owned())
            .add_tags(&format!("{OURS},{INCOMPLETE}{named}"))
            .and_then(|options| options.to_snapshot())
            .map_err(|error| fail(*error))?;
        // A file is as it was where its size, its times and its number are. Without a parent nothing is: all is read.
        let parent = ParentOptions::default().parents(parents.to_vec()).force(parents.is_empty());
        let options = BackupOptions::default().no_scan(true).parent_opts(parent);
        let engine = self.engine(watch)?.to_indexed_ids().map_err(|error| fail(*error))?;
        engine.archive(&options, source, snapshot, &[PathBuf::from("/")]).map_err(|error| fail(*error))
    }

    /// Calls a snapshot complete, after a look at whether the lock is still ours and the manifest is in it.
    fn complete(&self, writer: &Writer, taken: SnapshotFile, attempts: usize) -> Result<Written, Error> {
        writer.assert_held()?;
        let id = taken.id.to_hex().to_string();
        self.manifest_of(&taken).map_err(|error| match error {
            Error::Manifest { .. } => Error::Engine(format!("{MANIFEST} is not in the new snapshot {id}")),
            error => error,
        })?;
        let mut complete = taken.clone();
        complete.remove_tags(&[tag(INCOMPLETE)]);
        let engine = self.engine(Arc::new(crate::watch::Silent))?;
        let known = |snapshot: &SnapshotFile| snapshot.id.to_hex().to_string();
        let before: Vec<String> =
            engine.get_all_snapshots().map_err(|error| self.fail(&error))?.iter().map(known).collect();
        engine.save_snapshots(vec![complete]).map_err(|error| self.fail(&error))?;
        let after = engine.get_all_snapshots().map_err(|error| self.fail(&error))?;
        let new = after.iter().map(known).find(|id| !before.contains(id));
        let id = new.ok_or_else(|| Error::Engine("the new snapshot is not in the repository".to_owned()))?;
        self.remove_incomplete(writer)?;
        let summary = taken.summary.unwrap_or_default();
        Ok(Written {
            id,
            added: summary.data_added_packed,
            read: summary.files_new + summary.files_changed,
            unchanged: summary.files_unmodified,
            attempts,
        })
    }

    /// Removes snapshots that were given up. Their data is removed by the next [`Repository::prune`].
    pub(super) fn remove_incomplete(&self, writer: &Writer) -> Result<(), Error> {
        let engine = self.engine(Arc::new(crate::watch::Silent))?;
        let all = engine.get_all_snapshots().map_err(|error| self.fail(&error))?;
        let given_up: Vec<_> = all
            .iter()
            .filter(|snapshot| snapshot.tags.contains(INCOMPLETE))
            .map(|snapshot| snapshot.id)
            .collect();
        if given_up.is_empty() {
            return Ok(());
        }
        writer.assert_held()?;
        engine.delete_snapshots(&given_up).map_err(|error| self.fail(&error))
    }
}

fn tag(name: &str) -> StringList {
    let mut list = StringList::default();
    list.add(name.to_owned());
    list
}

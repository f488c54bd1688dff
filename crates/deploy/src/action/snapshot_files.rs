//! What a deployment is made of again: fetched from a snapshot beside what is there now.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use backup::{Manifest, Watch};
use dsn::DataSource;
use plan::{Progress, Step, Undo, Unit};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{Action, endable, step};
use crate::error::{Error, Exit};
use crate::place::machine::make_dir;
use crate::state::backups::access::{Access, Elsewhere, told};
use crate::state::backups::set::DATABASE;
use crate::state::restoring::{DIRECTORIES, MANIFEST, SQLITE, short};
use crate::world::World;

/// How long one look into a file of SQLite may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Fetches a snapshot into `restoring`. What is there already is kept, so an interrupted one goes on; there is nothing to undo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotFiles {
    /// The repository, where it is not the deployment's own.
    pub repository: Option<String>,
    /// The file with its key, where that is not the deployment's own.
    pub key_file: Option<PathBuf>,
    /// The snapshot's id, in full.
    pub snapshot: String,
    /// The folders that are fetched.
    pub folders: Vec<String>,
    /// Their bytes.
    pub bytes: u64,
    /// Whether they are removed again anyway: then nobody waits until they are on the disk.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub passing: bool,
}

impl SnapshotFiles {
    pub(crate) fn step(self) -> Step<Action> {
        let (short, bytes) = (short(&self.snapshot), size(self.bytes));
        let title = format!("Fetch snapshot {short} ({bytes}) into restoring");
        // 100 MB/s, and the time that the repository takes to open.
        let ms = 1000 + self.bytes / 100_000;
        step("fetch-snapshot", title, Undo::Nothing, ms, self)
    }

    pub(super) async fn apply(&self, world: &World, progress: &Progress) -> Result<Value, Error> {
        let cancel = CancellationToken::new();
        let watch = Fetching {
            total: self.bytes,
            before: AtomicU64::new(0),
            progress: progress.clone(),
            cancel: cancel.clone(),
        };
        let (this, here) = (self.clone(), world.clone());
        let fetched = endable(move || this.fetch(&here, &Arc::new(watch)), || cancel.cancel()).await;
        let (files, kept) = fetched.map_err(|error| match error.hint {
            Some(_) => error,
            None => {
                error.hint("what has been fetched stays in `restoring`: the same command goes on from there")
            }
        })?;
        self.compare_rows(world).await?;
        Ok(serde_json::json!({ "files": files, "kept": kept }))
    }

    fn fetch(&self, world: &World, watch: &Arc<Fetching>) -> Result<(u64, u64), Error> {
        let from = Elsewhere { repository: self.repository.clone(), key_file: self.key_file.clone() };
        let repository = Access::of(world, &from)?.open()?;
        let into = world.layout.restoring();
        make_dir(&into, 0o700, None)?;
        let (mut files, mut kept) = (0, 0);
        for folder in &self.folders {
            let restored = repository
                .restore(&self.snapshot, folder, &into.join(folder), watch.as_ref())
                .map_err(|error| match error {
                    backup::Error::Cancelled => Error::not_ready("interrupted"),
                    error => told(error),
                })?;
            watch.before.fetch_add(restored.bytes, Ordering::Relaxed);
            (files, kept) = (files + restored.files, kept + restored.kept);
        }
        // What the snapshot does not have becomes empty: the exchange takes each of these from here.
        DIRECTORIES.iter().try_for_each(|(name, _)| make_dir(&into.join(name), 0o750, None))?;
        let mut manifest = Vec::new();
        repository.dump(&self.snapshot, MANIFEST, &mut manifest).map_err(told)?;
        host::disk::atomic_write(&into.join(MANIFEST), &manifest, 0o600, None)?;
        if !self.passing {
            host::disk::sync_file_system(&into)?;
        }
        Ok((files, kept))
    }

    /// An SQLite file can be compared with the manifest before anything is touched.
    async fn compare_rows(&self, world: &World) -> Result<(), Error> {
        let file = world.layout.restoring().join(DATABASE).join(SQLITE);
        if !file.exists() {
            return Ok(());
        }
        let rows =
            database::dump::rows(&DataSource::Sqlite(file.display().to_string().into()), PATIENCE).await;
        let rows = rows.map_err(|error| Error::new(Exit::NotVerified, error.to_string()))?;
        compare(&fetched_manifest(world)?, &rows)
    }

    pub(super) async fn undo(&self, _: &World, _: Option<&Value>) -> Result<(), Error> {
        Ok(())
    }
}

/// The manifest of the snapshot that was fetched.
///
/// # Errors
/// It is not there, or cannot be read.
pub(super) fn fetched_manifest(world: &World) -> Result<Manifest, Error> {
    let path = world.layout.restoring().join(MANIFEST);
    let content =
        host::disk::read_named(&path, 4 << 20).map_err(|error| Error::path("read", &path, &error))?;
    serde_json::from_slice(&content)
        .map_err(|error| Error::new(Exit::NotVerified, format!("{}: {error}", path.display())))
}

/// Compares rows with what the manifest counted in the dump.
///
/// # Errors
/// Every table that has another number, or is missing.
pub(super) fn compare(manifest: &Manifest, rows: &database::dump::Rows) -> Result<(), Error> {
    let wanted = &manifest.database.rows;
    let differing: Vec<String> = wanted
        .iter()
        .filter(|(table, count)| rows.get(*table) != Some(count))
        .map(|(table, count)| match rows.get(table) {
            Some(there) => format!("{table} has {there} rows and had {count}"),
            None => format!("{table} is missing"),
        })
        .collect();
    if differing.is_empty() {
        return Ok(());
    }
    let what = format!("the restored database is not what the snapshot had: {}", differing.join(", "));
    Err(Error::new(Exit::NotVerified, what).hint("restore an earlier snapshot"))
}

/// Bytes for people.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match UNITS.iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit),
        None => format!("{bytes} bytes"),
    }
}

/// Tells the progress of several folders as one, and ends with the step.
struct Fetching {
    total: u64,
    before: AtomicU64,
    progress: Progress,
    cancel: CancellationToken,
}

impl Watch for Fetching {
    fn bytes(&self, done: u64, _: Option<u64>) {
        self.progress.at(self.before.load(Ordering::Relaxed) + done, self.total, Unit::Bytes);
    }

    fn cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_for_people() {
        let sizes = [0, 1023, 1024, 1536, 5 << 20, (3 << 30) + (1 << 29)].map(size);
        assert_eq!(sizes, ["0 bytes", "1023 bytes", "1.0 KiB", "1.5 KiB", "5.0 MiB", "3.5 GiB"]);
    }
}

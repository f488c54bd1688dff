//! A snapshot of the deployment.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use backup::{Set, Watch, Written};
use database::dump;
use jiff::Timestamp;
use plan::{Progress, Step, Undo, Unit};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Action, blocking, endable, step};
use crate::error::{Error, Exit};
use crate::place::machine::{host_name, make_dir};
use crate::state::backups::access::{Access, Elsewhere, told};
use crate::state::backups::cross_check::{cross_check, uploads};
use crate::state::backups::record::{self, Begun, Record, Success, Taken, Work};
use crate::state::backups::set::{Asked, DATABASE, DEPLOYMENT, Subject};
use crate::state::database_programs::Programs;
use crate::world::World;

/// How long a question to the database may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Writes a snapshot of the deployment into its repository, while the server runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Where the repository is.
    pub location: String,
    /// Why, in a line, for whoever lists the snapshots.
    pub why: String,
    /// Whether the release's files are in it, too.
    pub with_release: bool,
    /// Whether a lock that another host left in the repository is taken over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub takes_over: bool,
    /// Whether database and settings are read back from the repository at once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub proves: bool,
}

impl Snapshot {
    /// `ms` is how long the last one took, in milliseconds.
    pub(crate) fn step(self, ms: u64) -> Step<Action> {
        let release = if self.with_release { ", with the release" } else { "" };
        let proven = if self.proves { ", and read it back" } else { "" };
        let title =
            format!("Write a snapshot of database, files and settings{release} to {}{proven}", self.location);
        step("snapshot", title, Undo::by("Remove what is not complete"), ms, self)
    }

    pub(super) async fn apply(&self, world: &World, progress: &Progress) -> Result<Value, Error> {
        let layout = world.layout.clone();
        let location = self.location.clone();
        let begun = blocking(move || Begun::new(&layout, Work::Backup, &location)).await?;
        let taken = self.take(world, progress).await;
        let scratch = world.layout.backup_scratch();
        let cleared = host::disk::remove_tree(&scratch).map_err(Error::from);
        let taken = taken.and_then(|taken| cleared.map(|()| taken));
        let outcome = taken.as_ref().map(|report| Success {
            snapshot: report["snapshot"].as_str().map(str::to_owned),
            report: report.clone(),
        });
        begun.end(outcome)?;
        taken
    }

    async fn take(&self, world: &World, progress: &Progress) -> Result<Value, Error> {
        let began = Timestamp::now();
        let (this, here) = (self.clone(), world.clone());
        let (access, subject) = blocking(move || {
            let access = Access::of(&here, &Elsewhere::default())?;
            if access.location() != this.location {
                return Err(Error::not_ready(format!(
                    "the settings now name {} for the backups, and not {}",
                    access.location(),
                    this.location
                )));
            }
            let scratch = here.layout.backup_scratch();
            host::disk::remove_tree(&scratch)?;
            make_dir(&scratch, 0o700, None)?;
            Ok((access, Subject::of(&here)?))
        })
        .await?;
        progress.say("the database");
        let scratch = world.layout.backup_scratch();
        let programs = Programs::of(world)?;
        let dump = dump::begin(&subject.source, &programs.means(&scratch, PATIENCE)).await?;
        let (stopper, source) = (dump.stopper(), subject.source.clone());
        let asked = Asked { why: self.why.clone(), taken: began, with_release: self.with_release };
        let (takes_over, proves, layout) = (self.takes_over, self.proves, world.layout.clone());
        let ends = Arc::new(AtomicBool::new(false));
        let watch: Arc<dyn Watch> = Arc::new(Shown {
            progress: progress.clone(),
            total: AtomicTotal::default(),
            ends: Arc::clone(&ends),
        });
        let work = move || {
            let (set, held) = subject.set(dump, asked)?;
            let written = write(&access, set, takes_over, &watch);
            drop(held);
            let written = written?;
            if proves {
                read_back(&access, &written.0.snapshot, &watch)?;
            }
            Record::change(&layout, |record| record.repository = Some(written.0.location.clone()))?;
            Ok(written)
        };
        let end = move || {
            ends.store(true, Ordering::Relaxed);
            // The work may wait for the next byte.
            if let Some(stopper) = stopper {
                stopper.stop();
            }
        };
        let (mut taken, objects) = endable(work, end).await?;
        if let Some(objects) = objects {
            // The snapshot is whole. What the database cannot say now, `backup check` asks it again.
            let rows = database::file_rows(&source, PATIENCE).await.unwrap_or_default();
            taken.missing = cross_check(&rows, &objects, taken.taken.as_millisecond()).missing;
        }
        let ms = Timestamp::now().duration_since(began).as_millis();
        taken.ms = u64::try_from(ms).unwrap_or(0);
        serde_json::to_value(&taken).map_err(|error| Error::new(Exit::Bug, error.to_string()))
    }

    /// Never the repository: what is not complete there is not listed, and whoever writes next removes it. So a repository that
    /// cannot be reached keeps no other command from going on.
    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        let (layout, location) = (world.layout.clone(), self.location.clone());
        blocking(move || {
            host::disk::remove_tree(&layout.backup_scratch())?;
            let is_open = |record: Record| record.backup.last.is_some_and(|last| last.ended.is_none());
            if Record::read(&layout).is_ok_and(is_open) {
                let error = Error::new(Exit::Undone, "the backup was interrupted");
                record::refused(&layout, Work::Backup, &location, &error);
            }
            Ok(())
        })
        .await
    }
}

/// Writes the set. Also the uploaded files of the snapshot, where it has any rows of them.
fn write(
    access: &Access,
    set: Set,
    takes_over: bool,
    watch: &Arc<dyn Watch>,
) -> Result<(Taken, Option<BTreeSet<String>>), Error> {
    watch.bytes(0, Some(set.bytes()));
    let repository = access.open()?;
    let writer = repository.writer("backup create", takes_over).map_err(told)?;
    let Written { id, added, read, unchanged, .. } =
        repository.write(&writer, set, &host_name(), watch).map_err(told)?;
    let manifest = repository.manifest(&id).map_err(told)?;
    let has_rows =
        manifest.database.rows.iter().any(|(name, rows)| name.eq_ignore_ascii_case("fileinfo") && *rows > 0);
    let objects = match has_rows && manifest.without_files.is_none() {
        true => Some(uploads(&repository, &id).map_err(told)?),
        false => None,
    };
    let taken = Taken {
        snapshot: id,
        location: access.location(),
        taken: manifest.taken,
        ms: 0,
        added,
        files: manifest.files,
        bytes: manifest.bytes + manifest.database.bytes,
        missing: 0,
        read,
        unchanged,
        snapshots: repository.snapshots().map_err(told)?.len(),
        without_files: manifest.without_files,
    };
    Ok((taken, objects))
}

/// Reads the database and the settings of a snapshot as a restore would: every piece is decrypted, and compared with its hash.
fn read_back(access: &Access, id: &str, watch: &Arc<dyn Watch>) -> Result<(), Error> {
    let repository = access.open()?;
    for folder in [DATABASE, DEPLOYMENT] {
        for (name, bytes) in repository.files(id, folder).map_err(told)? {
            if watch.cancelled() {
                return Err(told(backup::Error::Cancelled));
            }
            let name = format!("{folder}/{name}");
            let read = repository.dump(id, &name, &mut std::io::sink()).map_err(told)?;
            if read != bytes {
                let what =
                    format!("{name} of the snapshot has {read} bytes in the repository, and not {bytes}");
                return Err(Error::new(Exit::NotVerified, what)
                    .hint("`mainstay backup check --read-data 100` looks at the whole repository"));
            }
        }
    }
    Ok(())
}

/// The bytes that there are, once they are known.
type AtomicTotal = std::sync::atomic::AtomicU64;

/// Shows how far it has come, and ends the work.
struct Shown {
    progress: Progress,
    total: AtomicTotal,
    ends: Arc<AtomicBool>,
}

impl Watch for Shown {
    fn bytes(&self, done: u64, total: Option<u64>) {
        if let Some(total) = total {
            self.total.fetch_max(total, Ordering::Relaxed);
        }
        let total = self.total.load(Ordering::Relaxed);
        self.progress.at(done, total.max(done), Unit::Bytes);
    }

    fn cancelled(&self) -> bool {
        self.ends.load(Ordering::Relaxed)
    }
}

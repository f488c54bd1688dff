//! `backup create`: a snapshot, made while the server runs.

use std::path::PathBuf;

use plan::Plan;
use serde::Serialize;

use crate::action::{Action, BackupKey, BackupRepository, Snapshot};
use crate::error::{Error, Exit};
use crate::operation::runner::{Looking, Operation};
use crate::operation::verify::refuse_not_installed;
use crate::part::identity::refuse_gone_files;
use crate::state::backups::access::{Access, Elsewhere, apart, told};
use crate::state::backups::choice::{Choice, RepositoryPlace, names_another};
use crate::state::backups::key;
use crate::state::backups::record::{Record, Taken, Work, refused};
use crate::state::words::CREATE_BACKUP;
use crate::world::World;

/// How long the first snapshot is thought to take, in ms.
pub(in crate::operation) const FIRST: u64 = 5000;

/// Makes a snapshot of the deployment.
#[derive(Debug, Clone, Default)]
pub struct CreateBackup {
    /// Why, for whoever lists the snapshots.
    pub why: String,
    /// Whether the release's files are in it, too, also where the settings do not say so.
    pub with_release: bool,
    /// Whether a lock that another host left in the repository is taken over.
    pub takes_over: bool,
    /// The user has the key elsewhere, although it was never exported.
    pub has_key: bool,
    /// Whether an empty repository may be begun where one is gone.
    pub new_repository: bool,
}

/// What it decides from.
pub struct Seen {
    location: String,
    /// Whether there is a key.
    key: bool,
    /// The repository to be made, if there is none.
    makes: Option<BackupRepository>,
    with_release: bool,
    /// How long the last one took, in ms.
    took: u64,
    thins_out: bool,
}

/// A snapshot that was made.
#[derive(Debug, Clone, Serialize)]
pub struct CreatedBackup {
    /// The snapshot.
    #[serde(flatten)]
    pub taken: Taken,
    /// The file with the key, where it was made now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_key: Option<PathBuf>,
    /// Whether the settings say which snapshots are kept, so that the others go now.
    #[serde(skip)]
    pub thins_out: bool,
}

impl Operation for CreateBackup {
    const NAME: &'static str = CREATE_BACKUP;
    type Seen = Seen;
    type Report = CreatedBackup;

    async fn look(&self, world: &World, _: Looking<'_>) -> Result<Seen, Error> {
        refuse_not_installed(&world.layout)?;
        refuse_gone_files(&world.layout).await?;
        let (this, world) = (self.clone(), world.clone());
        apart(move || this.seen(&world)).await
    }

    fn plan(&self, world: &World, seen: &Seen) -> Result<Plan<Action>, Error> {
        let mut steps = Vec::new();
        if !seen.key {
            steps.push(BackupKey::step());
        }
        steps.extend(seen.makes.clone().map(BackupRepository::step));
        let snapshot = Snapshot {
            location: seen.location.clone(),
            why: self.why.clone(),
            with_release: seen.with_release,
            takes_over: self.takes_over,
            proves: false,
        };
        steps.push(snapshot.step(seen.took));
        Ok(Plan::new(Self::NAME, format!("Back up {}", world.layout.root().display()), steps))
    }

    async fn report(&self, world: &World, seen: Seen, _: bool) -> Result<CreatedBackup, Error> {
        let good = Record::read(&world.layout)?.backup.good;
        let taken = good.and_then(|good| serde_json::from_value(good.report).ok());
        let unknown = || Error::new(Exit::Bug, "the snapshot that was made is not written down");
        let new_key = (!seen.key).then(|| world.layout.backup_key());
        Ok(CreatedBackup { taken: taken.ok_or_else(unknown)?, new_key, thins_out: seen.thins_out })
    }

    fn may_follow_another_build(&self) -> bool {
        true
    }
}

impl CreateBackup {
    fn seen(&self, world: &World) -> Result<Seen, Error> {
        let access = Access::of(world, &Elsewhere::default())?;
        let access = if self.new_repository { access.forgetting() } else { access };
        let location = access.location();
        let record = Record::read(&world.layout)?;
        let has_key = key::read(&access.key_file)?.is_some();
        let exists = access.exists()?;
        if access.choice.place.is_remote() && record.key_exported.is_none() && !self.has_key {
            return Err(Error::new(
                Exit::Refused,
                format!("a backup in {location} is of no use without its key, and the key is on this machine alone"),
            )
            .hint("`mainstay backup key create` makes the key where there is none, and `mainstay backup key export FILE` writes a copy: keep that elsewhere; or say `--i-have-the-key`"));
        }
        if exists {
            access.open()?.check_free(self.takes_over).map_err(told)?;
        }
        let has_directory = matches!(&access.choice.place, RepositoryPlace::Directory(path) if path.is_dir());
        let makes = (!exists).then(|| BackupRepository { location: location.clone(), has_directory });
        let took = record.backup.good.and_then(|good| good.report["ms"].as_u64());
        let with_release = self.with_release || access.choice.with_release;
        let thins_out = access.choice.keep.is_some();
        Ok(Seen { location, key: has_key, makes, with_release, took: took.unwrap_or(FIRST), thins_out })
    }
}

/// Writes down that a backup, check or drill failed, for `status`, until one succeeds. A mistake on the command line is none, nor is a
/// repository that a variable names for this one call.
pub fn failed_backup(world: &World, work: Work, error: &Error) {
    if names_another(world) {
        return;
    }
    refused(&world.layout, work, &location(world), error);
}

/// Where the deployment's repository is; empty where that cannot be told.
pub(super) fn location(world: &World) -> String {
    Choice::of(world, None).map(|choice| choice.place.location()).unwrap_or_default()
}

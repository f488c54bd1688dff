//! `backup key`: the key of the backups is made, and exported.

use std::path::{Path, PathBuf};

use backup::{Key, Repository};
use finding::hint;
use jiff::Timestamp;
use plan::Plan;
use serde::Serialize;

use crate::action::{Action, BackupKey};
use crate::error::{Error, Exit};
use crate::operation::runner::{Looking, Operation};
use crate::operation::verify::refuse_not_installed;
use crate::state::backups::access::{Access, Elsewhere, apart};
use crate::state::backups::choice::{Choice, RepositoryPlace, resolved};
use crate::state::backups::key;
use crate::state::backups::record::Record;
use crate::state::words::CREATE_KEY;
use crate::world::World;

/// Makes the key where there is none.
#[derive(Debug, Clone, Copy)]
pub struct CreateKey;

/// Where the key is.
#[derive(Debug, Clone, Serialize)]
pub struct CreatedKey {
    /// The file.
    pub file: PathBuf,
    /// Whether it was made now.
    pub new: bool,
}

impl Operation for CreateKey {
    const NAME: &'static str = CREATE_KEY;
    type Seen = bool;
    type Report = CreatedKey;

    async fn look(&self, world: &World, _: Looking<'_>) -> Result<bool, Error> {
        refuse_not_installed(&world.layout)?;
        if key::read(&world.layout.backup_key())?.is_some() {
            return Ok(true);
        }
        let here = world.clone();
        apart(move || refuse_second_key(&here)).await?;
        Ok(false)
    }

    fn plan(&self, world: &World, exists: &bool) -> Result<Plan<Action>, Error> {
        let steps = if *exists { Vec::new() } else { vec![BackupKey::step()] };
        let title = format!("Make the key of the backups of {}", world.layout.root().display());
        Ok(Plan::new(Self::NAME, title, steps))
    }

    async fn report(&self, world: &World, existed: bool, _: bool) -> Result<CreatedKey, Error> {
        Ok(CreatedKey { file: world.layout.backup_key(), new: !existed })
    }

    fn may_follow_another_build(&self) -> bool {
        true
    }
}

/// Refuses a new key where snapshots were made with another: it would open none of them.
fn refuse_second_key(world: &World) -> Result<(), Error> {
    let access = Access::of(world, &Elsewhere::default())?;
    // A place that cannot be reached now is one that no snapshot was made in, as far as is known.
    let exists = Repository::exists(access.store().as_ref()).unwrap_or(false);
    if !exists && access.was_in().is_none() {
        return Ok(());
    }
    let path = world.layout.backup_key();
    Err(Error::new(
        Exit::Refused,
        format!(
            "{} is gone, and a new key does not open the repository in {}",
            path.display(),
            access.location()
        ),
    )
    .hint(hint!(
        "put the copy back that was exported, as {}; where it is lost, begin anew: name another repository in `[backup]` of \
         mainstay.toml, and remove {}",
        path.display(),
        world.layout.backup_record().display()
    )))
}

/// Refuses a place for the exported key that is lost with the deployment.
///
/// # Errors
/// It is in the deployment's directory, or in its repository.
pub fn refuse_own_place(world: &World, file: &Path) -> Result<(), Error> {
    let real = resolved(&std::path::absolute(file).unwrap_or_else(|_| file.to_owned()));
    let own = std::iter::once(world.layout.root().to_owned());
    let repository = Choice::of(world, None).ok().and_then(|choice| match choice.place {
        RepositoryPlace::Directory(path) => Some(path),
        RepositoryPlace::Objects(_) => None,
    });
    match own.chain(repository).find(|dir| real.starts_with(resolved(dir))) {
        None => Ok(()),
        Some(dir) => Err(Error::new(
            Exit::Refused,
            format!("{} is in {}: whoever loses that loses this copy, too", file.display(), dir.display()),
        )
        .hint("name a file elsewhere, best on another machine's disk; nothing has been written")),
    }
}

/// The key of the deployment's backups.
///
/// # Errors
/// There is none, or it cannot be read.
pub fn backup_key(world: &World) -> Result<Key, Error> {
    let path = world.layout.backup_key();
    key::read(&path)?.ok_or_else(|| {
        Error::not_ready(format!("{}, the key of the backups, does not exist", path.display()))
            .hint("`mainstay backup key create` makes it")
    })
}

/// Writes down that the key is somewhere else, too.
///
/// # Errors
/// The disk.
pub fn key_exported(world: &World) -> Result<(), Error> {
    Record::change(&world.layout, |record| record.key_exported = Some(Timestamp::now()))
}

//! `backup key`: the key of the backups is made, and exported.

use std::path::PathBuf;

use backup::Key;
use jiff::Timestamp;
use plan::Plan;
use serde::Serialize;

use crate::action::{Action, BackupKey};
use crate::error::Error;
use crate::operation::runner::{Looking, Operation};
use crate::operation::verify::refuse_not_installed;
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
        Ok(key::read(&world.layout.backup_key())?.is_some())
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

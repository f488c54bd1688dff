//! A journal that no operation can use, made usable again.

use std::path::PathBuf;

use plan::{Journal, JournalError, RunId};

use super::caller::Caller;
use super::runner::{Operation, possible};
use super::turn_lock::acquire;
use crate::action::Action;
use crate::error::Error;
use crate::place::holder::refuse_elsewhere;
use crate::place::machine::make_dir;
use crate::state::full_disk::refuse_full;
use crate::world::World;

/// What [`repair_journal`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repair {
    /// The damaged journal is here now, and the next operation begins a new one.
    SetAside(PathBuf),
    /// The unfinished run, whose plan this version cannot read, is given up: what its steps did stays.
    Abandoned(RunId),
}

/// Makes a journal usable again that no operation could use: a damaged one is moved aside, and a run that another version began and this
/// one cannot read is given up. Nothing else is touched. Before that `operation`, for which it is done, must be possible.
///
/// # Errors
/// The operation is refused; another operation runs; the journal cannot be read for another reason, or not be moved.
pub async fn repair_journal<O: Operation>(
    operation: &O,
    world: &World,
    caller: &mut Caller<'_>,
) -> Result<Option<Repair>, Error> {
    let path = world.layout.journal();
    if !path.exists() {
        return Ok(None);
    }
    refuse_elsewhere(&world.layout)?;
    if !operation.works_on_a_full_disk() {
        refuse_full(&world.layout)?;
    }
    make_dir(&world.layout.run(), 0o700, None)?;
    let lock = acquire(world, "repair", caller).await?;
    let journal = match Journal::open(&path).await {
        Ok(journal) => journal,
        Err(JournalError::Corrupt { .. }) => {
            possible(operation, world, caller).await?;
            return Ok(Some(Repair::SetAside(Journal::set_aside(&path)?)));
        }
        Err(error) => return Err(error.into()),
    };
    let unfinished = journal.unfinished::<Action>().await;
    if unfinished.is_err() {
        possible(operation, world, caller).await?;
    }
    let abandoned = match &unfinished {
        Err(JournalError::ForeignPlan { .. }) => journal.abandon(&lock).await?,
        _ => None,
    };
    // An open one that is dropped may leave its `-wal` behind.
    journal.close().await?;
    match unfinished {
        Ok(_) => Ok(None),
        Err(JournalError::ForeignPlan { .. }) => Ok(abandoned.map(Repair::Abandoned)),
        Err(JournalError::Corrupt { .. }) => Ok(Some(Repair::SetAside(Journal::set_aside(&path)?))),
        Err(error) => Err(error.into()),
    }
}

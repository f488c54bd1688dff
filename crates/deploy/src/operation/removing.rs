//! `uninstall` where it cannot be recorded: on a full disk, or with a damaged journal.
//!
//! What a record is for is that a removal which fails can be taken back. Without one, the removal is done in the order in which half of it
//! is known as such: stop, say that it is being deleted, delete. Killed anywhere after that, the next `uninstall` finishes it.

use std::path::Path;

use plan::Progress;

use super::caller::{Caller, Consent};
use super::down::lock_where_possible;
use super::halt::halt;
use super::record;
use super::repair::repair_journal;
use super::runner::{Looking, Operation, refuse_others, run_for};
use super::uninstall::{Uninstall, Uninstalled};
use crate::error::{Error, Exit};
use crate::place::ground::{Ground, ground};
use crate::place::layout::Layout;
use crate::place::machine::make_dir;
use crate::state::cluster::refuse_to_take_away;
use crate::world::World;

/// Removes the deployment. `None` when the user did not agree.
///
/// # Errors
/// It was refused and nothing has been changed; a step failed and was undone; something cannot be deleted.
pub async fn uninstall(
    world: &World,
    operation: &Uninstall,
    mut caller: Caller<'_>,
) -> Result<Option<Uninstalled>, Error> {
    let layout = &world.layout;
    // Whatever else there is to be said of the directory, an ordinary run says it.
    let is_ours = matches!(ground(layout), Ok(Ground::Ours));
    let Some(why) = (if is_ours { record::obstacle(layout).await } else { None }) else {
        if matches!(caller.consent, Consent::Given) {
            // A run that only another version could finish is given up.
            repair_journal(operation, world, &mut caller).await?;
        }
        return run_for(operation, world, &mut caller).await;
    };
    refuse_others(operation, world).await?;
    if operation.keep_data {
        refuse_unclear(layout, &why)?;
    } else {
        refuse_to_take_away(layout, "mainstay uninstall")?;
    }
    if !caller.consent.to(None)? {
        return Ok(None);
    }
    let _lock = lock_where_possible(world, Uninstall::NAME, &mut caller).await?;
    tracing::warn!(why, "removing without a record");
    halt(world).await?;
    let seen = operation.look(world, Looking::at_rest(&mut ())).await?;
    if let Some(unit) = seen.unit() {
        let removed = plan::Action::apply(&unit, world, &Progress::silent()).await;
        removed.map_err(|failure| Error::not_ready(failure.message))?;
    }
    let end = if operation.keep_data { layout.unneeded() } else { layout.deleting() };
    begin(layout, &end)?;
    for name in seen.names() {
        // A full disk may have no room for another name either.
        let path = layout.root().join(name);
        if std::fs::rename(&path, end.join(name)).is_err() {
            host::disk::remove_tree(&path)?;
        }
    }
    let gone = operation.report(world, seen, true).await?;
    Ok(Some(Uninstalled { unrecorded: Some(why), ..gone }))
}

/// Says that the deployment is being deleted. Where there is no room even for that, the logs make some.
fn begin(layout: &Layout, end: &Path) -> Result<(), Error> {
    make_dir(end, 0o700, None).or_else(|_| {
        host::disk::remove_tree(&layout.logs())?;
        make_dir(end, 0o700, None)
    })
}

/// Refuses to tell data from the rest where an earlier run may have moved some of it.
fn refuse_unclear(layout: &Layout, why: &str) -> Result<(), Error> {
    if layout.aside().symlink_metadata().is_err() && layout.deleting().symlink_metadata().is_err() {
        return Ok(());
    }
    Err(Error::new(Exit::NotReady, why).hint(format!(
        "an earlier `uninstall` has moved something to {}, which only its record can put back: free some space, or put a whole state.db \
         back, then run the command again; nothing has been changed",
        layout.aside().display()
    )))
}

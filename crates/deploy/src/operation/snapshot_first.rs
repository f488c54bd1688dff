//! The snapshot that an operation takes before it replaces the data, where backups are set up.

use plan::Step;

use crate::action::{Action, Hold, Snapshot};
use crate::error::Error;
use crate::operation::backup::create::FIRST;
use crate::state::backups::access::{Access, Elsewhere, apart, told};
use crate::state::backups::key;
use crate::state::backups::record::Record;
use crate::world::World;

/// What is said where none is taken.
pub(super) const NONE: &str = "backups are not set up, so no snapshot is taken: what is kept for the way back lies on this disk alone \
                               (`mainstay backup create` sets them up)";

/// The snapshot to take, and how long it may take in ms. `None` = backups are not set up.
///
/// # Errors
/// They are, and the repository cannot be reached or is in use.
pub(super) async fn snapshot_first(world: &World, why: String) -> Result<Option<(Snapshot, u64)>, Error> {
    let world = world.clone();
    let looked = apart(move || {
        let access = Access::of(&world, &Elsewhere::default())?;
        if key::read(&access.key_file)?.is_none() || !access.exists()? {
            return Ok(None);
        }
        access.open()?.check_free(false).map_err(told)?;
        let took = Record::read(&world.layout)?.backup.good.and_then(|good| good.report["ms"].as_u64());
        let (location, with_release) = (access.location(), access.choice.with_release);
        let snapshot = Snapshot { location, why, with_release, takes_over: false, proves: true };
        Ok(Some((snapshot, took.unwrap_or(FIRST))))
    });
    looked.await.map_err(|mut error: Error| {
        error.what = format!("no snapshot can be taken first: {}", error.what);
        error.hint = Some(match &error.hint {
            Some(hint) => format!("{hint}; `--without-snapshot` goes on without one").into(),
            None => "`--without-snapshot` goes on without one; nothing has been changed".into(),
        });
        error
    })
}

/// These steps with the snapshot before anybody has to wait.
pub(super) fn with_snapshot(
    mut steps: Vec<Step<Action>>,
    snapshot: Option<(Snapshot, u64)>,
) -> Vec<Step<Action>> {
    let Some((snapshot, ms)) = snapshot else { return steps };
    let interrupts = |step: &Step<Action>| {
        matches!(step.action, Action::Hold(Hold { on: true }) | Action::KeptCopy(_))
            || step.name.starts_with("stop-")
    };
    let at = steps.iter().position(interrupts).unwrap_or(0);
    steps.insert(at, snapshot.step(ms));
    steps
}

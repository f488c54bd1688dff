//! The turn to change a deployment: its lock, its journal, and the run of a plan.

use std::path::PathBuf;

use plan::{Engine, Faults, Holder, Journal, JournalError, Lock, Outcome, Phase, Plan, Reader, Recovery};
use tokio_util::sync::CancellationToken;

use crate::action::{Action, revive};
use crate::error::{Error, Kind};
use crate::place::layout::{self, Layout};
use crate::place::machine::make_dir;
use crate::world::World;

/// Everything a changing operation needs of its caller.
pub struct Caller<'a> {
    /// Who asks: a user name.
    pub who: String,
    /// Why, in words; shown to whoever finds the lock taken.
    pub why: String,
    /// Reads the events of the run.
    pub reader: &'a mut dyn Reader,
    /// Failures to inject.
    pub faults: Faults,
    /// Ctrl-C.
    pub cancel: CancellationToken,
}

/// Moves a damaged journal aside, so that the next operation begins a new one. Says where to; nothing else is touched.
///
/// # Errors
/// Another operation runs; the journal cannot be read for another reason, or not be moved.
pub async fn repair_journal(world: &World, caller: &Caller<'_>) -> Result<Option<PathBuf>, Error> {
    let path = world.layout.journal();
    if !path.exists() {
        return Ok(None);
    }
    let _lock = Lock::acquire(&world.layout.lock(), &Holder::new(&caller.who, "repair", &caller.why))?;
    match Journal::open(&path).await {
        Ok(journal) => Ok(journal.close().await.map(|()| None)?),
        Err(JournalError::Corrupt { .. }) => Ok(Some(Journal::set_aside(&path)?)),
        Err(error) => Err(error.into()),
    }
}

/// Refuses to change a deployment that a newer Mainstay runs.
///
/// # Errors
/// The agent's version is newer than this program's.
pub(crate) async fn refuse_newer(world: &World) -> Result<(), Error> {
    match world.agent.status().await? {
        Some(status) => status.refuse_newer(&world.version),
        None => Ok(()),
    }
}

/// The turn to change a deployment: its lock and its journal.
pub(crate) struct Turn {
    lock: Lock,
    journal: Journal,
}

impl Turn {
    /// Takes the turn. Makes the directory, `run` and the journal where they are missing, and nothing else.
    pub(crate) async fn take(layout: &Layout, operation: &str, caller: &Caller<'_>) -> Result<Self, Error> {
        make_dir(layout.root(), 0o755, None)?;
        make_dir(&layout.run(), 0o700, None)?;
        let lock = Lock::acquire(&layout.lock(), &Holder::new(&caller.who, operation, &caller.why))?;
        layout::sweep(layout)?;
        let journal = Journal::open(&layout.journal()).await?;
        Ok(Self { lock, journal })
    }

    /// Whether a run was left half-way.
    pub(crate) async fn is_unfinished(&self) -> Result<bool, Error> {
        Ok(self.journal.unfinished::<Action>().await?.is_some())
    }

    /// Brings a run that a kill left half-way to its end, or all the way back when it was on its way back.
    ///
    /// # Errors
    /// It was going forward and failed now: it is undone, and what was asked for today is not begun on top of that.
    pub(crate) async fn recover(&self, world: &World, caller: &mut Caller<'_>) -> Result<(), Error> {
        refuse_newer(world).await?;
        let Some((_, plan, state)) = self.journal.unfinished::<Action>().await? else { return Ok(()) };
        if let Phase::Ready(next) | Phase::Running(next) = state.phase
            && let Err(error) = revive(&plan.steps[..next], world).await
        {
            // The step that counts on it says so, and the run is undone.
            tracing::warn!(%error, "a part that ran does not start again");
        }
        let going_back = matches!(state.phase, Phase::Unwinding(_) | Phase::Undoing(_) | Phase::Stuck(..));
        match self.engine(caller).recover(world, Recovery::Resume).await? {
            Some(Outcome::Undone { .. }) if going_back => Ok(()),
            Some(outcome) => {
                ended(outcome)?;
                forget_before(&world.layout)
            }
            None => Ok(()),
        }
    }

    /// Runs a plan.
    ///
    /// # Errors
    /// It failed and was undone, or failed and needs somebody.
    pub(crate) async fn run(
        &self,
        plan: &Plan<Action>,
        world: &World,
        caller: &mut Caller<'_>,
    ) -> Result<(), Error> {
        // No run is unfinished: what is kept there belongs to none.
        forget_before(&world.layout)?;
        let outcome = self.engine(caller).run(plan, world).await?;
        ended(outcome)?;
        forget_before(&world.layout)
    }

    fn engine<'a>(&'a self, caller: &'a mut Caller<'_>) -> Engine<'a, Action> {
        Engine::new(
            &self.journal,
            &self.lock,
            &mut *caller.reader,
            caller.faults.clone(),
            caller.cancel.clone(),
        )
    }
}

/// Removes what was kept for an undo; only after the run is done, because until then it may be needed.
fn forget_before(layout: &Layout) -> Result<(), Error> {
    Ok(host::disk::remove_tree(&layout.before())?)
}

/// An outcome as the command line tells it.
fn ended(outcome: Outcome) -> Result<(), Error> {
    match outcome {
        Outcome::Done { .. } => Ok(()),
        Outcome::Undone { failure, step, .. } => {
            let kind = if failure.code == Some(5) { Kind::NotVerified } else { Kind::Undone };
            let mut error = Error::new(kind, format!("{}; everything is as before", failure.message))
                .detail(format!("step `{step}`: {}", failure.detail));
            error.hint = failure.hint;
            Err(error)
        }
        Outcome::NeedsYou { failure, step, .. } => {
            Err(Error::new(Kind::NeedsYou, format!("`{step}` could not be undone: {}", failure.message))
                .hint(failure.hint.unwrap_or_else(|| {
                    "remove the cause, then run the command again: it goes on from there".to_owned()
                }))
                .detail(failure.detail))
        }
    }
}

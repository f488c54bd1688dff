//! How every changing command runs: look, plan, show or ask, take the lock, recover, run *that* plan, report.
//!
//! The plan that was shown or agreed to is the plan that runs. Another one, after somebody else's change, is told and asked about again.

use std::time::Duration;

use plan::{Engine, Journal, Lock, Outcome, Phase, Plan, Reader, Recovery, RunId};
use tokio_util::sync::CancellationToken;

use super::another_image::{of_another_image, refuse_after_admission};
use super::caller::Caller;
use super::hooked::{Hooked, afterwards, with_hook_before};
use super::outcome::{Failed, ended};
use super::planned::Planned;
use super::record::{Past, taken_back};
use super::retest::tested_again;
use super::turn_lock::acquire;
use crate::action::{Action, Hold, RanBefore};
use crate::control::presence::moved;
use crate::error::{Error, Exit};
use crate::part::database::readiness::Patience;
use crate::part::preflight::check_directories;
use crate::place::holder::refuse_elsewhere;
use crate::place::layout::{self, FILE_LIMIT, Layout};
use crate::place::machine::{ROOT_MODE, make_dir};
use crate::state::deleted::deleted_database;
use crate::state::edited::with_edits;
use crate::state::full_disk::{explained, refuse_full};
use crate::state::half_deleted::half_deleted;
use crate::state::report::after_undo;
use crate::world::World;

/// A command that changes a deployment.
#[allow(async_fn_in_trait, reason = "used in this crate and by the binary, on one thread")]
pub trait Operation {
    /// The command's word, for the lock, the journal and the history.
    const NAME: &'static str;
    /// What it decides from.
    type Seen;
    /// What it came to.
    type Report;

    /// Looks at the deployment and changes nothing.
    ///
    /// # Errors
    /// What makes the operation impossible, with the way out.
    async fn look(&self, world: &World, looking: Looking<'_>) -> Result<Self::Seen, Error>;

    /// Decides. Pure: the same observation gives the same plan.
    ///
    /// # Errors
    /// A rule forbids it.
    fn plan(&self, world: &World, seen: &Self::Seen) -> Result<Plan<Action>, Error>;

    /// Finishes and reports, under the lock, after the plan is done or where there was nothing to do.
    ///
    /// # Errors
    /// What was done cannot be read back.
    async fn report(&self, world: &World, seen: Self::Seen, changed: bool) -> Result<Self::Report, Error>;

    /// How it goes on with a run of the operation `interrupted` that a kill left half-way.
    fn recovery(&self, interrupted: &str) -> Recovery {
        if taken_back(interrupted) { Recovery::Undo } else { Recovery::Resume }
    }

    /// Whether it may stop a server that works on a deleted database, which is lost then: whoever asks for it was told.
    fn may_lose_a_deleted_database(&self) -> bool {
        false
    }

    /// Whether it may change what another build of this version runs: it takes over from that, or starts again nothing of it.
    fn may_follow_another_build(&self) -> bool {
        false
    }

    /// Whether it goes on beside an interrupted run whose undo fails, which is given up then.
    fn outranks_a_stuck_run(&self) -> bool {
        false
    }

    /// Whether it can do without room for what it writes on the way.
    fn works_on_a_full_disk(&self) -> bool {
        false
    }

    /// Whether it may begin where an `uninstall` was interrupted while it deleted.
    fn may_follow_a_deletion(&self) -> bool {
        false
    }

    /// Whether it works on a deployment whose directory was moved while it ran.
    fn may_follow_a_move(&self) -> bool {
        false
    }

    /// Whether [`report`](Operation::report) has work to do although the plan is empty.
    fn finishes_without_steps(&self) -> bool {
        false
    }

    /// Which release becomes which: such an operation has hooks, named after it.
    fn hooked(&self, _: &Self::Seen) -> Option<Hooked> {
        None
    }

    /// Whether what was there before is tested again after a failed run was undone: it ran, and shall be known to work.
    fn tests_after_undo(&self) -> bool {
        false
    }

    /// What is to be known of how a plan was made that is only shown.
    fn remarks(&self, _: &Self::Seen) -> Vec<String> {
        Vec::new()
    }

    /// How long to wait for a database server.
    fn wait(&self) -> Duration {
        Duration::from_secs(10)
    }
}

/// How an operation looks.
pub struct Looking<'a> {
    /// How long to wait for a database, and who is told why.
    pub(crate) patience: Patience<'a>,
    /// The interrupted run that was brought to its end just before.
    pub(crate) recovered: Option<&'a Recovered>,
    /// The plan is only shown: nothing foreign may run for it.
    pub(crate) only_shown: bool,
}

impl<'a> Looking<'a> {
    /// For a caller that is there; `recovered` = what was brought to its end just before.
    fn of(caller: &'a mut Caller<'_>, wait: Duration, recovered: Option<&'a Recovered>) -> Self {
        let patience = Patience { wait, reader: &mut *caller.reader, cancel: caller.cancel.clone() };
        Self { patience, recovered, only_shown: false }
    }

    /// At what does not run, with nobody to be told.
    pub(super) fn at_rest(reader: &'a mut dyn Reader) -> Self {
        let patience = Patience { wait: Duration::ZERO, reader, cancel: CancellationToken::new() };
        Self { patience, recovered: None, only_shown: false }
    }
}

/// An interrupted run that was brought to its end, or back.
#[derive(Debug, Clone)]
pub(crate) struct Recovered {
    /// Its number.
    pub run: RunId,
    /// What it did.
    pub plan: Plan<Action>,
    /// When it began.
    pub began: jiff::Timestamp,
    /// Whether it was finished, and not undone.
    pub finished: bool,
}

/// Whether the operation would begin: it looks and plans, and nothing is changed.
///
/// # Errors
/// What it refuses.
pub(super) async fn possible<O: Operation>(
    operation: &O,
    world: &World,
    caller: &mut Caller<'_>,
) -> Result<(), Error> {
    refuse_others(operation, world).await?;
    refuse_half_deleted(operation, &world.layout)?;
    let seen = operation.look(world, Looking::of(caller, operation.wait(), None)).await?;
    decided(operation, world, &seen).map(drop)
}

/// The operation's plan, with its hook.
fn decided<O: Operation>(operation: &O, world: &World, seen: &O::Seen) -> Result<Plan<Action>, Error> {
    Ok(with_hook_before(operation.plan(world, seen)?, world, O::NAME, operation.hooked(seen)))
}

/// Refuses to go on with what an `uninstall` has begun to delete. To be asked where no run is unfinished.
fn refuse_half_deleted<O: Operation>(operation: &O, layout: &Layout) -> Result<(), Error> {
    match half_deleted(layout) {
        Some(refusal) if !operation.may_follow_a_deletion() => Err(refusal),
        _ => Ok(()),
    }
}

/// The plan that [`run`] would run. Changes nothing, runs nothing foreign, and does not wait for a database.
///
/// # Errors
/// What [`run`] would refuse before its first step.
pub async fn planned<O: Operation>(operation: &O, world: &World) -> Result<Planned, Error> {
    refuse_others(operation, world).await?;
    let interrupted = interrupted(&world.layout).await?;
    if interrupted.is_none() {
        refuse_half_deleted(operation, &world.layout)?;
    }
    let mut nobody = ();
    let looking = Looking { only_shown: true, ..Looking::at_rest(&mut nobody) };
    let seen = operation.look(world, looking).await?;
    let remarks = operation.remarks(&seen);
    Ok(Planned { plan: decided(operation, world, &seen)?, interrupted, remarks })
}

/// The title of the unfinished run, if there is one.
async fn interrupted(layout: &Layout) -> Result<Option<String>, Error> {
    if !Past::read(layout).await?.unfinished {
        return Ok(None);
    }
    let runs = Journal::open_read_only(&layout.journal()).await?.runs(1).await?;
    Ok(runs
        .into_iter()
        .next()
        .map(|run| format!("run {}, `{}`: {}", run.id, run.plan.operation, run.plan.title)))
}

/// Runs an operation. `None` when the user did not agree; nothing has been changed then.
///
/// # Errors
/// It was refused and nothing has been changed; or a step failed and was undone; or it needs the operator.
pub async fn run<O: Operation>(
    operation: &O,
    world: &World,
    mut caller: Caller<'_>,
) -> Result<Option<O::Report>, Error> {
    run_for(operation, world, &mut caller).await
}

/// The same for a caller that goes on.
pub(super) async fn run_for<O: Operation>(
    operation: &O,
    world: &World,
    caller: &mut Caller<'_>,
) -> Result<Option<O::Report>, Error> {
    refuse_others(operation, world).await?;
    let layout = &world.layout;
    if operation.works_on_a_full_disk() {
        return go(operation, world, caller).await;
    }
    // Where there is no deployment yet, `up` says how much a new one needs.
    if layout.journal().exists() {
        refuse_full(layout)?;
    }
    go(operation, world, caller).await.map_err(|error| explained(layout, error))
}

/// The whole run.
async fn go<O: Operation>(
    operation: &O,
    world: &World,
    caller: &mut Caller<'_>,
) -> Result<Option<O::Report>, Error> {
    let wait = operation.wait();
    let before = Past::read(&world.layout).await?;
    // Without the lock and without a trace: what is refused here leaves not even a directory.
    let first = if before.unfinished {
        None
    } else {
        refuse_half_deleted(operation, &world.layout)?;
        let seen = operation.look(world, Looking::of(caller, wait, None)).await?;
        let plan = decided(operation, world, &seen)?;
        if plan.steps.is_empty() && !operation.finishes_without_steps() {
            return operation.report(world, seen, false).await.map(Some);
        }
        Some((seen, plan))
    };
    if !caller.consent.to(first.as_ref().map(|(_, plan)| plan))? {
        return Ok(None);
    }
    let turn = Turn::take(world, O::NAME, caller).await?;
    let ran = under_lock(operation, world, &turn, before, first, caller).await;
    turn.end().await;
    ran
}

/// The part of a run that changes something.
async fn under_lock<O: Operation>(
    operation: &O,
    world: &World,
    turn: &Turn,
    before: Past,
    first: Option<(O::Seen, Plan<Action>)>,
    caller: &mut Caller<'_>,
) -> Result<Option<O::Report>, Error> {
    let wait = operation.wait();
    let recovered = turn.recover(operation, world, caller).await?;
    refuse_half_deleted(operation, &world.layout)?;
    // What a finished run has left to be deleted, and a kill kept from that.
    host::disk::remove_tree(&world.layout.unneeded())?;
    let now = Past::of(&turn.journal).await?;
    let (seen, plan) = match first {
        Some(first) if now == before => first,
        first => {
            let seen = operation.look(world, Looking::of(caller, wait, recovered.as_ref())).await?;
            let plan = decided(operation, world, &seen)?;
            let agreed = match &first {
                Some((_, shown)) if *shown != plan => {
                    caller.reader.read(&plan::Event::Replanned { title: plan.title.clone() });
                    caller.consent.to(Some(&plan))?
                }
                _ => true,
            };
            if !agreed {
                return Ok(None);
            }
            (seen, plan)
        }
    };
    converge(operation, world, turn, (seen, plan), caller).await
}

/// Runs a plan, and another one where a name in it was given away meanwhile.
async fn converge<O: Operation>(
    operation: &O,
    world: &World,
    turn: &Turn,
    (mut seen, mut plan): (O::Seen, Plan<Action>),
    caller: &mut Caller<'_>,
) -> Result<Option<O::Report>, Error> {
    let (changed, began) = (!plan.steps.is_empty(), jiff::Timestamp::now());
    while changed && let Err(failed) = turn.run(&plan, world, caller).await? {
        let lost = failed.not_undone.is_empty() && plan.steps.iter().any(|step| is_lost(&step.action, world));
        let again = operation.look(world, Looking::of(caller, Duration::ZERO, None)).await;
        let again = again.and_then(|seen| Ok((decided(operation, world, &seen)?, seen)));
        match again {
            Ok((other, now)) if lost && other != plan => {
                caller.reader.read(&plan::Event::Replanned { title: other.title.clone() });
                if !caller.consent.to(Some(&other))? {
                    return Ok(None);
                }
                (seen, plan) = (now, other);
            }
            again => {
                let mut error = failed.error(&plan, again.map(|(plan, _)| plan));
                // A hook that refuses is asked before anything is touched.
                let is_touched = !matches!(error.exit, Exit::NeedsYou | Exit::Refused);
                if operation.tests_after_undo() && is_touched {
                    error.what = format!("{}; {}", error.what, tested_again(world).await);
                }
                return Err(with_edits(&world.layout, began, error));
            }
        }
    }
    if changed && let Some(after) = afterwards(world, O::NAME, operation.hooked(&seen)) {
        // What was done stays done, whatever becomes of it.
        turn.run(&after, world, caller).await?.map_or_else(drop, drop);
    }
    operation.report(world, seen, changed).await.map(Some)
}

/// Whether the step cannot be taken any more, because another deployment has taken the name of its user: another plan has another name.
fn is_lost(action: &Action, world: &World) -> bool {
    matches!(action, Action::SystemUser(user) if user.is_lost(world))
}

/// Refuses to change a deployment whose agent runs elsewhere, or is of a Mainstay that this one cannot follow, or whose server works on a deleted database.
///
/// # Errors
/// It is so.
pub(super) async fn refuse_others<O: Operation>(operation: &O, world: &World) -> Result<(), Error> {
    refuse_elsewhere(&world.layout)?;
    if let Some(moved) = moved(&world.layout)
        && !operation.may_follow_a_move()
    {
        return Err(moved.refusal(&world.layout));
    }
    if let Some(deleted) = deleted_database(&world.layout)
        && !operation.may_lose_a_deleted_database()
    {
        return Err(deleted.refusal());
    }
    match world.agent.status().await? {
        Some(status) => {
            status.refuse_newer(world.program())?;
            if operation.may_follow_another_build() {
                Ok(())
            } else {
                status.refuse_other_build(world.program())
            }
        }
        None => Ok(()),
    }
}

/// The lock and the journal: only their holder changes the deployment.
struct Turn {
    lock: Lock,
    journal: Journal,
}

impl Turn {
    /// Takes the lock. Makes the directory, `run` and the journal where they are missing, and nothing else.
    async fn take(world: &World, operation: &str, caller: &mut Caller<'_>) -> Result<Self, Error> {
        let layout = &world.layout;
        make_dir(layout.root(), ROOT_MODE, None)?;
        check_directories(layout)?;
        make_dir(&layout.run(), 0o700, None)?;
        let lock = acquire(world, operation, caller).await?;
        layout::sweep(layout)?;
        let journal = Journal::open(&layout.journal()).await?;
        Ok(Self { lock, journal })
    }

    /// Closes the journal, so that no `-wal` stays beside it, and releases the lock.
    async fn end(self) {
        let Self { lock, journal } = self;
        if let Err(error) = journal.close().await {
            tracing::warn!(%error, "the journal was not closed in order; nothing in it is lost");
        }
        drop(lock);
    }

    /// Brings a run that a kill left half-way to its end, or back, and says which it was.
    ///
    /// # Errors
    /// It was going forward and failed now: it is undone, and what was asked for today is not begun on top of that.
    async fn recover<O: Operation>(
        &self,
        operation: &O,
        world: &World,
        caller: &mut Caller<'_>,
    ) -> Result<Option<Recovered>, Error> {
        let Some((run, plan, state)) = self.journal.unfinished::<Action>().await? else { return Ok(None) };
        crate::hooks::end_left(&world.layout);
        let began = self.journal.run(run).await?.map(|run| run.started_at).unwrap_or_default();
        let image = of_another_image(&world.layout, &plan);
        let recovery = match state.phase {
            Phase::Ready(next) | Phase::Running(next) if image.is_some() => {
                refuse_after_admission(&plan.steps[next..], image.as_deref())?;
                Recovery::Undo
            }
            // People are let in, or were: what they did since must not be undone.
            Phase::Ready(next) | Phase::Running(next) if Hold::admits(&plan.steps[next]) => Recovery::Resume,
            _ => operation.recovery(&plan.operation),
        };
        let before = RanBefore::read(&world.layout);
        before.revive(&plan.steps, &state.phase, recovery, world).await;
        let going_back = recovery == Recovery::Undo
            || matches!(state.phase, Phase::Unwinding(_) | Phase::Undoing(_) | Phase::Stuck(..));
        let outcome = self.engine(caller).recover(world, recovery).await?;
        let finished = matches!(outcome, Some(Outcome::Done { .. }));
        if matches!(outcome, Some(Outcome::Undone { .. })) {
            // A run that tested nothing says nothing against the last test.
            if plan.steps.iter().any(|step| matches!(step.action, Action::AcceptanceTest(_))) {
                after_undo(&world.layout, None)?;
            }
            if !operation.outranks_a_stuck_run() {
                before.restore(world).await;
            }
        }
        if matches!(outcome, Some(Outcome::NeedsYou { .. })) && operation.outranks_a_stuck_run() {
            self.journal.abandon(&self.lock).await?;
        } else if let Some(outcome) = outcome
            && let Err(failed) = ended(outcome)?
            && !(going_back && failed.not_undone.is_empty())
        {
            return Err(failed.of_earlier_run(&plan));
        }
        forget_before(&world.layout)?;
        Ok(Some(Recovered { run, plan, began, finished }))
    }

    /// Runs a plan; the inner error says that it failed and was undone.
    ///
    /// # Errors
    /// It needs the operator; the journal failed.
    async fn run(
        &self,
        plan: &Plan<Action>,
        world: &World,
        caller: &mut Caller<'_>,
    ) -> Result<Result<(), Failed>, Error> {
        // No run is unfinished: what is kept there belongs to none.
        forget_before(&world.layout)?;
        RanBefore::keep(world).await?;
        let report = host::disk::read_named(&world.layout.report(), FILE_LIMIT).ok();
        let outcome = self.engine(caller).run(plan, world).await?;
        if let Outcome::Undone { kept, .. } = &outcome {
            // The test of a stop that stays was of what is there now.
            after_undo(&world.layout, report.filter(|_| kept.is_none()))?;
            // The agent may have ended meanwhile, with parts that no step of this plan starts.
            if kept.is_none() {
                RanBefore::read(&world.layout).restore(world).await;
            }
        }
        // Done or undone: what was kept for the undo may be as large as the database.
        let ended = ended(outcome)?;
        forget_before(&world.layout)?;
        Ok(ended)
    }

    fn engine<'a>(&'a self, caller: &'a mut Caller<'_>) -> Engine<'a, Action> {
        let (faults, cancel) = (caller.faults.clone(), caller.cancel.clone());
        Engine::new(&self.journal, &self.lock, &mut *caller.reader, faults, cancel)
    }
}

/// Removes what was kept for an undo; only after the run is done or undone, because until then it may be needed.
fn forget_before(layout: &Layout) -> Result<(), Error> {
    Ok(host::disk::remove_tree(&layout.before())?)
}

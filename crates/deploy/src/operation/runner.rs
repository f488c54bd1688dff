//! How every changing command runs: look, plan, show or ask, take the lock, recover, run *that* plan, report.
//!
//! The plan that was shown or agreed to is the plan that runs. Another one, after somebody else's change, is told and asked about again.

use std::path::PathBuf;
use std::time::Duration;

use plan::{
    Engine, Faults, Holder, Journal, JournalError, Lock, NotUndone, Outcome, Phase, Plan, Reader, Recovery,
    RunId,
};
use tokio_util::sync::CancellationToken;

use super::planned::Planned;
use crate::action::{Action, revive};
use crate::error::{Error, Exit};
use crate::part::database::readiness::Patience;
use crate::place::holder::refuse_elsewhere;
use crate::place::layout::{self, Layout};
use crate::place::machine::{ROOT_MODE, make_dir};
use crate::state::words::UNINSTALL;
use crate::whereabouts::here;
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

    /// How it goes on with a run of the operation `interrupted` that a kill left half-way. An interrupted removal is taken back: only
    /// `uninstall` itself was asked to remove.
    fn recovery(&self, interrupted: &str) -> Recovery {
        if interrupted == UNINSTALL { Recovery::Undo } else { Recovery::Resume }
    }

    /// Whether [`report`](Operation::report) has work to do although the plan is empty.
    fn finishes_without_steps(&self) -> bool {
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
    /// Whether an interrupted run was brought to its end just before.
    pub(crate) recovered: bool,
    /// The plan is only shown: nothing foreign may run for it.
    pub(crate) only_shown: bool,
}

/// Everything a changing operation needs of its caller.
pub struct Caller<'a> {
    /// Who asks: a user name.
    pub who: String,
    /// Why, in words; shown to whoever finds the lock taken, and kept in the history.
    pub why: String,
    /// Reads the events of the run.
    pub reader: &'a mut dyn Reader,
    /// Failures to inject.
    pub faults: Faults,
    /// Ctrl-C.
    pub cancel: CancellationToken,
    /// Asked before the first change.
    pub consent: Consent<'a>,
}

/// Who agrees to a plan.
pub enum Consent<'a> {
    /// Nobody is asked.
    Given,
    /// Asked with the plan, or without one where an interrupted run comes first and the plan is made after it. Answers whether to go on.
    Ask(&'a mut Question<'a>),
}

/// A question to the user about a plan; an error where nobody can be asked.
pub type Question<'a> = dyn FnMut(Option<&Plan<Action>>) -> Result<bool, Error> + 'a;

impl Consent<'_> {
    fn to(&mut self, plan: Option<&Plan<Action>>) -> Result<bool, Error> {
        match self {
            Self::Given => Ok(true),
            Self::Ask(question) => question(plan),
        }
    }
}

impl Caller<'_> {
    fn looking(&mut self, wait: Duration, recovered: bool) -> Looking<'_> {
        let patience = Patience { wait, reader: &mut *self.reader, cancel: self.cancel.clone() };
        Looking { patience, recovered, only_shown: false }
    }
}

/// The plan that [`run`] would run. Changes nothing, runs nothing foreign, and does not wait for a database.
///
/// # Errors
/// What [`run`] would refuse before its first step.
pub async fn planned<O: Operation>(operation: &O, world: &World) -> Result<Planned, Error> {
    let patience = Patience { wait: Duration::ZERO, reader: &mut (), cancel: CancellationToken::new() };
    refuse_others(world).await?;
    let interrupted = interrupted(&world.layout).await?;
    let looking = Looking { patience, recovered: false, only_shown: true };
    let seen = operation.look(world, looking).await?;
    let remarks = operation.remarks(&seen);
    Ok(Planned { plan: operation.plan(world, &seen)?, interrupted, remarks })
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
    refuse_others(world).await?;
    let wait = operation.wait();
    let before = Past::read(&world.layout).await?;
    // Without the lock and without a trace: what is refused here leaves not even a directory.
    let first = if before.unfinished {
        None
    } else {
        let seen = operation.look(world, caller.looking(wait, false)).await?;
        let plan = operation.plan(world, &seen)?;
        if plan.steps.is_empty() && !operation.finishes_without_steps() {
            return operation.report(world, seen, false).await.map(Some);
        }
        Some((seen, plan))
    };
    if !caller.consent.to(first.as_ref().map(|(_, plan)| plan))? {
        return Ok(None);
    }
    let turn = Turn::take(world, O::NAME, &caller).await?;
    let ran = under_lock(operation, world, &turn, before, first, &mut caller).await;
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
    let now = Past::of(&turn.journal).await?;
    let (seen, plan) = match first {
        Some(first) if now == before => first,
        first => {
            let seen = operation.look(world, caller.looking(wait, recovered)).await?;
            let plan = operation.plan(world, &seen)?;
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
    let changed = !plan.steps.is_empty();
    if changed && let Err(failed) = turn.run(&plan, world, caller).await? {
        let seen = operation.look(world, caller.looking(Duration::ZERO, false)).await;
        let after = seen.and_then(|seen| operation.plan(world, &seen));
        return Err(failed.error(&plan, after));
    }
    operation.report(world, seen, changed).await.map(Some)
}

/// What the journal knew at some moment: by it one sees whether another operation has run since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Past {
    last: Option<RunId>,
    unfinished: bool,
}

impl Past {
    /// Of a deployment that may have no journal. Nothing is made.
    async fn read(layout: &Layout) -> Result<Self, Error> {
        if !layout.journal().exists() {
            return Ok(Self::default());
        }
        let journal = Journal::open_read_only(&layout.journal()).await?;
        Self::of(&journal).await
    }

    async fn of(journal: &Journal) -> Result<Self, Error> {
        let last = journal.last().await?;
        Ok(Self { last: last.map(|(run, _)| run), unfinished: last.is_some_and(|(_, finished)| !finished) })
    }
}

/// Refuses to change a deployment whose agent runs elsewhere, or is of a newer Mainstay.
///
/// # Errors
/// It is so.
async fn refuse_others(world: &World) -> Result<(), Error> {
    refuse_elsewhere(&world.layout)?;
    match world.agent.status().await? {
        Some(status) => status.refuse_newer(&world.version),
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
    async fn take(world: &World, operation: &str, caller: &Caller<'_>) -> Result<Self, Error> {
        let layout = &world.layout;
        make_dir(layout.root(), ROOT_MODE, None)?;
        make_dir(&layout.run(), 0o700, None)?;
        let lock = Lock::acquire(&layout.lock(), &holder(world, operation, caller))?;
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

    /// Brings a run that a kill left half-way to its end, or back. Says whether there was one.
    ///
    /// # Errors
    /// It was going forward and failed now: it is undone, and what was asked for today is not begun on top of that.
    async fn recover<O: Operation>(
        &self,
        operation: &O,
        world: &World,
        caller: &mut Caller<'_>,
    ) -> Result<bool, Error> {
        let Some((_, plan, state)) = self.journal.unfinished::<Action>().await? else { return Ok(false) };
        let recovery = operation.recovery(&plan.operation);
        if recovery == Recovery::Resume
            && let Phase::Ready(next) | Phase::Running(next) = state.phase
            && let Err(error) = revive(&plan.steps[..next], world).await
        {
            // The step that counts on it says so, and the run is undone.
            tracing::warn!(%error, "a part that ran does not start again");
        }
        let going_back = recovery == Recovery::Undo
            || matches!(state.phase, Phase::Unwinding(_) | Phase::Undoing(_) | Phase::Stuck(..));
        let outcome = self.engine(caller).recover(world, recovery).await?;
        if matches!(outcome, Some(Outcome::Undone { .. })) {
            // It may be of what is undone now.
            host::disk::remove_file(&world.layout.report())?;
        }
        if let Some(outcome) = outcome
            && let Err(failed) = ended(outcome)?
            && !(going_back && failed.not_undone.is_empty())
        {
            return Err(failed.of_earlier_run(&plan));
        }
        forget_before(&world.layout)?;
        Ok(true)
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
        let report = std::fs::read(world.layout.report()).ok();
        let outcome = self.engine(caller).run(plan, world).await?;
        if matches!(outcome, Outcome::Undone { .. }) {
            // The test was of what is undone now: the report of what is there counts again.
            match report {
                Some(report) => host::disk::atomic_write(&world.layout.report(), &report, 0o600, None)?,
                None => host::disk::remove_file(&world.layout.report())?,
            }
        }
        let ended = ended(outcome)?;
        if ended.is_ok() {
            forget_before(&world.layout)?;
        }
        Ok(ended)
    }

    fn engine<'a>(&'a self, caller: &'a mut Caller<'_>) -> Engine<'a, Action> {
        let (faults, cancel) = (caller.faults.clone(), caller.cancel.clone());
        Engine::new(&self.journal, &self.lock, &mut *caller.reader, faults, cancel)
    }
}

fn holder(world: &World, operation: &str, caller: &Caller<'_>) -> Holder {
    Holder::new(&caller.who, operation, &caller.why, &world.version).at(here())
}

/// Removes what was kept for an undo; only after the run is done, because until then it may be needed.
fn forget_before(layout: &Layout) -> Result<(), Error> {
    Ok(host::disk::remove_tree(&layout.before())?)
}

/// A run that failed and was undone.
struct Failed {
    /// Why.
    error: Error,
    /// What stays.
    not_undone: Vec<NotUndone>,
}

/// An outcome as the command line tells it.
fn ended(outcome: Outcome) -> Result<Result<(), Failed>, Error> {
    match outcome {
        Outcome::Done { .. } => Ok(Ok(())),
        Outcome::Undone { failure, step, not_undone, .. } => {
            let kind =
                if failure.code == Some(Exit::NotVerified.code()) { Exit::NotVerified } else { Exit::Undone };
            let detail = match &*failure.detail {
                "" => format!("in step `{step}`"),
                detail => format!("in step `{step}`: {detail}"),
            };
            let mut error = Error::new(kind, failure.message).detail(detail);
            error.hint = failure.hint;
            Ok(Err(Failed { error, not_undone }))
        }
        Outcome::NeedsYou { failure, step, .. } => {
            Err(Error::new(Exit::NeedsYou, format!("`{step}` could not be undone: {}", failure.message))
                .hint(failure.hint.unwrap_or_else(|| {
                    "remove the cause, then run the command again: it goes on from there".to_owned()
                }))
                .detail(failure.detail))
        }
    }
}

impl Failed {
    /// With what the undo came to. `after` is the plan that the same operation would make now: where it is the one that was undone,
    /// the deployment is as it was before.
    fn error(self, before: &Plan<Action>, after: Result<Plan<Action>, Error>) -> Error {
        let Self { mut error, not_undone } = self;
        if let Some(lasting) = lasting(&not_undone) {
            error.exit = Exit::NeedsYou;
            error.what = format!("{}; it was undone, but for this: {lasting}", error.what);
            return error;
        }
        error.what = match after {
            Ok(after) if after.to_string() == before.to_string() => {
                format!("{}; everything is as before", error.what)
            }
            Ok(after) => {
                format!("{}; it was undone, and the deployment is not quite as before: {after}", error.what)
            }
            Err(why) => {
                format!(
                    "{}; it was undone, but whether everything is as before cannot be told: {why}",
                    error.what
                )
            }
        };
        error
    }

    /// Of a run that was interrupted earlier, and failed when it was resumed. What was there before it is not known any more.
    fn of_earlier_run(self, plan: &Plan<Action>) -> Error {
        let Self { mut error, not_undone } = self;
        let (operation, what) = (&plan.operation, &error.what);
        error.what = match lasting(&not_undone) {
            None => format!("the interrupted `{operation}` went on and failed: {what}; it was undone"),
            Some(lasting) => {
                error.exit = Exit::NeedsYou;
                format!(
                    "the interrupted `{operation}` went on and failed: {what}; it was undone, but for this: {lasting}"
                )
            }
        };
        error
    }
}

/// What stays although it was undone, in words.
fn lasting(not_undone: &[NotUndone]) -> Option<String> {
    let lines = not_undone.iter().map(|lasting| format!("{} ({})", lasting.title, lasting.why));
    let lines = lines.collect::<Vec<_>>();
    (!lines.is_empty()).then(|| lines.join("; "))
}

/// What [`repair_journal`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repair {
    /// The damaged journal is here now, and the next operation begins a new one.
    SetAside(PathBuf),
    /// The unfinished run, whose plan this version cannot read, is given up: what its steps did stays.
    Abandoned(RunId),
}

/// Makes a journal usable again that no operation could use: a damaged one is moved aside, and a run that another version began and this
/// one cannot read is given up. Nothing else is touched.
///
/// # Errors
/// Another operation runs; the journal cannot be read for another reason, or not be moved.
pub async fn repair_journal(world: &World, caller: &Caller<'_>) -> Result<Option<Repair>, Error> {
    let path = world.layout.journal();
    if !path.exists() {
        return Ok(None);
    }
    refuse_elsewhere(&world.layout)?;
    make_dir(&world.layout.run(), 0o700, None)?;
    let lock = Lock::acquire(&world.layout.lock(), &holder(world, "repair", caller))?;
    let journal = match Journal::open(&path).await {
        Ok(journal) => journal,
        Err(JournalError::Corrupt { .. }) => return Ok(Some(Repair::SetAside(Journal::set_aside(&path)?))),
        Err(error) => return Err(error.into()),
    };
    let unfinished = journal.unfinished::<Action>().await;
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

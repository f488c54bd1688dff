//! `down`: stop everything, keep everything. Always: what an operation needs to be journaled may be missing, full or damaged, and an
//! agent may hang; people stop a deployment because something is wrong with it.
//!
//! Stopping needs no journal to be safe: it may be done again, and nothing is lost by half of it. So where the journal cannot take a
//! run - or holds an interrupted one, which belongs to the command that goes on with it - the parts are stopped without a record.

use std::time::Duration;

use plan::{Lock, LockError, Plan};
use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::boot;
use super::caller::Caller;
use super::halt::{KILL_PATIENCE, SERVICE_PATIENCE, end_leftovers, halt};
use super::record;
use super::runner::{Looking, Operation, run_for};
use super::turn_lock::acquire;
use crate::action::Action;
use crate::boot::{Boot, service};
use crate::control::protocol::Status;
use crate::error::{Error, Exit};
use crate::part::stopping;
use crate::place::ground::ground;
use crate::place::holder::refuse_elsewhere;
use crate::whereabouts::is_stopped;
use crate::world::World;

/// Stops edge, server and agent, in this order. Reports whether anything ran.
#[derive(Debug, Clone, Copy)]
pub struct Down;

impl Operation for Down {
    const NAME: &'static str = "down";
    type Seen = Option<Status>;
    type Report = bool;

    async fn look(&self, world: &World, _: Looking<'_>) -> Result<Self::Seen, Error> {
        ground(&world.layout)?;
        world.agent.status().await
    }

    fn plan(&self, world: &World, running: &Self::Seen) -> Result<Plan<Action>, Error> {
        let title = format!("Stop {}", world.layout.root().display());
        Ok(Plan::new(Self::NAME, title, stopping(running.as_ref())))
    }

    fn works_on_a_full_disk(&self) -> bool {
        true
    }

    /// The command line asks first.
    fn may_lose_a_deleted_database(&self) -> bool {
        true
    }

    fn may_follow_a_move(&self) -> bool {
        true
    }

    fn may_follow_a_deletion(&self) -> bool {
        true
    }

    fn may_follow_another_build(&self) -> bool {
        true
    }

    async fn report(&self, _: &World, _: Self::Seen, changed: bool) -> Result<bool, Error> {
        Ok(changed)
    }
}

/// What [`down`] came to.
#[derive(Debug, Clone, Serialize)]
pub struct Stopped {
    /// Whether anything ran.
    pub changed: bool,
    /// Whether it comes back when the machine starts; `None` where something outside decides that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot: Option<Boot>,
    /// Why the history has no record of it; `None` = it has one, or there was nothing to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unrecorded: Option<String>,
}

/// Stops everything, in whatever state the deployment is. `takes_over`: an operation whose process is stopped is ended. That is safe as
/// every kill is: its journal says where it stands, and the next command goes on from there.
///
/// # Errors
/// Another operation runs; a newer Mainstay runs the deployment; a process cannot be ended; a stop that was recorded failed and was
/// undone.
pub async fn down(world: &World, mut caller: Caller<'_>, takes_over: bool) -> Result<Stopped, Error> {
    refuse_elsewhere(&world.layout)?;
    if takes_over {
        end_stopped_holder(world).await?;
    }
    let why = match obstacle(world).await? {
        Some(why) => why,
        None => match run_for(&Down, world, &mut caller).await {
            Ok(changed) => {
                let left = end_leftovers(world).await?;
                // An agent that ended by itself is not waited for by systemd; one that was killed is about to be started again.
                let service = service::stop(world, Some(SERVICE_PATIENCE)).await?;
                let changed = changed.unwrap_or(false) || left > 0 || service;
                return Ok(Stopped { changed, boot: boot::of_file(world).await, unrecorded: None });
            }
            // Whatever the journal or its disk has: it is no reason to let the server run.
            Err(error) if matches!(error.exit, Exit::NotReady | Exit::NeedsYou) => error.what,
            Err(error) => return Err(error),
        },
    };
    let _lock = lock_where_possible(world, Down::NAME, &mut caller).await?;
    tracing::warn!(why, "stopping without a record");
    let changed = halt(world).await?;
    Ok(Stopped { changed, boot: boot::of_file(world).await, unrecorded: changed.then_some(why) })
}

/// The lock, for what goes on without a record.
///
/// # Errors
/// Another operation runs.
pub(super) async fn lock_where_possible(
    world: &World,
    operation: &str,
    caller: &mut Caller<'_>,
) -> Result<Option<Lock>, Error> {
    match acquire(world, operation, caller).await {
        Ok(lock) => Ok(Some(lock)),
        // Where even the lock cannot be written, no other operation can have it.
        Err(LockError::Io { .. }) => Ok(None),
        Err(held) => Err(held.into()),
    }
}

/// Ends the process that holds the lock, if that is stopped: it would hold the lock for ever.
async fn end_stopped_holder(world: &World) -> Result<(), Error> {
    let lock = world.layout.lock();
    // A lock that cannot be looked at is nobody's.
    let Some(held) = Lock::present_holder(&lock).ok().flatten().filter(is_stopped) else { return Ok(()) };
    let pid = i32::try_from(held.pid).ok().and_then(Pid::from_raw);
    let ended = pid.map_or(Ok(()), |pid| kill_process(pid, Signal::KILL));
    ended.map_err(|error| {
        Error::not_ready(format!("cannot end process {}: {}", held.pid, crate::error::reason(&error.into())))
            .hint("run `mainstay down --yes` as the user who started it, or as root")
    })?;
    let deadline = Instant::now() + KILL_PATIENCE;
    while Lock::present_holder(&lock)?.is_some_and(|holder| holder == held) && Instant::now() < deadline {
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Why the stop cannot be a recorded run.
///
/// # Errors
/// A newer Mainstay runs the deployment.
async fn obstacle(world: &World) -> Result<Option<String>, Error> {
    match world.agent.status().await {
        Ok(Some(status)) => status.refuse_newer(world.program())?,
        Ok(None) => {}
        Err(error) => return Ok(Some(error.what)),
    }
    Ok(match record::newest(&world.layout).await {
        Ok(Some(run)) if run.finished_at.is_none() && run.plan.operation != Down::NAME => Some(format!(
            "run {}, `{}`, was interrupted; the next `mainstay up` goes on with it",
            run.id, run.plan.operation
        )),
        _ => record::obstacle(&world.layout).await,
    })
}

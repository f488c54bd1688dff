//! `down`: stop everything, keep everything. Always: what an operation needs to be journaled may be missing, full or damaged, and an
//! agent may hang; people stop a deployment because something is wrong with it.
//!
//! Stopping needs no journal to be safe: it may be done again, and nothing is lost by half of it. So where the journal cannot take a
//! run - or holds an interrupted one, which belongs to the command that goes on with it - the parts are stopped without a record.

use std::path::PathBuf;
use std::time::Duration;

use plan::{Journal, Lock, LockError, Plan};
use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::runner::{Caller, Looking, Operation, holder, run_for};
use crate::action::Action;
use crate::control::protocol::{Ask, Status};
use crate::error::{Error, Exit};
use crate::part::stopping;
use crate::place::ground::ground;
use crate::place::holder::refuse_elsewhere;
use crate::world::World;

/// How long an agent that answers may take to stop everything: connections drain, then the server has its grace.
const STOP_PATIENCE: Duration = Duration::from_secs(90);

/// How long an agent that does not answer may take to end by itself when it is told by a signal.
const LAST_PATIENCE: Duration = Duration::from_secs(20);

/// How long the kernel may take to end a process.
const KILL_PATIENCE: Duration = Duration::from_secs(5);

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

    /// The command line asks first.
    fn may_lose_a_deleted_database(&self) -> bool {
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
    /// Why the history has no record of it; `None` = it has one, or there was nothing to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unrecorded: Option<String>,
}

/// Stops everything, in whatever state the deployment is.
///
/// # Errors
/// Another operation runs; a newer Mainstay runs the deployment; a process cannot be ended; a stop that was recorded failed and was
/// undone.
pub async fn down(world: &World, mut caller: Caller<'_>) -> Result<Stopped, Error> {
    let why = match obstacle(world).await? {
        Some(why) => why,
        None => match run_for(&Down, world, &mut caller).await {
            Ok(changed) => {
                let left = end_leftovers(world).await?;
                return Ok(Stopped { changed: changed.unwrap_or(false) || left > 0, unrecorded: None });
            }
            // Whatever the journal or its disk has: it is no reason to let the server run.
            Err(error) if matches!(error.exit, Exit::NotReady | Exit::NeedsYou) => error.what,
            Err(error) => return Err(error),
        },
    };
    // Where even the lock cannot be written, no other operation can have it.
    let _lock = match Lock::acquire(&world.layout.lock(), &holder(world, Down::NAME, &caller)) {
        Ok(lock) => Some(lock),
        Err(LockError::Io { .. }) => None,
        Err(held) => return Err(held.into()),
    };
    tracing::warn!(why, "stopping without a record");
    let changed = halt(world).await?;
    Ok(Stopped { changed, unrecorded: changed.then_some(why) })
}

/// Why the stop cannot be a recorded run.
///
/// # Errors
/// Another container or machine runs the deployment, or a newer Mainstay.
async fn obstacle(world: &World) -> Result<Option<String>, Error> {
    refuse_elsewhere(&world.layout)?;
    match world.agent.status().await {
        Ok(Some(status)) => status.refuse_newer(&world.version)?,
        Ok(None) => {}
        Err(error) => return Ok(Some(error.what)),
    }
    let path = world.layout.journal();
    if !path.exists() {
        return Ok(None);
    }
    let newest = async {
        let journal = Journal::open_read_only(&path).await?;
        Ok::<_, plan::JournalError>(journal.runs(1).await?.pop())
    };
    Ok(match newest.await {
        Ok(Some(run)) if run.finished_at.is_none() && run.plan.operation != Down::NAME => Some(format!(
            "run {}, `{}`, was interrupted; the next `mainstay up` goes on with it",
            run.id, run.plan.operation
        )),
        Ok(_) => None,
        Err(error) => Some(error.to_string()),
    })
}

/// Stops what runs, by whatever works. Says whether anything ran.
async fn halt(world: &World) -> Result<bool, Error> {
    let answers = world.agent.status().await;
    let mut changed = false;
    if let Ok(Some(_)) = answers {
        changed = true;
        if let Err(error) = world.agent.ask(&Ask::ShutDown, STOP_PATIENCE).await {
            tracing::warn!(%error, "the agent does not stop when it is asked");
        }
    }
    changed |= end_agent(world, matches!(answers, Ok(Some(_)))).await?;
    Ok(end_leftovers(world).await? > 0 || changed)
}

/// Ends an agent that lives: one that was asked to ends by itself, another one is told by signals.
async fn end_agent(world: &World, asked: bool) -> Result<bool, Error> {
    let lock = world.layout.agent_lock();
    let Some(agent) = Lock::present_holder(&lock)? else { return Ok(false) };
    let away = async |patience: Duration| -> Result<bool, Error> {
        let deadline = Instant::now() + patience;
        while Lock::present_holder(&lock)?.is_some() {
            if Instant::now() > deadline {
                return Ok(false);
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(true)
    };
    if asked && away(KILL_PATIENCE).await? {
        return Ok(true);
    }
    // Only a process that is an agent of this directory: the file may be older than its number, or of another container.
    let pid = i32::try_from(agent.pid).ok().and_then(Pid::from_raw).filter(|_| is_agent_of(world, agent.pid));
    let Some(pid) = pid else {
        return Err(Error::not_ready(format!(
            "the agent does not answer, and its process {} is not one of this machine or container",
            agent.pid
        ))
        .hint("stop it where it runs"));
    };
    let send = |signal| {
        kill_process(pid, signal).map_err(|error| {
            Error::not_ready(format!(
                "cannot end the agent, process {}: {}",
                agent.pid,
                crate::error::reason(&error.into())
            ))
            .hint("run `mainstay down` as the user who started it, or as root")
        })
    };
    // One that was stopped by a signal ends in order when it goes on; TERM waits for it there.
    send(Signal::TERM)?;
    send(Signal::CONT)?;
    if away(LAST_PATIENCE).await? {
        return Ok(true);
    }
    send(Signal::KILL)?;
    if away(KILL_PATIENCE).await? {
        return Ok(true);
    }
    Err(Error::not_ready(format!("the agent, process {}, does not end", agent.pid))
        .hint(format!("end it with `kill -9 {}` as root", agent.pid)))
}

/// Whether the process is the agent of this deployment's directory.
fn is_agent_of(world: &World, pid: u32) -> bool {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
    let root = world.layout.root().as_os_str().as_encoded_bytes();
    words.contains(&b"agent".as_slice()) && words.contains(&root)
}

/// Ends the programs that an agent has left behind, and says how many processes that were.
async fn end_leftovers(world: &World) -> Result<usize, Error> {
    let files = pid_files(world);
    let ended = tokio::task::spawn_blocking(move || {
        files.iter().try_fold(0, |sum, file| host::leftover::end(file).map(|ended| sum + ended))
    });
    let ended = ended.await.map_err(|error| Error::new(Exit::Bug, error.to_string()))?;
    ended.map_err(|error| Error::not_ready(error.to_string()))
}

/// What the agent kept of the processes that it started.
fn pid_files(world: &World) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(world.layout.run()).into_iter().flatten();
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "pid")).collect()
}

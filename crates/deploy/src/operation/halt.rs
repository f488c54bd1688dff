//! Stopping by whatever works: the agent that is asked, the agent that is told by signals, the programs that an agent has left behind.

use std::path::PathBuf;
use std::time::Duration;

use plan::Lock;
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};

use crate::boot::service;
use crate::control::presence::{lives, process};
use crate::control::protocol::Ask;
use crate::error::{Error, Exit};
use crate::world::World;

/// How long an agent that answers may take to stop everything: connections drain, then the server has its grace.
const STOP_PATIENCE: Duration = Duration::from_secs(90);

/// How long an agent that does not answer may take to end by itself when it is told by a signal.
const LAST_PATIENCE: Duration = Duration::from_secs(20);

/// How long the kernel may take to end a process.
pub(super) const KILL_PATIENCE: Duration = Duration::from_secs(5);

/// How long systemd may take to stop a unit whose agent has ended.
pub(super) const SERVICE_PATIENCE: Duration = Duration::from_secs(90);

/// Stops what runs, by whatever works. Says whether anything ran.
pub(super) async fn halt(world: &World) -> Result<bool, Error> {
    let answers = world.agent.status().await;
    let mut changed = false;
    if let Ok(Some(_)) = answers {
        changed = true;
        if let Err(error) = world.agent.ask(&Ask::ShutDown, STOP_PATIENCE).await {
            tracing::warn!(%error, "the agent does not stop when it is asked");
        }
    }
    // So that systemd does not start an agent again that has to be killed. Where it does not answer, the signals come all the same.
    match service::stop(world, None).await {
        Ok(stops) => changed |= stops,
        Err(error) => tracing::warn!(%error, "systemd does not stop the unit"),
    }
    changed |= end_agent(world, matches!(answers, Ok(Some(_)))).await?;
    Ok(end_leftovers(world).await? > 0 || changed)
}

/// Ends an agent that lives: one that was asked to ends by itself, another one is told by signals.
async fn end_agent(world: &World, asked: bool) -> Result<bool, Error> {
    if !lives(&world.layout)? {
        return Ok(false);
    }
    let away = async |patience: Duration| -> Result<bool, Error> {
        let deadline = Instant::now() + patience;
        while lives(&world.layout)? {
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
    // Only a process that is an agent of this directory: the lock's file may be older than its number, or of another container.
    let Some(number) = process(&world.layout) else {
        // It may have ended just now.
        let Some(holder) = Lock::present_holder(&world.layout.agent_lock())? else { return Ok(true) };
        return Err(Error::not_ready(format!(
            "the agent does not answer, and its process {} is not one of this machine or container",
            holder.pid
        ))
        .hint("stop it where it runs"));
    };
    let Some(pid) = Pid::from_raw(number.cast_signed()) else { return Ok(false) };
    let send = |signal| {
        kill_process(pid, signal).map_err(|error| {
            Error::not_ready(format!(
                "cannot end the agent, process {number}: {}",
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
    Err(Error::not_ready(format!("the agent, process {number}, does not end"))
        .hint(finding::hint!("end it with `kill -9 {}` as root", number)))
}

/// Ends the programs that an agent has left behind, and says how many processes that were.
pub(super) async fn end_leftovers(world: &World) -> Result<usize, Error> {
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

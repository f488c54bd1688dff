//! The running parts: the agent, and through it the server and the edge.

use std::time::Duration;

use plan::{Progress, Step, Undo};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Action, blocking, step};
use crate::boot::service;
use crate::control::health;
use crate::control::presence::lives;
use crate::control::protocol::{Ask, EDGE, EdgeSpec, SERVER, ScheduleEntry, ServerSpec};
use crate::error::Error;
use crate::world::World;

/// How long the agent may take to answer its first question.
pub(super) const AGENT_PATIENCE: Duration = Duration::from_secs(10);

/// How long a server may take to become healthy; a first start migrates (upstream unit: TimeoutStartSec 3600).
pub(super) const SERVER_PATIENCE: Duration = Duration::from_secs(3600);

/// How long the agent may take to stop everything: connections drain, then the server has its grace.
pub(super) const STOP_PATIENCE: Duration = Duration::from_secs(90);

/// Whether something shall run, and so what its undo does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Switch {
    /// Start it; the undo stops it.
    On,
    /// Stop it; the undo starts it.
    Off,
}

/// Starts or stops the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// Which of the two.
    pub switch: Switch,
}

impl Agent {
    pub(crate) fn step(self) -> Step<Action> {
        match self.switch {
            Switch::On => step("agent", "Start the agent", Undo::by("Stop it"), 50, self),
            Switch::Off => step("stop-agent", "Stop the agent", Undo::by("Start it again"), 50, self),
        }
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        match self.switch {
            Switch::On => start_agent(world).await,
            Switch::Off => stop_agent(world).await,
        }
        .map(|()| Value::Null)
    }

    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        match self.switch {
            Switch::On => stop_agent(world).await,
            Switch::Off => start_agent(world).await,
        }
    }
}

pub(super) async fn start_agent(world: &World) -> Result<(), Error> {
    if world.agent.status().await?.is_some() {
        return Ok(());
    }
    if service::start(world).await? {
        return Ok(());
    }
    let said = world.layout.run().join("agent.out");
    host::disk::remove_file(&said)?;
    let daemon = host::daemon::Daemon {
        program: world.mainstay.clone(),
        args: vec!["agent".into(), "--dir".into(), world.layout.root().as_os_str().to_owned()],
        env: world.env.clone(),
        cwd: "/".into(),
        output: said.clone(),
    };
    let mut process = blocking(move || Ok(daemon.start()?)).await?;
    let deadline = tokio::time::Instant::now() + AGENT_PATIENCE;
    loop {
        // One that is there and does not listen yet may still come to it.
        if let Ok(Some(_)) = world.agent.status().await {
            return Ok(());
        }
        let ended = process.try_wait().map_err(|error| Error::path("watch", &world.mainstay, &error))?;
        if ended.is_some() || tokio::time::Instant::now() > deadline {
            let said = std::fs::read_to_string(&said).unwrap_or_default();
            let last = said.trim().lines().last().unwrap_or("it said nothing").to_owned();
            return Err(Error::not_ready(format!("the agent did not start: {last}"))
                .hint(format!("its log is {}", world.layout.log(crate::LogPart::Agent).display()))
                .detail(said));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(super) async fn stop_agent(world: &World) -> Result<(), Error> {
    let Some(status) = world.agent.status().await? else { return Ok(()) };
    if service::is_within(world) {
        // systemd would end this process with the agent. It decides about the agent itself, by how this process ends.
        return Ok(());
    }
    // It answers when all it supervised is gone, and ends right after.
    world.agent.ask(&Ask::ShutDown, STOP_PATIENCE).await?;
    wait_for_end(world, status.agent_pid).await
}

/// Waits for the end of the agent's process, which frees its lock.
async fn wait_for_end(world: &World, pid: u32) -> Result<(), Error> {
    let deadline = tokio::time::Instant::now() + AGENT_PATIENCE;
    while lives(&world.layout)? {
        if tokio::time::Instant::now() > deadline {
            return Err(Error::not_ready(format!(
                "the agent (process {pid}) has stopped everything but does not end"
            )));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// Starts or stops the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// Which of the two.
    pub switch: Switch,
    /// The server it is about.
    pub spec: ServerSpec,
}

impl Server {
    pub(crate) fn step(self) -> Step<Action> {
        match self.switch {
            Switch::On => step("server", "Start the server", Undo::by("Stop it"), 300, self),
            Switch::Off => step("stop-server", "Stop the server", Undo::by("Start it again"), 500, self),
        }
    }

    pub(super) async fn apply(&self, world: &World, progress: &Progress) -> Result<Value, Error> {
        self.set(self.switch, world, Some(progress)).await.map(|()| Value::Null)
    }

    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        match self.switch {
            Switch::On => self.set(Switch::Off, world, None).await,
            Switch::Off => self.set(Switch::On, world, None).await,
        }
    }

    async fn set(&self, switch: Switch, world: &World, progress: Option<&Progress>) -> Result<(), Error> {
        match switch {
            Switch::On => {
                start_agent(world).await?;
                world.agent.ask(&Ask::start_server(self.spec.clone()), AGENT_PATIENCE).await?;
                health::wait(world, &self.spec, SERVER_PATIENCE, progress).await
            }
            Switch::Off if world.agent.status().await?.is_none() => Ok(()),
            Switch::Off => world.agent.ask(&Ask::stop(SERVER), STOP_PATIENCE).await.map(|_| ()),
        }
    }
}

/// Opens the edge, changes it, or closes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// How it shall answer; `None` = not at all.
    pub spec: Option<EdgeSpec>,
    /// How it answered before; `None` = not at all.
    pub before: Option<EdgeSpec>,
}

impl Edge {
    pub(crate) fn step(self) -> Step<Action> {
        match (&self.spec, &self.before) {
            (Some(spec), before) => {
                let undo = if before.is_some() { "Open it as before" } else { "Close it" };
                step(
                    "edge",
                    format!("Open the edge at {}", host::Listen::from(spec.listen).words()),
                    Undo::by(undo),
                    10,
                    self,
                )
            }
            (None, _) => step("close-edge", "Close the edge", Undo::by("Open it again"), 200, self),
        }
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        set_edge(world, self.spec.as_ref()).await.map(|()| Value::Null)
    }

    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        set_edge(world, self.before.as_ref()).await
    }
}

async fn set_edge(world: &World, spec: Option<&EdgeSpec>) -> Result<(), Error> {
    let ask = match spec {
        Some(spec) => Ask::open_edge(spec.clone()),
        // Without an agent it is closed.
        None if world.agent.status().await?.is_none() => return Ok(()),
        None => Ask::stop(EDGE),
    };
    world.agent.ask(&ask, STOP_PATIENCE).await.map(|_| ())
}

/// Replaces what begins by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// Every entry that there shall be.
    pub entries: Vec<ScheduleEntry>,
    /// Those before.
    pub before: Vec<ScheduleEntry>,
}

impl Schedule {
    pub(crate) fn step(self) -> Step<Action> {
        step("schedule", "Set the schedule", Undo::by("Set it as before"), 10, self)
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        set_schedule(world, &self.entries).await.map(|()| Value::Null)
    }

    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        set_schedule(world, &self.before).await
    }
}

pub(super) async fn set_schedule(world: &World, entries: &[ScheduleEntry]) -> Result<(), Error> {
    // Without an agent nothing begins.
    if entries.is_empty() && world.agent.status().await?.is_none() {
        return Ok(());
    }
    world.agent.ask(&Ask::Schedule { entries: entries.to_vec() }, AGENT_PATIENCE).await.map(|_| ())
}

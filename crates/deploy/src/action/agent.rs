//! The running parts: the agent, and through it the server and the edge.

use std::time::Duration;

use plan::{Progress, Step, Undo};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Action, blocking, revival, step};
use crate::boot::service;
use crate::control::health;
use crate::control::presence::lives;
use crate::control::program::{Age, Program};
use crate::control::protocol::{Ask, EDGE, EdgeSpec, PartSpec, SERVER, ScheduleEntry, ServerSpec, Status};
use crate::error::Error;
use crate::world::World;

/// How long the agent may take to answer its first question.
pub(super) const AGENT_PATIENCE: Duration = Duration::from_secs(10);

/// How long a server may take to become healthy; a first start migrates (upstream unit: TimeoutStartSec 3600).
pub(super) const SERVER_PATIENCE: Duration = Duration::from_secs(3600);

/// How long the agent may take to stop everything: connections drain, then the server has its grace.
pub(super) const STOP_PATIENCE: Duration = Duration::from_secs(90);

/// The first protocol in which an agent can hand over.
const HANDS_OVER: u32 = 2;

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

/// The agent of an older version, or of another build of this one, becomes this program's, and what runs goes on. Where that fails for good, a new agent is started with the same
/// parts, so the server restarts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandOver {
    /// The older version; `None` where it does not tell one.
    from: Option<String>,
    /// The version of the protocol that it speaks.
    protocol: u32,
    /// What runs, in the order in which it is started.
    parts: Vec<(String, PartSpec)>,
    #[serde(default)]
    schedule: Vec<ScheduleEntry>,
}

impl HandOver {
    /// What the agent of another program runs; `None` where it is this program, or a newer one.
    pub(crate) fn from(status: &Status, ours: Program<'_>) -> Option<Self> {
        let Status { version: from, protocol, .. } = status.clone();
        let schedule = status.scheduled();
        matches!(status.age(ours), Age::Older | Age::OtherBuild).then(|| Self {
            from,
            protocol,
            parts: status.specs(),
            schedule,
        })
    }

    /// What ran before it, and runs after it.
    pub(super) fn parts(&self) -> &[(String, PartSpec)] {
        &self.parts
    }

    /// Its undo is nothing: what ran before runs then, too.
    pub(crate) fn step(self) -> Step<Action> {
        let title = match &self.from {
            Some(from) if self.protocol >= HANDS_OVER => {
                format!("Replace the agent of Mainstay {from}; what runs goes on")
            }
            _ => "Replace the agent of an early Mainstay; the server restarts".to_owned(),
        };
        step("hand-over", title, Undo::Nothing, 200, self)
    }

    pub(super) async fn apply(&self, world: &World, progress: &Progress) -> Result<Value, Error> {
        if let Some(status) = world.agent.status().await? {
            match status.age(world.program()) {
                Age::Older | Age::OtherBuild if status.protocol >= HANDS_OVER => {
                    let ask = Ask::HandOver { program: world.mainstay.clone() };
                    let Err(refused) = world.agent.ask(&ask, STOP_PATIENCE).await else {
                        return Ok(Value::Null);
                    };
                    // It refused and goes on; or the new program has ended, and everything with it.
                    if is_running(world).await? {
                        return Err(refused);
                    }
                }
                Age::Older | Age::OtherBuild => stop_agent(world).await?,
                Age::Same | Age::Newer => return Ok(Value::Null),
            }
        }
        start_agent(world).await?;
        for (part, spec) in &self.parts {
            revival::start(world, part, spec, Some(progress)).await?;
        }
        set_schedule(world, &self.schedule).await?;
        Ok(Value::Null)
    }

    /// What ran before runs now.
    pub(super) async fn undo(&self, _: &World, _: Option<&Value>) -> Result<(), Error> {
        Ok(())
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

async fn stop_agent(world: &World) -> Result<(), Error> {
    let Some(status) = world.agent.status().await? else { return Ok(()) };
    if service::is_within(world) {
        // systemd would end this process with the agent. It decides about the agent itself, by how this process ends.
        return Ok(());
    }
    // It answers when all it supervised is gone, and ends right after.
    world.agent.ask(&Ask::ShutDown, STOP_PATIENCE).await?;
    wait_for_end(world, status.agent_pid).await
}

/// Whether an agent still runs: it answers, or its lock is free. One that is ending does neither for a moment.
async fn is_running(world: &World) -> Result<bool, Error> {
    let deadline = tokio::time::Instant::now() + AGENT_PATIENCE;
    while lives(&world.layout)? {
        let late = tokio::time::Instant::now() > deadline;
        match world.agent.status().await {
            Ok(Some(_)) => return Ok(true),
            Ok(None) if late => return Ok(false),
            Err(error) if late => return Err(error),
            Ok(None) | Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
    Ok(false)
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

async fn set_schedule(world: &World, entries: &[ScheduleEntry]) -> Result<(), Error> {
    // Without an agent nothing begins.
    if entries.is_empty() && world.agent.status().await?.is_none() {
        return Ok(());
    }
    world.agent.ask(&Ask::Schedule { entries: entries.to_vec() }, AGENT_PATIENCE).await.map(|_| ())
}

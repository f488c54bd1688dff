//! The managed PostgreSQL, started and stopped by the agent.

use std::time::Duration;

use plan::{Progress, Step, Undo};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::agent::{AGENT_PATIENCE, STOP_PATIENCE, start_agent};
use super::{Action, Switch, step};
use crate::control::protocol::{Ask, DATABASE, PostgresSpec};
use crate::error::Error;
use crate::place::postgres::administrator;
use crate::state::database_failure;
use crate::world::World;

/// How long PostgreSQL may take until it answers: after a crash it replays what it wrote ahead.
const START_PATIENCE: Duration = Duration::from_secs(600);

/// How long one question may take.
const QUESTION: Duration = Duration::from_secs(5);

/// How often it has to end before it is known that it does not start.
const ENDS: u64 = 3;

/// Starts or stops PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Postgres {
    /// Which of the two.
    pub switch: Switch,
    /// How it runs.
    pub spec: PostgresSpec,
}

impl Postgres {
    pub(crate) fn step(self) -> Step<Action> {
        match self.switch {
            Switch::On => step("postgres", "Start PostgreSQL", Undo::by("Stop it"), 150, self),
            Switch::Off => step("stop-postgres", "Stop PostgreSQL", Undo::by("Start it again"), 200, self),
        }
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        self.set(self.switch, world).await.map(|()| Value::Null)
    }

    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        match self.switch {
            Switch::On => self.set(Switch::Off, world).await,
            Switch::Off => self.set(Switch::On, world).await,
        }
    }

    async fn set(&self, switch: Switch, world: &World) -> Result<(), Error> {
        match switch {
            Switch::On => {
                start_agent(world).await?;
                world.agent.ask(&Ask::start_postgres(self.spec.clone()), AGENT_PATIENCE).await?;
                wait(world).await
            }
            Switch::Off if world.agent.status().await?.is_none() => Ok(()),
            Switch::Off => world.agent.ask(&Ask::stop(DATABASE), STOP_PATIENCE).await.map(|_| ()),
        }
    }
}

/// Waits until it takes logins.
///
/// # Errors
/// It ends again and again: its last words; the agent is gone.
pub(super) async fn wait(world: &World) -> Result<(), Error> {
    let (administrator, began) = (administrator(&world.layout), Instant::now());
    let mut restarts = None;
    loop {
        let answers = database::answers(&administrator, QUESTION).await;
        if answers.map_err(|failure| database_failure::refused(&failure))? {
            return Ok(());
        }
        let status = world.agent.status().await?;
        let Some(running) = status.as_ref().and_then(|status| status.postgres()) else {
            return Err(Error::not_ready("PostgreSQL was stopped while it started"));
        };
        let first = *restarts.get_or_insert(running.restarts);
        if running.restarts >= first + ENDS || began.elapsed() > START_PATIENCE {
            let log = world.layout.log(crate::LogPart::Database);
            let said = host::tail(&log, 20).unwrap_or_default();
            let last = said.iter().rev().find(|line| line.contains("FATAL") || line.contains("PANIC"));
            let last = last.or(said.last()).map_or("it said nothing", String::as_str);
            return Err(Error::not_ready(format!("PostgreSQL does not start: {last}"))
                .hint(format!("its log is {}; remove the cause, then run `mainstay up`", log.display()))
                .detail(said.join("\n")));
        }
        sleep(Duration::from_millis(10)).await;
    }
}

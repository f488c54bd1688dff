//! The managed PostgreSQL, started and stopped by the agent.

use plan::{Progress, Step, Undo};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::agent::{AGENT_PATIENCE, STOP_PATIENCE, start_agent};
use super::pending::changes_nothing;
use super::{Action, Switch, postgres_start, step};
use crate::control::protocol::{Ask, DATABASE, PostgresSpec};
use crate::error::Error;
use crate::world::World;

/// Starts or stops PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Postgres {
    /// Which of the two.
    pub switch: Switch,
    /// How it runs.
    pub spec: PostgresSpec,
    /// Whether it stops only so that its files can be copied.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub for_copy: bool,
}

impl Postgres {
    pub(crate) fn step(self) -> Step<Action> {
        match self.switch {
            Switch::On => step("postgres", "Start PostgreSQL", Undo::by("Stop it"), 150, self),
            Switch::Off => step("stop-postgres", "Stop PostgreSQL", Undo::by("Start it again"), 200, self),
        }
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        if self.for_copy && changes_nothing(&world.layout) {
            return Ok(Value::Null);
        }
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
                postgres_start::wait(world).await
            }
            Switch::Off if world.agent.status().await?.is_none() => Ok(()),
            Switch::Off => world.agent.ask(&Ask::stop(DATABASE), STOP_PATIENCE).await.map(|_| ()),
        }
    }
}

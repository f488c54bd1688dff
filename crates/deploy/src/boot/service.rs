//! The agent as a service: started and stopped through systemd where a unit is there.

use std::time::Duration;

use host::systemd::{Manager, service_of};
use plan::Lock;
use tokio::time::{Instant, sleep};

use super::attempt;
use super::standing::present;
use crate::error::Error;
use crate::world::World;

/// How long systemd may take to start the agent, whose first act is to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often is looked whether the agent answers.
const LOOK: Duration = Duration::from_millis(20);

/// How often is looked whether the unit has failed.
const LOOK_AT_UNIT: Duration = Duration::from_secs(1);

/// Whether this process is a part of the unit: stopping the unit would end this process in its work.
pub(crate) fn is_within(world: &World) -> bool {
    let own = service_of(std::process::id());
    present(world).is_some_and(|(_, name)| Some(name) == own)
}

/// Has systemd start the agent, and waits until it answers. False where no unit is there.
///
/// # Errors
/// systemd does not start it, with the command that shows why.
pub(crate) async fn start(world: &World) -> Result<bool, Error> {
    let Some((manager, name)) = present(world) else { return Ok(false) };
    // What the unit runs after the agent's start must leave the parts to this operation.
    attempt::leave_to_holder(world)?;
    manager.begin(&name).await?;
    let (deadline, mut look) = (Instant::now() + PATIENCE, Instant::now() + LOOK_AT_UNIT);
    while world.agent.status().await?.is_none() {
        let now = Instant::now();
        let failed = now > look && !manager.show(&name).await?.is_up();
        if failed || now > deadline {
            return Err(failed_to_start(&manager, &name));
        }
        if now > look {
            look = now + LOOK_AT_UNIT;
        }
        sleep(LOOK).await;
    }
    Ok(true)
}

fn failed_to_start(manager: &Manager, name: &str) -> Error {
    let journal = match manager.scope() {
        host::systemd::Scope::System => "journalctl",
        host::systemd::Scope::User => "journalctl --user",
    };
    Error::not_ready(format!("systemd did not start {name}")).hint(format!(
        "`{journal} --unit {name}` says why; `mainstay up --no-boot` runs the deployment without systemd"
    ))
}

/// Stops the unit where systemd still has it up: its agent ended otherwise than by its own decision, and would be started again. `None`
/// for how long to wait: only begins to. Says whether it was up.
///
/// # Errors
/// systemd does not stop it.
pub(crate) async fn stop(world: &World, wait: Option<Duration>) -> Result<bool, Error> {
    let Some((manager, name)) = present(world) else { return Ok(false) };
    if is_within(world) || !manager.show(&name).await?.is_up() {
        return Ok(false);
    }
    manager.stop(&name, wait).await?;
    Ok(true)
}

/// The unit that the running agent belongs to; the outer `None`: no agent runs.
pub(crate) fn of_agent(world: &World) -> Option<Option<String>> {
    let holder = Lock::present_holder(&world.layout.agent_lock()).ok().flatten()?;
    Some(service_of(holder.pid))
}

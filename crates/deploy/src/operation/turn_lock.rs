//! The deployment's lock, for an operation. The agent's own recovery is waited for: whoever typed a command did not begin it, and could do
//! nothing else before it.

use std::time::Duration;

use plan::{Holder, Lock, LockError};
use tokio::time::Instant;

use super::caller::Caller;
use crate::state::words::RECOVER;
use crate::whereabouts::{here, is_stopped};
use crate::world::World;

/// How often is looked whether the recovery has ended.
const LOOK: Duration = Duration::from_millis(100);

/// Takes the lock.
///
/// # Errors
/// Another operation has it, and that is not the agent's recovery; or the caller does not want to wait any longer.
pub(super) async fn acquire(
    world: &World,
    operation: &str,
    caller: &mut Caller<'_>,
) -> Result<Lock, LockError> {
    let began = Instant::now();
    let mut told = false;
    loop {
        match Lock::acquire(&world.layout.lock(), &holder(world, operation, caller)) {
            Err(LockError::Held { holder, .. })
                if holder.operation == RECOVER
                    && operation != RECOVER
                    && !is_stopped(&holder)
                    && !caller.cancel.is_cancelled() =>
            {
                if !told {
                    let text = format!("the agent's recovery: {holder}");
                    let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                    caller.reader.read(&plan::Event::Waiting { text, ms });
                    told = true;
                }
                tokio::time::sleep(LOOK).await;
            }
            taken => return taken,
        }
    }
}

/// Who holds the lock for this operation.
pub(super) fn holder(world: &World, operation: &str, caller: &Caller<'_>) -> Holder {
    Holder::new(&caller.who, operation, &caller.why, &world.version).at(here())
}

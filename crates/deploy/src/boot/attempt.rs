//! What the unit runs after the agent has started: whether this `up` is its turn, and how long it waits after failures.

use std::path::PathBuf;
use std::time::Duration;

use plan::{Holder, Lock};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Exit};
use crate::whereabouts::is_stopped;
use crate::world::World;

/// The version of the files.
const FORMAT: u32 = 1;

/// So many attempts follow each other at once: a database may need a moment more.
const AT_ONCE: u32 = 3;

/// The first wait after them; it doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_secs(10);

/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Who started the agent.
#[derive(Debug, Serialize, Deserialize)]
struct Starter {
    format: u32,
    holder: Holder,
}

/// How often the start at boot has failed.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Failures {
    format: u32,
    count: u32,
}

/// What the unit has to do after the agent's start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempt {
    /// Bring everything up, after this wait.
    Go(Duration),
    /// Wait until this operation has ended, then ask again: its agent ended, and it may still finish or undo what it does.
    After(String),
    /// Nothing: the operation that started the agent goes on with it.
    LeaveTo(String),
}

fn starter(world: &World) -> PathBuf {
    world.layout.run().join("agent-starter.json")
}

fn failures(world: &World) -> PathBuf {
    world.layout.run().join("boot-failures.json")
}

/// Notes that the operation which holds the lock starts the agent, and everything after it.
pub(crate) fn leave_to_holder(world: &World) -> Result<(), Error> {
    let Some(holder) = Lock::present_holder(&world.layout.lock())? else { return Ok(()) };
    let text = serde_json::to_vec(&Starter { format: FORMAT, holder }).unwrap_or_default();
    Ok(host::disk::atomic_write(&starter(world), &text, 0o600, None)?)
}

/// What is to be done now.
///
/// # Errors
/// There is no deployment: its disk may not be mounted, and `up` would begin another one.
pub fn attempt(world: &World) -> Result<Attempt, Error> {
    let layout = &world.layout;
    if !layout.journal().exists() {
        let what = format!("there is no deployment in {}", layout.root().display());
        return Err(Error::new(Exit::Refused, what)
            .hint("mount its disk, then start the unit again; `mainstay uninstall` removes a unit that is not needed"));
    }
    let holder = Lock::present_holder(&layout.lock())?;
    let text = std::fs::read(starter(world)).unwrap_or_default();
    let starter = serde_json::from_slice::<Starter>(&text).ok().map(|starter| starter.holder);
    match holder {
        Some(holder) if starter.as_ref() == Some(&holder) => {
            return Ok(Attempt::LeaveTo(holder.to_string()));
        }
        // One that is stopped may never end: `up` says so.
        Some(holder) if !is_stopped(&holder) => return Ok(Attempt::After(holder.to_string())),
        _ => {}
    }
    let text = std::fs::read(failures(world)).unwrap_or_default();
    let failed = serde_json::from_slice::<Failures>(&text).unwrap_or_default();
    Ok(Attempt::Go(wait_after(failed.count)))
}

/// Remembers how the attempt ended. What cannot be written makes the next one wait less.
pub fn attempt_ended(world: &World, well: bool) {
    let path = failures(world);
    if well {
        let _ = host::disk::remove_file(&path);
        return;
    }
    let text = std::fs::read(&path).unwrap_or_default();
    let count = serde_json::from_slice::<Failures>(&text).unwrap_or_default().count.saturating_add(1);
    let text = serde_json::to_vec(&Failures { format: FORMAT, count }).unwrap_or_default();
    let _ = host::disk::atomic_write(&path, &text, 0o600, None);
}

/// How long to wait after so many failures.
pub(crate) fn wait_after(failed: u32) -> Duration {
    match failed.checked_sub(AT_ONCE) {
        None => Duration::ZERO,
        Some(more) => (FIRST_WAIT * 2_u32.saturating_pow(more.min(10))).min(LONGEST_WAIT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::layout::Layout;

    #[test]
    fn failures_make_the_next_attempt_wait() {
        let seconds: Vec<u64> = (0..10).map(|failed| wait_after(failed).as_secs()).collect();
        assert_eq!(seconds, [0, 0, 0, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(wait_after(u32::MAX), LONGEST_WAIT);
    }

    #[test]
    fn an_attempt_is_left_to_the_operation_that_started_the_agent_and_to_no_other() {
        let dir = tempfile::tempdir().expect("a directory");
        let layout = Layout::new(dir.path());
        std::fs::create_dir(layout.run()).expect("run");
        let world = World::new(layout, "/nowhere/mainstay".into(), "0.1.0", [].into());
        let refused = attempt(&world).expect_err("no deployment");
        assert_eq!(refused.exit, Exit::Refused);
        std::fs::write(world.layout.journal(), "").expect("a journal");
        assert_eq!(attempt(&world).expect("its turn"), Attempt::Go(Duration::ZERO));
        let holder = |operation: &str| Holder::new("jo", operation, "a test", "0.1.0");
        let lock = Lock::acquire(&world.layout.lock(), &holder("up")).expect("free");
        assert!(matches!(attempt(&world).expect("not yet"), Attempt::After(_)));
        leave_to_holder(&world).expect("noted");
        assert!(matches!(attempt(&world).expect("a decision"), Attempt::LeaveTo(_)));
        drop(lock);
        let other = Lock::acquire(&world.layout.lock(), &holder("backup")).expect("free");
        assert!(matches!(attempt(&world).expect("not yet"), Attempt::After(_)));
        drop(other);
        assert_eq!(attempt(&world).expect("its turn"), Attempt::Go(Duration::ZERO));
        for _ in 0..4 {
            attempt_ended(&world, false);
        }
        assert_eq!(attempt(&world).expect("its turn"), Attempt::Go(Duration::from_secs(20)));
        attempt_ended(&world, true);
        assert_eq!(attempt(&world).expect("its turn"), Attempt::Go(Duration::ZERO));
    }
}

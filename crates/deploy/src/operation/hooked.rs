//! Operations with hooks: `hooks/before-NAME` is the first step of their plan, `hooks/after-NAME` a run of its own after it.

use plan::Plan;

use super::runner::Operation;
use crate::action::{Action, Hook};
use crate::error::Error;
use crate::hooks;
use crate::state::words::HOOK;
use crate::world::World;

/// Which release becomes which: what a hook is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hooked {
    /// The release before; empty where there is none.
    pub old: String,
    /// The release after.
    pub new: String,
}

/// The operation's plan, with its hook before it.
///
/// # Errors
/// A rule forbids the operation.
pub(super) fn decided<O: Operation>(
    operation: &O,
    world: &World,
    seen: &O::Seen,
) -> Result<Plan<Action>, Error> {
    let mut plan = operation.plan(world, seen)?;
    if !plan.steps.is_empty()
        && let Some(hook) = hook(operation, world, seen, false)
    {
        plan.steps.insert(0, hook.step());
    }
    Ok(plan)
}

/// What runs after the operation.
pub(super) fn afterwards<O: Operation>(operation: &O, world: &World, seen: &O::Seen) -> Option<Plan<Action>> {
    let hook = hook(operation, world, seen, true)?;
    let title = format!("Run hooks/{}", hook.name);
    Some(Plan::new(HOOK, title, vec![hook.step()]))
}

fn hook<O: Operation>(operation: &O, world: &World, seen: &O::Seen, after: bool) -> Option<Hook> {
    let Hooked { old, new } = operation.hooked(seen)?;
    let name = format!("{}-{}", if after { "after" } else { "before" }, O::NAME);
    hooks::exists(&world.layout, &name).then_some(Hook { name, old, new, after })
}

//! Operations with hooks: `hooks/before-NAME` is the first step of their plan, `hooks/after-NAME` a run of its own after it.

use plan::Plan;

use crate::action::{Action, Hook};
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

/// The plan of an operation with its hook before it.
pub(super) fn with_hook_before(
    plan: Plan<Action>,
    world: &World,
    operation: &str,
    hooked: Option<Hooked>,
) -> Plan<Action> {
    let mut plan = plan;
    if !plan.steps.is_empty()
        && let Some(hook) = hook(world, operation, hooked, false)
    {
        plan.steps.insert(0, hook.step());
    }
    plan
}

/// What runs after the operation.
pub(super) fn afterwards(world: &World, operation: &str, hooked: Option<Hooked>) -> Option<Plan<Action>> {
    let hook = hook(world, operation, hooked, true)?;
    let title = format!("Run hooks/{}", hook.name);
    Some(Plan::new(HOOK, title, vec![hook.step()]))
}

fn hook(world: &World, operation: &str, hooked: Option<Hooked>, after: bool) -> Option<Hook> {
    let Hooked { old, new } = hooked?;
    let name = format!("{}-{operation}", if after { "after" } else { "before" });
    hooks::exists(&world.layout, &name).then_some(Hook { name, old, new, after })
}

//! A release that no way leads to.

use release::{NoWay, ReleaseId};

use crate::error::{Error, Exit};
use crate::state::returning::kept_states;
use crate::world::World;

/// Why there is no way, and what leads there all the same.
pub(super) fn no_way(world: &World, to: &ReleaseId, none: &NoWay) -> Error {
    let kept = kept_states(&world.layout).unwrap_or_default();
    let hint = match kept.iter().any(|kept| kept.release == *to) && matches!(none, NoWay::Older { .. }) {
        true => format!("`mainstay rollback --to {to}` goes back to it, with the data that it had"),
        false => none.hint(),
    };
    Error::new(Exit::Refused, none.to_string()).hint(hint)
}

//! Who holds a deployment. Its directory may be a volume that several containers, or several machines, have mounted: one of them runs it,
//! and the others may not touch its processes.

use plan::{Holder, Lock, Whereabouts};

use super::layout::Layout;
use crate::error::{Error, Exit};

/// Where this process runs.
pub(crate) fn here() -> Whereabouts {
    use host::here::{container_id, host_name, numbers};
    Whereabouts { host: host_name(), container: container_id(), numbers: numbers() }
}

/// The holder of a lock in words; with its place where that is not ours.
pub(crate) fn in_words(holder: &Holder) -> String {
    if holder.at.shares_numbers_with(&here()) {
        holder.to_string()
    } else {
        format!("{}: {holder}", holder.at)
    }
}

/// The agent of another container or machine that runs this deployment.
pub(crate) fn elsewhere(layout: &Layout) -> Option<Holder> {
    // A lock that cannot be looked at is reported by whoever takes it.
    let holder = Lock::present_holder(&layout.agent_lock()).ok().flatten()?;
    (!holder.at.shares_numbers_with(&here())).then_some(holder)
}

/// Refuses a deployment that another container or machine runs.
///
/// # Errors
/// Its agent holds the lock: where it runs, and since when.
pub(crate) fn refuse_elsewhere(layout: &Layout) -> Result<(), Error> {
    let Some(Holder { at, pid, since, .. }) = elsewhere(layout) else { return Ok(()) };
    Err(Error::new(
        Exit::Busy,
        format!("{} is run by {at} since {since:.0} (process {pid} there)", layout.root().display()),
    )
    .hint(format!("stop it there, or {}", layout.elsewhere("of its own"))))
}

//! Who holds a deployment. Its directory may be a volume that several containers, or several machines, have mounted: one of them runs it,
//! and the others may not touch its processes.

use plan::{Holder, Lock};

use super::layout::Layout;
use crate::error::{Error, Exit};
use crate::whereabouts::is_here;

/// The agent of another container or machine that runs this deployment.
fn elsewhere(layout: &Layout) -> Option<Holder> {
    // A lock that cannot be looked at is reported by whoever takes it.
    let holder = Lock::present_holder(&layout.agent_lock()).ok().flatten()?;
    (!is_here(&holder)).then_some(holder)
}

/// Refuses a deployment that another container or machine runs.
///
/// # Errors
/// Its agent holds the lock: where it runs, and since when.
pub(crate) fn refuse_elsewhere(layout: &Layout) -> Result<(), Error> {
    let Some(what) = told_elsewhere(layout) else { return Ok(()) };
    Err(Error::new(Exit::Busy, what).hint(format!("stop it there, or {}", layout.elsewhere("of its own"))))
}

/// Which other container or machine runs the deployment, in words.
pub(crate) fn told_elsewhere(layout: &Layout) -> Option<String> {
    let Holder { at, pid, since, .. } = elsewhere(layout)?;
    Some(format!("{} is run by {at} since {since:.0} (process {pid} there)", layout.root().display()))
}

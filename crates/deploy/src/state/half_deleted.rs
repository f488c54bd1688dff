//! A deployment that an `uninstall` has begun to delete and not deleted to its end.

use crate::error::{Error, Exit};
use crate::place::layout::Layout;

/// Why nothing but `uninstall` and `down` may be done here; `None` = no deletion was interrupted. Only where no run is unfinished: one that
/// is may still be undone.
pub(crate) fn half_deleted(layout: &Layout) -> Option<Error> {
    let deleting = layout.deleting();
    deleting.symlink_metadata().ok()?;
    let what = format!("an `uninstall` of {} was interrupted while it deleted", layout.root().display());
    Some(Error::new(Exit::Refused, what).hint(format!(
        "`mainstay uninstall` finishes it. What is not deleted yet is in {}: copy out first what you still need",
        deleting.display()
    )))
}

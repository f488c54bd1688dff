//! Where this process runs, and where the holder of a lock does.

use plan::{Holder, Whereabouts};

/// Where this process runs.
pub(crate) fn here() -> Whereabouts {
    use host::here::{container_id, host_name, numbers};
    Whereabouts { host: host_name(), container: container_id(), numbers: numbers() }
}

/// The holder of a lock in words; with its place where that is not ours.
pub(crate) fn in_words(holder: &Holder) -> String {
    if is_here(holder) { holder.to_string() } else { format!("{}: {holder}", holder.at) }
}

/// Whether the holder's process is one of those that this process sees.
pub(crate) fn is_here(holder: &Holder) -> bool {
    holder.at.shares_numbers_with(&here())
}

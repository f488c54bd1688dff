//! Where this process runs, and where the holder of a lock does.

use plan::{Holder, Whereabouts};

use crate::state::words::UNINSTALL;

/// Where this process runs.
pub(crate) fn here() -> Whereabouts {
    use host::here::{container_id, host_name, numbers};
    Whereabouts { host: host_name(), container: container_id(), numbers: numbers() }
}

/// The holder of a lock in words; with its place where that is not ours, and with the state of its process where that is not usual.
pub(crate) fn in_words(holder: &Holder) -> String {
    match is_here(holder) {
        true if is_stopped(holder) => format!("{holder}. Its process is stopped"),
        true => holder.to_string(),
        false => format!("{}: {holder}", holder.at),
    }
}

/// What to do about a lock that somebody else holds.
pub(crate) fn way_on(holder: &Holder) -> String {
    let pid = holder.pid;
    let next = match &*holder.operation {
        UNINSTALL => {
            "the next `mainstay uninstall` finishes what it began; `mainstay up` takes it back, unless it has begun to delete"
        }
        _ => "the next `mainstay up` goes on with what it began",
    };
    if is_stopped(holder) {
        return format!(
            "`kill -CONT {pid}` lets it go on. `mainstay down --yes` ends it and stops everything; {next}"
        );
    }
    if is_here(holder) {
        return format!(
            "wait until it is done, then try again. If it hangs, `kill {pid}` tells it to undo what it did, and `kill -9 {pid}` ends it at \
             once: then `mainstay down` stops everything, and {next}"
        );
    }
    "wait until it is done, then try again".to_owned()
}

/// Whether the holder's process is one that this process sees, and does nothing until somebody lets it go on.
pub(crate) fn is_stopped(holder: &Holder) -> bool {
    is_here(holder) && host::process::is_stopped(holder.pid)
}

/// Whether the holder's process is one of those that this process sees.
pub(crate) fn is_here(holder: &Holder) -> bool {
    holder.at.shares_numbers_with(&here())
}

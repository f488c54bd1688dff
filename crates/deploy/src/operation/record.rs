//! Whether an operation can be recorded. What stops or removes a deployment is wanted most where it cannot: on a full disk, with a
//! damaged journal.

use std::io::ErrorKind;

use plan::{Journal, JournalError, Run};

use crate::place::layout::Layout;
use crate::state::full_disk::in_words;

/// What a run writes at most, in bytes: the holder of the lock, the plan, its entries, and what SQLite keeps beside them.
const ROOM: usize = 256 << 10;

/// What keeps a run from being recorded, in words; `None` = nothing.
pub(super) async fn obstacle(layout: &Layout) -> Option<String> {
    match newest(layout).await {
        Ok(_) => full(layout),
        // A journal of another version is whole: who may use it is said by whoever opens it.
        Err(JournalError::Newer { .. } | JournalError::ForeignPlan { .. }) => None,
        Err(error) => Some(error.to_string()),
    }
}

/// The newest run.
///
/// # Errors
/// The journal cannot be read.
pub(super) async fn newest(layout: &Layout) -> Result<Option<Run>, JournalError> {
    let path = layout.journal();
    if !path.exists() {
        return Ok(None);
    }
    Ok(Journal::open_read_only(&path).await?.runs(1).await?.pop())
}

/// Which disk is full, so that nothing can be written in the deployment's directory.
fn full(layout: &Layout) -> Option<String> {
    let error = host::disk::probe_with(layout.root(), ROOM).err()?;
    let is_full = matches!(error.source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
    is_full.then(|| in_words(layout.root()).unwrap_or_else(|| error.to_string()))
}

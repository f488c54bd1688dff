//! How long the steps of a run took, as the journal says.

use plan::{Entry, EntryKind, Run};

/// How long the effect of a step took, in ms, and that of its undo where it was undone; `None` = it did not come to an end.
pub(crate) fn step_ms(run: &Run, step: &str) -> Option<i64> {
    let entries: Vec<&Entry> = run.entries.iter().filter(|entry| entry.step == step).collect();
    let effect = |pair: &[&Entry]| match pair {
        [begin, end] if is_begun(&begin.kind) && !is_begun(&end.kind) => {
            Some(end.at.as_millisecond() - begin.at.as_millisecond())
        }
        _ => None,
    };
    entries.windows(2).filter_map(effect).fold(None, |sum, ms| Some(sum.unwrap_or(0) + ms))
}

/// Whether an entry says that something began whose end is not known.
fn is_begun(kind: &EntryKind) -> bool {
    matches!(kind, EntryKind::Started | EntryKind::UndoStarted)
}

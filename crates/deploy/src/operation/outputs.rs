//! What the steps of a run came to, read from the journal.

use plan::{Journal, Run};
use serde_json::Value;

use crate::action::Comparison;
use crate::error::Error;
use crate::place::layout::Layout;
use crate::state::census::Compared;
use crate::state::words::HOOK;

/// What a step of a run came to; where the way has several stops, that of the last one.
pub(super) fn output<'a>(run: &'a Run, step: &str) -> Option<&'a Value> {
    let is_it =
        |name: &str| name.strip_prefix(step).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
    let at = run.plan.steps.iter().rposition(|of_plan| is_it(&of_plan.name))?;
    run.state.outputs.get(at)
}

/// What the comparison of the newest run that was no hook came to, where it had one.
///
/// # Errors
/// The journal cannot be read.
pub(super) async fn compared(layout: &Layout) -> Result<Option<Compared>, Error> {
    let journal = Journal::open_read_only(&layout.journal()).await?;
    let runs = journal.runs(2).await?;
    let run = runs.iter().find(|run| run.plan.operation != HOOK);
    let output = run.and_then(|run| output(run, Comparison::STEP));
    Ok(output.and_then(|output| serde_json::from_value(output.clone()).ok()))
}

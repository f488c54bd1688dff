//! The newest report of the acceptance test.

use acceptance::Report;

use crate::error::{Error, Exit};
use crate::place::layout::Layout;

/// When the newest report was made, if it passed; ms since the epoch.
pub(crate) fn last_pass(layout: &Layout) -> Option<i64> {
    let text = std::fs::read(layout.report()).ok()?;
    let report: serde_json::Value = serde_json::from_slice(&text).ok()?;
    // A newer version may mean something else by the same words.
    let known = report["format"].as_u64().unwrap_or(1) <= u64::from(Report::FORMAT);
    let passed = known && report["passed"].as_bool() == Some(true);
    let at: jiff::Timestamp = report["finished_at"].as_str()?.parse().ok()?;
    passed.then(|| at.as_millisecond())
}

/// The newest report, in `run`.
pub(crate) fn keep(report: &Report, layout: &Layout) -> Result<(), Error> {
    let text = serde_json::to_vec_pretty(report).map_err(|error| Error::new(Exit::Bug, error.to_string()))?;
    Ok(host::disk::atomic_write(&layout.report(), &text, 0o600, None)?)
}

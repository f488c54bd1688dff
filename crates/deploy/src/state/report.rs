//! The newest report of the acceptance test.

use acceptance::Report;

use crate::error::{Error, Exit};
use crate::place::layout::{FILE_LIMIT, Layout};

/// How the newest acceptance test ended.
#[derive(Debug, Clone, serde::Serialize)]
pub struct LastTest {
    /// When it ended, in ms since the epoch.
    pub at: i64,
    /// Whether it passed.
    pub passed: bool,
    /// The site that was tested.
    pub url: String,
    /// The first check that failed, and what was seen.
    pub failure: Option<String>,
    /// What it says nothing about.
    pub unchecked: Vec<String>,
    /// When a test last passed before it, if it failed.
    pub passed_at: Option<i64>,
    /// What it removed that an interrupted test before it had left, and what of that stays, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cleared: Vec<String>,
}

/// Reads the newest report; `None` where there is none, or a newer version wrote it.
pub(crate) fn last_test(layout: &Layout) -> Option<LastTest> {
    let report: serde_json::Value =
        serde_json::from_slice(&host::disk::read_named(&layout.report(), FILE_LIMIT).ok()?).ok()?;
    if report["format"].as_u64().unwrap_or(1) > u64::from(Report::FORMAT) {
        return None;
    }
    let moment = |key: &str| {
        report[key].as_str()?.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
    };
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    let list = |key: &str| report[key].as_array().cloned().unwrap_or_default();
    let failed = list("checks").into_iter().find(|check| check["outcome"] == "failed");
    let failure =
        failed.and_then(|check| Some(format!("{}: {}", check["title"].as_str()?, check["what"].as_str()?)));
    let notes =
        list("checks").into_iter().flat_map(|check| check["notes"].as_array().cloned().unwrap_or_default());
    let of_earlier = |note: &serde_json::Value| text(note).filter(|note| note.starts_with(Report::EARLIER));
    Some(LastTest {
        at: moment("finished_at")?,
        passed: report["passed"] == true,
        url: text(&report["url"]).unwrap_or_default(),
        failure,
        unchecked: list("unchecked").iter().filter_map(text).collect(),
        passed_at: moment("passed_at"),
        cleared: notes.filter_map(|note| of_earlier(&note)).collect(),
    })
}

/// When the newest report was made, if it passed; ms since the epoch.
pub(crate) fn last_pass(layout: &Layout) -> Option<i64> {
    let text = host::disk::read_named(&layout.report(), FILE_LIMIT).ok()?;
    let report: serde_json::Value = serde_json::from_slice(&text).ok()?;
    // A newer version may mean something else by the same words.
    let known = report["format"].as_u64().unwrap_or(1) <= u64::from(Report::FORMAT);
    let passed = known && report["passed"].as_bool() == Some(true);
    let at: jiff::Timestamp = report["finished_at"].as_str()?.parse().ok()?;
    passed.then(|| at.as_millisecond())
}

/// Decides which report counts after a run was undone. A test that passed was of what is undone now: the report `before` the run counts
/// again. One that failed is kept: it is the newest that is known, the error names its file, and no test has passed since the undo.
pub(crate) fn after_undo(layout: &Layout, before: Option<Vec<u8>>) -> Result<(), Error> {
    if last_test(layout).is_some_and(|test| !test.passed) {
        return Ok(());
    }
    match before {
        Some(report) => host::disk::atomic_write(&layout.report(), &report, 0o600, None)?,
        None => host::disk::remove_file(&layout.report())?,
    }
    Ok(())
}

/// The newest report, in `run`.
pub(crate) fn keep(report: &Report, layout: &Layout) -> Result<(), Error> {
    let mut text = serde_json::to_value(report).map_err(|error| Error::new(Exit::Bug, error.to_string()))?;
    // A test that fails does not make the last one that passed forgotten.
    let before = last_test(layout).and_then(|test| if test.passed { Some(test.at) } else { test.passed_at });
    if let Some(at) =
        before.filter(|_| !report.passed).and_then(|at| jiff::Timestamp::from_millisecond(at).ok())
    {
        text["passed_at"] = at.to_string().into();
    }
    let text = serde_json::to_vec_pretty(&text).map_err(|error| Error::new(Exit::Bug, error.to_string()))?;
    if !report.passed {
        // It stays where another test passes after it.
        host::disk::atomic_write(&layout.failed_report(), &text, 0o600, None)?;
    }
    Ok(host::disk::atomic_write(&layout.report(), &text, 0o600, None)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_an_undo_a_failed_test_stays_the_newest_and_a_passed_one_does_not_count() {
        let dir = tempfile::tempdir().expect("a directory");
        let layout = Layout::new(dir.path());
        std::fs::create_dir_all(layout.run()).expect("made");
        let report = |passed: bool, at: &str| {
            let report = serde_json::json!({ "finished_at": at, "passed": passed, "url": "http://x" });
            report.to_string().into_bytes()
        };
        let old = report(true, "2026-11-26T10:00:00Z");
        for (passed, kept) in [(true, "2026-11-26T10:00:00Z"), (false, "2026-11-27T10:00:00Z")] {
            std::fs::write(layout.report(), report(passed, "2026-11-27T10:00:00Z")).expect("written");
            after_undo(&layout, Some(old.clone())).expect("decided");
            let at = last_test(&layout).expect("a report").at;
            assert_eq!(jiff::Timestamp::from_millisecond(at).expect("a moment").to_string(), kept);
        }
        std::fs::write(layout.report(), report(true, "2026-11-27T10:00:00Z")).expect("written");
        after_undo(&layout, None).expect("decided");
        assert!(last_test(&layout).is_none());
    }
}

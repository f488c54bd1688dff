//! The scheduled runs that have ended: the agent writes them down, and the history shows them between its runs.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Exit};
use crate::place::layout::FILE_LIMIT;

/// The version of the file's format.
const FORMAT: u32 = 1;

/// As many are kept, the newest.
const KEPT: usize = 100;

/// A scheduled run that has ended. Times are in ms since the epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EndedRun {
    /// The name of its entry.
    pub name: String,
    /// When it began.
    pub started: i64,
    /// When it was seen to have ended.
    pub ended: i64,
    /// Its exit code; `None` where another agent began it, or it could not begin.
    #[serde(default)]
    pub exit: Option<u8>,
    /// Why it could not begin.
    #[serde(default)]
    pub failure: Option<String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    format: u32,
    runs: Vec<EndedRun>,
}

/// Those that are known, oldest first; none where there is no file, or one that this version cannot read.
pub(crate) fn read(path: &Path) -> Vec<EndedRun> {
    let content = host::disk::read_guarded(path, FILE_LIMIT).ok();
    let kept = content.and_then(|content| serde_json::from_slice::<Kept>(&content.bytes).ok());
    kept.filter(|kept| kept.format <= FORMAT).unwrap_or_default().runs
}

/// Adds one.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn add(path: &Path, run: EndedRun) -> Result<(), Error> {
    let mut runs = read(path);
    runs.push(run);
    runs.drain(..runs.len().saturating_sub(KEPT));
    let text = serde_json::to_vec(&Kept { format: FORMAT, runs });
    let text = text.map_err(|error| Error::new(Exit::Bug, error.to_string()))?;
    Ok(host::disk::atomic_write(path, &text, 0o600, None)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The golden file is never edited: a newer program reads what an older one wrote.
    #[test]
    fn the_first_format_is_read_for_ever_and_the_newest_are_kept() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("ended-runs.json");
        std::fs::write(&path, include_str!("../../tests/golden/ended-runs-1.json")).expect("written");
        let [run] = &read(&path)[..] else { panic!("one run") };
        assert_eq!((&*run.name, run.started, run.exit), ("apps-deployer", 1_790_000_000_000, Some(5)));
        let run = run.clone();
        (0..103).for_each(|started| add(&path, EndedRun { started, ..run.clone() }).expect("written"));
        let kept: Vec<i64> = read(&path).iter().map(|run| run.started).collect();
        assert_eq!(kept, (3..103).collect::<Vec<_>>());
    }
}

//! The restarts of parts that nobody asked for: the agent writes them down, and the history shows them between its runs.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Exit};
use crate::place::layout::FILE_LIMIT;

/// The version of the file's format.
const FORMAT: u32 = 1;

/// As many are kept, the newest.
const KEPT: usize = 100;

/// A part that ended or hung and was started again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PartRestart {
    /// The part's name.
    pub part: String,
    /// When it ended, in ms since the epoch.
    pub at: i64,
    /// How it ended, as in `was ended by Mainstay: it answered nothing for 30 s`.
    pub why: String,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    format: u32,
    restarts: Vec<PartRestart>,
}

/// Those that are known, oldest first; none where there is no file, or one that this version cannot read.
pub(crate) fn read(path: &Path) -> Vec<PartRestart> {
    let content = host::disk::read_guarded(path, FILE_LIMIT).ok();
    let kept = content.and_then(|content| serde_json::from_slice::<Kept>(&content.bytes).ok());
    kept.filter(|kept| kept.format <= FORMAT).unwrap_or_default().restarts
}

/// Adds one.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn add(path: &Path, restart: PartRestart) -> Result<(), Error> {
    let mut restarts = read(path);
    restarts.push(restart);
    restarts.drain(..restarts.len().saturating_sub(KEPT));
    let text = serde_json::to_vec(&Kept { format: FORMAT, restarts });
    let text = text.map_err(|error| Error::new(Exit::Bug, error.to_string()))?;
    Ok(host::disk::atomic_write(path, &text, 0o600, None)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn restart(at: i64) -> PartRestart {
        PartRestart { part: "server".to_owned(), at, why: "ended with code 1".to_owned() }
    }

    #[test]
    fn the_newest_restarts_are_kept() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("restarts.json");
        assert_eq!(read(&path), []);
        (0..103).for_each(|at| add(&path, restart(at)).expect("written"));
        let kept: Vec<i64> = read(&path).iter().map(|restart| restart.at).collect();
        assert_eq!(kept, (3..103).collect::<Vec<_>>());
    }

    /// The golden file is never edited: a newer program reads what an older one wrote.
    #[test]
    fn the_first_format_is_read_for_ever_and_a_newer_one_is_left_out() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("restarts.json");
        let golden = include_str!("../../tests/golden/restarts-1.json");
        std::fs::write(&path, golden).expect("written");
        assert_eq!(read(&path), [restart(1_764_200_000_000)]);
        std::fs::write(&path, golden.replace("\"format\":1", "\"format\":2")).expect("written");
        assert_eq!(read(&path), []);
    }
}

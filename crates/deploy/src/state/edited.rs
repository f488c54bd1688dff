//! What somebody changed by hand while an operation ran, kept where its undo would have taken it away.

use std::path::{Path, PathBuf};

use host::directory::{self, Modes};
use jiff::Timestamp;
use serde_json::Value;

use crate::error::Error;
use crate::place::layout::{FILE_LIMIT, Layout};
use crate::place::machine::make_dir;

/// How the name of such a directory in `run/undone` begins; the moment comes after it.
pub(crate) const EDITED: &str = "edited-";

/// A directory for it, which is made with the first thing that is kept.
pub(crate) struct Edited(PathBuf);

impl Edited {
    pub(crate) fn new(layout: &Layout) -> Self {
        Self(layout.undone().join(format!("{EDITED}{}", Timestamp::now().as_millisecond())))
    }

    /// Moves a file or directory away, which was in the directory `name` of the deployment.
    ///
    /// # Errors
    /// The disk refuses.
    pub(crate) fn take(&self, name: &str, path: &Path) -> Result<(), Error> {
        let to = self.place(name, path)?;
        // It may be on a disk of its own: whoever calls this removes it there.
        if std::fs::rename(path, &to).is_ok() {
            return Ok(());
        }
        match path.is_dir() {
            true => Ok(directory::copy(path, &to, None, Modes::Kept, |_| {})?),
            false => Ok(host::disk::copy(path, &to, None).map(drop)?),
        }
    }

    /// Keeps config.json where it is none of these files: those that the operation itself found or wrote.
    ///
    /// # Errors
    /// The disk refuses.
    pub(crate) fn keep_config(&self, layout: &Layout, known: &[&Path]) -> Result<(), Error> {
        let path = layout.config();
        let Ok(present) = host::disk::read_named(&path, FILE_LIMIT) else { return Ok(()) };
        let data = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).ok();
        let is_same = |known: &&Path| {
            let known = host::disk::read_named(known, FILE_LIMIT).unwrap_or_default();
            known == present || data(&known).is_some_and(|known| data(&present) == Some(known))
        };
        if !known.iter().any(is_same) {
            host::disk::copy(&path, &self.place("config", &path)?, None)?;
        }
        Ok(())
    }

    fn place(&self, name: &str, path: &Path) -> Result<PathBuf, Error> {
        let dir = self.0.join(name);
        for dir in [&self.0, &dir] {
            make_dir(dir, 0o700, None)?;
        }
        Ok(dir.join(path.file_name().unwrap_or_default()))
    }
}

/// An error of an operation that was undone, with what its undo kept of what somebody changed since `began`.
pub(crate) fn with_edits(layout: &Layout, began: Timestamp, error: Error) -> Error {
    let kept = kept_since(layout, began);
    if kept.is_empty() {
        return error;
    }
    let kept = kept.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" and ");
    Error {
        what: format!("{}; what was changed meanwhile, by hand or by the server, is in {kept}", error.what),
        ..error
    }
}

fn kept_since(layout: &Layout, began: Timestamp) -> Vec<PathBuf> {
    let is_since = |name: &str| {
        let at = name.strip_prefix(EDITED).and_then(|at| at.parse::<i64>().ok());
        at.is_some_and(|at| at >= began.as_millisecond())
    };
    let entries = std::fs::read_dir(layout.undone()).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| is_since(name)).map(|name| layout.undone().join(name)).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn an_edited_config_is_kept_and_one_that_the_operation_knows_is_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let layout = Layout::new(dir.path());
        fs::create_dir_all(layout.root().join("config")).expect("made");
        let known = dir.path().join("known.json");
        fs::write(&known, r#"{"a": 1}"#).expect("written");
        let began = Timestamp::now();
        for (text, is_kept) in [(r#"{ "a":1 }"#, false), (r#"{"a": 2}"#, true), ("{", true)] {
            fs::write(layout.config(), text).expect("written");
            Edited::new(&layout).keep_config(&layout, &[Path::new("/nowhere"), &known]).expect("kept");
            let said = with_edits(&layout, began, Error::not_ready("it failed")).what;
            assert_eq!(said.contains("by hand or by the server, is in"), is_kept, "{text}: {said}");
            let _ = fs::remove_dir_all(layout.undone());
        }
    }
}

//! What an upgrade kept for its own undo, kept on for `rollback` when it has succeeded.

use std::path::PathBuf;

use jiff::Timestamp;
use plan::{Progress, Step, Undo};
use release::ReleaseId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::kept_dump::FILES;
use super::pending::{Answer, answer};
use super::removal::rename;
use super::{Action, KeptCopy, blocking, step};
use crate::error::{Error, Exit};
use crate::place::layout::Layout;
use crate::place::machine::make_dir;
use crate::state::returning::{
    BEGUN, COPIED, COPY, DECLARED, FORMAT, KeptDatabase, KeptState, PRESENT, RECORD,
};
use crate::world::World;

/// Where states go that are of no use any more, below what is deleted after the plan.
const ASIDE: &str = "rollback";

/// Moves the copy and the dump of this run to where `rollback` finds them. States that are of no use after that move aside, to be
/// deleted after the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeepState {
    /// The release that they are of.
    pub release: ReleaseId,
    /// The release that runs from now on.
    pub next: ReleaseId,
    /// What was copied.
    pub copy: KeptCopy,
    /// What is kept of the database, unless the next release leaves it as it is.
    pub database: KeptDatabase,
    /// The kept states that are of no use after this.
    pub forgets: Vec<ReleaseId>,
}

impl KeepState {
    pub(crate) fn step(self) -> Step<Action> {
        let title = format!("Keep the state of {} for `rollback`", self.release);
        step("keep-state", title, Undo::by("Use it for the undo"), 20, self)
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let (this, layout) = (self.clone(), world.layout.clone());
        blocking(move || this.keep(&layout)).await
    }

    fn begun(&self, layout: &Layout) -> PathBuf {
        layout.rollback().join(format!("{}{BEGUN}", self.release))
    }

    fn whole(&self, layout: &Layout) -> PathBuf {
        layout.rollback().join(self.release.to_string())
    }

    fn keep(&self, layout: &Layout) -> Result<Value, Error> {
        let (begun, whole, before) = (self.begun(layout), self.whole(layout), layout.before());
        // From here on the copy is in one place after the other: a second run goes on where the first was killed.
        if before.join(COPY).exists() {
            make_dir(&layout.rollback(), 0o700, None)?;
            let aside = layout.unneeded().join(ASIDE);
            make_dir(&aside, 0o700, None)?;
            for old in self.forgets.iter().chain([&self.release]) {
                rename(&layout.rollback().join(old.to_string()), &aside.join(old.to_string()))?;
            }
            make_dir(&begun, 0o700, None)?;
            let database =
                if answer(layout) == Answer::Nothing { KeptDatabase::Unchanged } else { self.database };
            let state = KeptState {
                format: FORMAT,
                release: self.release.clone(),
                next: self.next.clone(),
                until: Timestamp::now(),
                database,
            };
            write(&begun.join(COPIED), &serde_json::to_value(&self.copy))?;
            write(&begun.join(RECORD), &serde_json::to_value(&state))?;
            // config.json was written in this run, and with it what is remembered of it.
            let declared = [before.join(PRESENT), before.join(DECLARED), layout.declared()];
            if let Some(declared) = declared.iter().find(|path| path.exists()) {
                host::disk::copy(declared, &begun.join(DECLARED), None)?;
            }
            for file in FILES {
                rename(&before.join(file), &begun.join(file))?;
            }
            rename(&before.join(COPY), &begun.join(COPY))?;
        }
        if begun.join(COPY).exists() {
            host::disk::sync_file_system(&begun)?;
            rename(&begun, &whole)?;
            host::disk::sync_dir(&layout.rollback())?;
        }
        Ok(json!({ "kept": whole }))
    }

    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        let (this, layout) = (self.clone(), world.layout.clone());
        blocking(move || this.take_back(&layout)).await
    }

    fn take_back(&self, layout: &Layout) -> Result<(), Error> {
        let (begun, whole, before) = (self.begun(layout), self.whole(layout), layout.before());
        // One of an earlier run has no part in this.
        if !before.join(COPY).exists() && whole.exists() && !begun.exists() {
            rename(&whole, &begun)?;
        }
        if begun.exists() {
            for file in FILES {
                rename(&begun.join(file), &before.join(file))?;
            }
            rename(&begun.join(COPY), &before.join(COPY))?;
            host::disk::remove_tree(&begun)?;
        }
        let aside = layout.unneeded().join(ASIDE);
        for old in self.forgets.iter().chain([&self.release]) {
            rename(&aside.join(old.to_string()), &layout.rollback().join(old.to_string()))?;
        }
        Ok(())
    }
}

fn write(path: &std::path::Path, value: &serde_json::Result<Value>) -> Result<(), Error> {
    let value = value.as_ref().map_err(|error| Error::new(Exit::Bug, error.to_string()))?;
    Ok(host::disk::atomic_write(path, value.to_string().as_bytes(), 0o600, None)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(release: &str, forgets: &[&str]) -> KeepState {
        let id = |name: &str| name.parse().expect("a release");
        KeepState {
            release: id(release),
            next: id("11.7.0-team"),
            copy: KeptCopy { trees: Vec::new(), sqlite: None },
            database: KeptDatabase::Copy,
            forgets: forgets.iter().map(|name| id(name)).collect(),
        }
    }

    #[test]
    fn a_state_is_kept_and_taken_back_from_wherever_a_kill_left_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let layout = Layout::new(dir.path());
        let action = action("11.6.0-team", &["11.5.0-team"]);
        let names = || {
            let entries = std::fs::read_dir(layout.rollback()).into_iter().flatten().flatten();
            let mut names: Vec<_> =
                entries.map(|entry| entry.file_name().into_string().expect("a name")).collect();
            names.sort();
            names
        };
        make_dir(&layout.run(), 0o700, None).expect("made");
        make_dir(&layout.rollback().join("11.5.0-team"), 0o700, None).expect("made");
        make_dir(&layout.unneeded(), 0o700, None).expect("made");
        make_dir(&layout.before(), 0o700, None).expect("made");
        make_dir(&layout.before().join(COPY), 0o700, None).expect("made");
        std::fs::write(layout.before().join(FILES[0]), "dump").expect("written");
        // Nothing has been done yet: the undo does nothing.
        action.take_back(&layout).expect("nothing to take back");
        assert_eq!(names(), ["11.5.0-team"]);
        for _ in 0..2 {
            action.keep(&layout).expect("kept");
            action.keep(&layout).expect("a second run changes nothing");
            assert_eq!(names(), ["11.6.0-team"]);
            let kept = crate::state::returning::kept_states(&layout).expect("states");
            assert_eq!((kept.len(), kept[0].database), (1, KeptDatabase::Copy));
            assert!(!layout.before().join(FILES[0]).exists());
            action.take_back(&layout).expect("taken back");
            action.take_back(&layout).expect("a second undo changes nothing");
            assert_eq!(names(), ["11.5.0-team"]);
            assert!(layout.before().join(COPY).exists() && layout.before().join(FILES[0]).exists());
        }
        // Killed before the last rename.
        action.keep(&layout).expect("kept");
        rename(&action.whole(&layout), &action.begun(&layout)).expect("moved");
        action.keep(&layout).expect("it goes on");
        assert_eq!(names(), ["11.6.0-team"]);
        rename(&action.whole(&layout), &action.begun(&layout)).expect("moved");
        action.take_back(&layout).expect("taken back");
        assert_eq!(names(), ["11.5.0-team"]);
    }
}

//! A copy of what a newer release changes for good: the database, config.json, the plugins. It is made while the server is stopped, so that
//! nothing that was acknowledged is missing in it, and goes when the run is done.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use host::directory::{self, Modes};
use plan::{Progress, Step, Undo, Unit};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::pending::changes_nothing;
use super::{Action, blocking, step};
use crate::error::{Error, Exit};
use crate::place::layout::Layout;
use crate::place::machine::{make_dir, owner};
use crate::place::postgres::DIRECTORY;
use crate::state::edited::Edited;
use crate::world::World;

/// What is copied where it is there, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Its name below the deployment's directory.
    pub name: String,
    /// Whom the files belong to; `None` = whoever runs the plan.
    pub user: Option<String>,
}

/// Copies it to where it is kept until the run is done. The undo makes the originals what they were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptCopy {
    /// Directories, with all that is in them.
    pub trees: Vec<Kept>,
    /// Who owns the built-in server's own database, where the data is in it.
    pub sqlite: Option<Kept>,
}

/// The name of the finished copy. Before that it is being made.
pub(super) const WHOLE: &str = "copy";
const BEGUN: &str = "copy.part";

impl KeptCopy {
    pub(crate) fn step(self, what: &str, ms: u64) -> Step<Action> {
        let undo = Undo::by(format!("Put {what} back"));
        let holds_database = self.sqlite.is_some() || self.trees.iter().any(|tree| tree.name == DIRECTORY);
        let step = step("copy", format!("Keep a copy of {what}"), undo, ms, self);
        Step { snapshot: holds_database, ..step }
    }

    pub(super) async fn apply(&self, world: &World, progress: &Progress) -> Result<Value, Error> {
        let (this, layout, progress) = (self.clone(), world.layout.clone(), progress.clone());
        blocking(move || this.keep(&layout, &progress)).await
    }

    pub(super) async fn undo(&self, world: &World, output: Option<&Value>) -> Result<(), Error> {
        let (this, layout, was_kept) = (self.clone(), world.layout.clone(), output.is_some());
        blocking(move || this.put_back(&layout, was_kept)).await
    }

    fn keep(&self, layout: &Layout, progress: &Progress) -> Result<Value, Error> {
        let (whole, begun) = (layout.before().join(WHOLE), layout.before().join(BEGUN));
        if !whole.exists() {
            // What a kill has left of it may be of another moment.
            host::disk::remove_tree(&begun)?;
            make_dir(&begun, 0o700, None)?;
            // A release that has nothing to migrate leaves the database as it is.
            let without_database = changes_nothing(layout);
            let parts: Vec<Part> = self.parts(layout)?;
            let parts: Vec<Part> =
                parts.into_iter().filter(|part| !(without_database && part.is_database())).collect();
            let sizes: Result<Vec<u64>, Error> = parts.iter().map(|part| part.from.size()).collect();
            let total: u64 = sizes?.into_iter().sum();
            let copied = AtomicU64::new(0);
            for Part { from, name, .. } in parts {
                from.copy(&begun.join(&name), None, |bytes| {
                    let copied = copied.fetch_add(bytes, Ordering::Relaxed) + bytes;
                    progress.at(copied, total, Unit::Bytes);
                })?;
            }
            host::disk::sync_file_system(&begun)?;
            std::fs::rename(&begun, &whole).map_err(|error| Error::path("rename", &begun, &error))?;
            host::disk::sync_dir(&layout.before())?;
        }
        Ok(json!({ "bytes": directory::size(&whole)? }))
    }

    fn put_back(&self, layout: &Layout, was_kept: bool) -> Result<(), Error> {
        let whole = layout.before().join(WHOLE);
        if !whole.exists() {
            return match was_kept {
                // Nothing was kept, so nothing after it has run.
                false => Ok(()),
                true => Err(Error::new(
                    Exit::NeedsYou,
                    format!("the copy that was kept in {} is gone, so the database stays as the new release left it", whole.display()),
                )
                .hint("restore a backup that was made before")),
            };
        }
        self.set_edits_aside(layout, &whole)?;
        // A disk that is full has no room for a second database. Nothing after this needs the copy.
        for Part { from, name, user } in self.parts(layout)? {
            from.move_back(&whole.join(&name), owner(user.as_deref())?)?;
        }
        self.put_back_from(layout, &whole)
    }

    /// Moves what somebody put beside the originals since they were copied to where nothing is deleted, and copies an edited config.json
    /// there: this undo would take both away. What a server made in the database's own directory is none of it.
    fn set_edits_aside(&self, layout: &Layout, whole: &Path) -> Result<(), Error> {
        let aside = Edited::new(layout);
        for Part { from, name, .. } in self.parts(layout)?.into_iter().filter(|part| !part.is_database()) {
            let (Place::Tree(root), kept) = (from, whole.join(&name)) else { continue };
            let Ok(entries) = std::fs::read_dir(&root) else { continue };
            for entry in entries.flatten().filter(|_| kept.exists()) {
                let (path, kept) = (entry.path(), kept.join(entry.file_name()));
                // A link is in no copy, and stays.
                let is_new = kept.symlink_metadata().is_err() && !path.is_symlink();
                if is_new {
                    aside.take(&name, &path)?;
                } else if path == layout.config() {
                    aside.keep_config(layout, &[&kept])?;
                }
            }
        }
        Ok(())
    }

    /// Makes the originals what a finished copy in `whole` is. What was not copied stays as it is.
    pub(super) fn put_back_from(&self, layout: &Layout, whole: &Path) -> Result<(), Error> {
        for Part { from, name, user } in self.parts(layout)? {
            let kept = whole.join(&name);
            if kept.symlink_metadata().is_ok() {
                from.put_back(&kept, owner(user.as_deref())?)?;
            }
        }
        Ok(host::disk::sync_file_system(layout.root())?)
    }

    /// How many bytes it copies.
    ///
    /// # Errors
    /// A directory cannot be read.
    pub(crate) fn size(&self, layout: &Layout) -> Result<u64, Error> {
        self.parts(layout)?.iter().map(|part| part.from.size()).sum()
    }

    fn parts(&self, layout: &Layout) -> Result<Vec<Part>, Error> {
        let trees = self.trees.iter().map(|kept| Part {
            from: Place::Tree(layout.root().join(&kept.name)),
            name: kept.name.clone(),
            user: kept.user.clone(),
        });
        let sqlite = self.sqlite.iter().map(|kept| Part {
            from: Place::Sqlite(layout.sqlite()),
            name: SQLITE.to_owned(),
            user: kept.user.clone(),
        });
        Ok(trees.chain(sqlite).collect())
    }
}

struct Part {
    from: Place,
    /// The directory of the copy.
    name: String,
    user: Option<String>,
}

/// The directory of the copy of the built-in server's own database.
const SQLITE: &str = "sqlite";

impl Part {
    fn is_database(&self) -> bool {
        [SQLITE, DIRECTORY].contains(&&*self.name)
    }
}

/// Where an original is.
enum Place {
    /// A directory.
    Tree(PathBuf),
    /// A database file, with what SQLite has beside it.
    Sqlite(PathBuf),
}

/// What SQLite appends to the name of a database for the files that belong to it.
const SUFFIXES: [&str; 3] = ["", "-wal", "-shm"];

impl Place {
    fn size(&self) -> Result<u64, Error> {
        match self {
            Self::Tree(root) if !root.exists() => Ok(0),
            Self::Tree(root) => Ok(directory::size(root)?),
            Self::Sqlite(file) => {
                Ok(SUFFIXES.iter().filter_map(|end| Some(beside(file, end).metadata().ok()?.len())).sum())
            }
        }
    }

    fn copy(&self, to: &Path, owner: Option<(u32, u32)>, mut each: impl FnMut(u64)) -> Result<(), Error> {
        make_dir(to, 0o700, None)?;
        match self {
            Self::Tree(root) if !root.exists() => Ok(()),
            Self::Tree(root) => Ok(directory::copy(root, to, owner, Modes::Kept, each)?),
            Self::Sqlite(file) => SUFFIXES.iter().try_for_each(|end| {
                let from = beside(file, end);
                if !from.exists() {
                    return Ok(());
                }
                let name = from.file_name().unwrap_or_default();
                each(host::disk::copy(&from, &to.join(name), None)?);
                Ok(())
            }),
        }
    }

    /// Moves a copied database to its place, where that is on the same disk. A kill may come at any time: it is run again, and goes on.
    fn move_back(&self, kept: &Path, owner: Option<(u32, u32)>) -> Result<(), Error> {
        let Self::Sqlite(file) = self else { return Ok(()) };
        let kept = |end: &str| beside(&kept.join(file.file_name().unwrap_or_default()), end);
        let device = |path: &Path| path.metadata().map(|meta| meta.dev()).ok();
        if kept("").exists() {
            if device(&kept("")) != file.parent().and_then(device) {
                return Ok(());
            }
            // The newer one goes as a whole. Until the first file of the copy is in its place, this begins anew.
            for end in SUFFIXES {
                host::disk::remove_file(&beside(file, end))?;
            }
        }
        for end in SUFFIXES.into_iter().filter(|end| kept(end).exists()) {
            let (from, to) = (kept(end), beside(file, end));
            if let Some((uid, gid)) = owner {
                std::os::unix::fs::chown(&from, Some(uid), Some(gid))
                    .map_err(|error| Error::path("give away", &from, &error))?;
            }
            std::fs::rename(&from, &to).map_err(|error| Error::path("move back", &from, &error))?;
        }
        Ok(host::disk::sync_dir(file.parent().unwrap_or(file))?)
    }

    /// Makes the original what the copy is. A kill may come at any time: it is run again.
    fn put_back(&self, kept: &Path, owner: Option<(u32, u32)>) -> Result<(), Error> {
        match self {
            Self::Tree(root) if !root.exists() => Ok(()),
            Self::Tree(root) => {
                directory::remove_others(root, kept)?;
                Ok(directory::copy(kept, root, owner, Modes::Kept, |_| {})?)
            }
            // It was moved back.
            Self::Sqlite(file) if !kept.join(file.file_name().unwrap_or_default()).exists() => Ok(()),
            Self::Sqlite(file) => {
                // The log of a newer file must not be read with the old one.
                for end in ["-wal", "-shm"] {
                    host::disk::remove_file(&beside(file, end))?;
                }
                for end in SUFFIXES {
                    let to = beside(file, end);
                    let from = kept.join(to.file_name().unwrap_or_default());
                    if from.exists() {
                        host::disk::copy(&from, &to, owner)?;
                    }
                }
                Ok(())
            }
        }
    }
}

fn beside(file: &Path, end: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(end);
    name.into()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_database_is_moved_back_from_wherever_a_kill_left_it() {
        // How many of the steps of an earlier try were done: the newer files removed, then each file of the copy moved.
        for done in 0..=3 {
            let dir = tempfile::tempdir().expect("a directory");
            let (file, kept) = (dir.path().join("mattermost.db"), dir.path().join("kept"));
            fs::create_dir(&kept).expect("made");
            let put = |path: &Path, text: &str| fs::write(path, text).expect("written");
            for end in ["", "-wal"] {
                put(&beside(&kept.join("mattermost.db"), end), &format!("old{end}"));
            }
            for end in SUFFIXES.into_iter().filter(|_| done == 0) {
                put(&beside(&file, end), "new");
            }
            for end in ["", "-wal"].into_iter().take(usize::saturating_sub(done, 1)) {
                fs::rename(beside(&kept.join("mattermost.db"), end), beside(&file, end)).expect("moved");
            }
            let place = Place::Sqlite(file.clone());
            for _ in 0..2 {
                place.move_back(&kept, None).expect("moved back");
                place.put_back(&kept, None).expect("nothing is left to do");
            }
            let text = |end| fs::read_to_string(beside(&file, end)).ok();
            assert_eq!(
                (text("").as_deref(), text("-wal").as_deref()),
                (Some("old"), Some("old-wal")),
                "{done}"
            );
            assert_eq!(text("-shm"), None, "{done}");
        }
    }
}

//! A copy of what a newer release changes for good: the database, config.json, the plugins. It is made while the server is stopped, so that
//! nothing that was acknowledged is missing in it, and goes when the run is done.

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
        self.put_back_from(layout, &whole)
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

    /// Makes the original what the copy is. A kill may come at any time: it is run again.
    fn put_back(&self, kept: &Path, owner: Option<(u32, u32)>) -> Result<(), Error> {
        match self {
            Self::Tree(root) if !root.exists() => Ok(()),
            Self::Tree(root) => {
                directory::remove_others(root, kept)?;
                Ok(directory::copy(kept, root, owner, Modes::Kept, |_| {})?)
            }
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

//! A repository, opened.
mod check;
mod compare;
mod repair;
mod restore;
mod retention;
mod snapshot;
mod write;

use std::sync::Arc;

use rustic_core::repofile::MasterKey;
use rustic_core::{ConfigOptions, Credentials, KeyOptions, OpenStatus, RepositoryOptions, RusticError};

use crate::error::Error;
use crate::holder::Holder;
use crate::key::Key;
use crate::key_file;
use crate::lock::{Writer, left};
use crate::store::{Shared, Store, backends};
use crate::watch::{Bars, Silent, Watch};

pub use check::{Checked, Fault};
pub use compare::Compared;
pub use repair::{Lost, Repaired};
pub use restore::Restored;
pub use retention::{Keep, Pruned, Retained};
pub use snapshot::Snapshot;
pub use write::Written;

/// The tag of a snapshot that is still being made, or that was given up. It is never shown and never restored.
const INCOMPLETE: &str = "incomplete";
/// The tag of a snapshot that has lost data, as a repair found.
const DAMAGED: &str = "damaged";
/// The tag of one of ours.
const OURS: &str = "mainstay";
/// What the tag begins with that names the deployment.
const OF: &str = "deployment=";

/// A repository. All its functions block: run them where that is allowed.
pub struct Repository {
    store: Shared,
    /// Opens it again without the seconds that a password costs on purpose.
    master: MasterKey,
    /// The id of the deployment that uses it; `None` = it is looked at from elsewhere.
    deployment: Option<String>,
}

type Opened = rustic_core::Repository<OpenStatus>;

impl Repository {
    /// Whether there is one.
    ///
    /// # Errors
    /// The place cannot be reached.
    pub fn exists(store: &dyn Store) -> Result<bool, Error> {
        Ok(store.list("")?.iter().any(|entry| entry.name == "config"))
    }

    /// Makes a new one, empty, with this key.
    ///
    /// # Errors
    /// There is one already; something else is there; the place refuses.
    pub fn create(store: Arc<dyn Store>, key: &Key) -> Result<Repository, Error> {
        let location = store.location();
        let there = store.list("")?;
        if there.iter().any(|entry| entry.name == "config") {
            return Err(Error::Exists { location });
        }
        if let Some(found) = there.into_iter().next() {
            return Err(Error::Foreign { location, found: found.name });
        }
        for folder in ["data", "snapshots"] {
            if !store.list(folder)?.is_empty() {
                let why = format!("`config` is missing, and {folder} is not empty");
                return Err(Error::Damaged { location, why });
            }
        }
        // Of a repository that was only begun: two keys that are opened by the same password would hide one another.
        for left in store.list("keys")? {
            store.remove(&left.name)?;
        }
        let fail = |error: Box<RusticError>| Error::engine(&location, &error);
        let key_options = KeyOptions::default().with_created(true);
        let credentials = match key.is_generated() {
            true => {
                // Before `config`, which makes it a repository: it is never one that the key does not open.
                let master = MasterKey::new();
                key_file::write(store.as_ref(), &master, key)?;
                Credentials::Masterkey(master)
            }
            // Somebody's own, which may be guessed.
            false => Credentials::password(key.reveal()),
        };
        let made = engine(&store, Arc::new(Silent))
            .and_then(|engine| engine.init(&credentials, &key_options, &ConfigOptions::default()))
            .map_err(fail)?;
        Ok(Repository { master: made.key(), store, deployment: None })
    }

    /// Opens one.
    ///
    /// # Errors
    /// There is none; the key is another's; the place refuses.
    pub fn open(store: Arc<dyn Store>, key: &Key) -> Result<Repository, Error> {
        let location = store.location();
        if !Repository::exists(store.as_ref())? {
            return Err(Error::NoRepository { location });
        }
        let opened = engine(&store, Arc::new(Silent))
            .and_then(|engine| engine.open(&Credentials::password(key.reveal())))
            .map_err(|error| Error::engine(&location, &error))?;
        Ok(Repository { master: opened.key(), store, deployment: None })
    }

    /// The same for one deployment of those that may share it: what it writes has its name, `latest` is its own, and retention
    /// lets all others be.
    #[must_use]
    pub fn of(self, deployment: &str) -> Repository {
        Repository { deployment: Some(deployment.to_owned()), ..self }
    }

    /// Removes a repository that was begun and holds no snapshot; whether it did.
    ///
    /// # Errors
    /// The place refuses.
    pub fn remove_unused(store: &dyn Store) -> Result<bool, Error> {
        if !store.list("snapshots")?.is_empty() {
            return Ok(false);
        }
        // Without `config` it is none; what is left of it is in nobody's way.
        store.remove("config")?;
        for folder in ["keys", "index", "data", "locks"] {
            for entry in store.list(folder)? {
                store.remove(&entry.name)?;
            }
        }
        Ok(true)
    }

    /// The place in words.
    pub fn location(&self) -> String {
        self.store.location()
    }

    /// The right to write: one at a time, on all hosts. `what` is shown to those who want it meanwhile; `take_over` takes a lock
    /// that another host left behind.
    ///
    /// # Errors
    /// Somebody else has it ([`Error::Busy`]), or left it ([`Error::LeftLocked`]).
    pub fn writer(&self, what: &str, take_over: bool) -> Result<Writer, Error> {
        Writer::take(&self.store, what, take_over)
    }

    /// Whether [`Repository::writer`] would be refused now. Nothing is written.
    ///
    /// # Errors
    /// As [`Repository::writer`].
    pub fn check_free(&self, take_over: bool) -> Result<(), Error> {
        left(&self.store, &Holder::here(""), take_over).map(drop)
    }

    fn engine(&self, watch: Arc<dyn Watch>) -> Result<Opened, Error> {
        engine(&self.store, watch)
            .and_then(|engine| engine.open(&Credentials::Masterkey(self.master.clone())))
            .map_err(|error| self.fail(&error))
    }

    fn fail(&self, error: &RusticError) -> Error {
        Error::engine(&self.store.location(), error)
    }
}

/// The engine on a store. Without its cache: that lies in a home directory, and is a second copy to keep in step.
fn engine(store: &Shared, watch: Arc<dyn Watch>) -> Result<rustic_core::Repository<()>, Box<RusticError>> {
    let options = RepositoryOptions::default().no_cache(true);
    rustic_core::Repository::new_with_progress(&options, &backends(store), Bars(watch))
}

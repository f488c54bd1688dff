//! The one way to a repository: where it is, and what opens it.

use std::path::PathBuf;
use std::sync::Arc;

use backup::{Directory, Key, Limited, Repository, Store};

use super::choice::{Choice, RepositoryPlace};
use super::key;
use super::record::Record;
use crate::error::{Error, Exit};
use crate::state::identity::Identity;
use crate::world::World;

/// Another repository than the deployment's own, and another key.
#[derive(Debug, Clone, Default)]
pub struct Elsewhere {
    /// The repository: a path, or `s3://BUCKET/PREFIX`.
    pub repository: Option<String>,
    /// A file with its key.
    pub key_file: Option<PathBuf>,
}

/// A repository that can be reached, and its key. Its functions block.
pub(crate) struct Access {
    /// What is wanted of backups.
    pub choice: Choice,
    /// Where the key is.
    pub key_file: PathBuf,
    store: Arc<dyn Store>,
    /// Whether it is the deployment's own.
    own: bool,
    /// The deployment's id, where the repository is its own; empty where it has none.
    deployment: Option<String>,
    /// Where the deployment's repository was when it was last used.
    was_in: Option<String>,
}

impl Access {
    /// The deployment's repository, or the one that is named.
    ///
    /// # Errors
    /// A setting is wrong; object storage cannot be set up.
    pub(crate) fn of(world: &World, named: &Elsewhere) -> Result<Self, Error> {
        let choice = Choice::of(world, named.repository.as_deref())?;
        let store: Arc<dyn Store> = match &choice.place {
            RepositoryPlace::Directory(path) => Arc::new(Directory::new(path)),
            RepositoryPlace::Objects(objects) => {
                let open = world.objects.ok_or_else(|| {
                    Error::new(Exit::Bug, "this program was started without access to object storage")
                })?;
                open(objects)?
            }
        };
        let store = match choice.limit {
            Some(rate) => Arc::new(Limited::new(store, rate)),
            None => store,
        };
        let own = named.repository.is_none();
        let key_file = named.key_file.clone().unwrap_or_else(|| world.layout.backup_key());
        let was_in = if own { Record::read(&world.layout)?.repository } else { None };
        // One that cannot be read is told by what needs it; until then no snapshot counts as its own, so that none is removed.
        let id = || Identity::read(&world.layout).ok().flatten().map(|identity| identity.id);
        let deployment = own.then(|| id().unwrap_or_default());
        Ok(Self { choice, key_file, store, own, deployment, was_in })
    }

    /// The place in words.
    pub(crate) fn location(&self) -> String {
        self.choice.place.location()
    }

    /// The store itself.
    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Where the deployment's repository was when it was last used.
    pub(crate) fn was_in(&self) -> Option<&str> {
        self.was_in.as_deref()
    }

    /// The key.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub(crate) fn key(&self) -> Result<Key, Error> {
        key::read(&self.key_file)?.ok_or_else(|| {
            Error::not_ready(format!("{}, the key of the backups, does not exist", self.key_file.display()))
                .hint("put the copy there that was exported, or name it with `--key-file`; without the key nobody restores")
        })
    }

    /// Whether there is a repository.
    ///
    /// # Errors
    /// The place cannot be reached; something else is there; a repository was there, and is gone.
    pub(crate) fn exists(&self) -> Result<bool, Error> {
        let location = self.location();
        if Repository::exists(self.store.as_ref()).map_err(told)? {
            return Ok(true);
        }
        if self.was_in.as_ref() == Some(&location) {
            let what = format!("the backup repository in {location} is gone: it was used before");
            let way = match self.choice.place {
                RepositoryPlace::Directory(_) => "mount the file system that it is on, or put it back",
                RepositoryPlace::Objects(_) => "look at the bucket and the prefix",
            };
            return Err(Error::new(Exit::Refused, what).hint(format!(
                "{way}; to begin an empty one in the same place, say `mainstay backup create --new-repository`"
            )));
        }
        if let RepositoryPlace::Directory(path) = &self.choice.place {
            refuse_others(path)?;
        }
        Ok(false)
    }

    /// Opens it.
    ///
    /// # Errors
    /// There is none; the key does not open it; the place cannot be reached.
    pub(crate) fn open(&self) -> Result<Repository, Error> {
        if !self.exists()? {
            let error = Error::not_ready(format!("there is no backup repository in {}", self.location()));
            return Err(match self.own {
                true => error.hint("`mainstay backup create` makes it, and the first snapshot"),
                false => error.hint("look at `--repository`"),
            });
        }
        let key = self.key()?;
        let opened = Repository::open(Arc::clone(&self.store), &key).map_err(|error| match error {
            backup::Error::WrongKey { location } => Error::new(
                Exit::Refused,
                format!("the key in {} does not open the repository in {location}", self.key_file.display()),
            )
            .hint("name the file with its own key with `--key-file`, or another repository"),
            error => told(error),
        })?;
        Ok(match &self.deployment {
            Some(id) => opened.of(id),
            None => opened,
        })
    }

    /// The same where one that is gone may be begun anew.
    pub(crate) fn forgetting(mut self) -> Self {
        self.was_in = None;
        self
    }
}

/// Refuses a directory that holds anything else.
fn refuse_others(path: &std::path::Path) -> Result<(), Error> {
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::path("read", path, &error)),
    };
    // What a repository that was only begun has in it.
    let own = ["keys", "index", "snapshots", "data", "locks"];
    for entry in entries {
        let name = entry.map_err(|error| Error::path("read", path, &error))?.file_name();
        let name = name.to_string_lossy();
        if !own.contains(&&*name) && name != "lost+found" && !name.starts_with('.') {
            let what = format!(
                "{} is not empty and holds no backup repository: {} is in it",
                path.display(),
                name.escape_debug()
            );
            return Err(
                Error::new(Exit::Refused, what).hint("name an empty directory in `[backup] repository`")
            );
        }
    }
    Ok(())
}

/// An error of a repository, as a command ends with it.
#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
pub(crate) fn told(error: backup::Error) -> Error {
    let exit = error.exit();
    let what = error.to_string();
    let hint = match &error {
        backup::Error::Busy { .. } => Some("wait until it is done"),
        backup::Error::LeftLocked { .. } => Some("if nothing works there any more, say `--take-over-lock`"),
        backup::Error::ForeignLock { .. } => {
            Some("wait until it is done; `restic unlock` removes a lock that was left")
        }
        backup::Error::NoSnapshot { .. } | backup::Error::Ambiguous { .. } | backup::Error::Shared { .. } => {
            Some("`mainstay backup list` names the snapshots")
        }
        backup::Error::Ahead { .. } => Some(
            "set this machine's clock, or name a snapshot by its id, as `mainstay backup list` tells it; one with a wrong date goes with \
             `restic forget ID`",
        ),
        backup::Error::Damaged { .. } => Some(
            "`mainstay backup check --read-data 100` says what is damaged. A new snapshot would need it, too: `mainstay backup repair` makes \
             the repository fit for new ones, and names the snapshots that have lost data",
        ),
        _ => None,
    };
    let error = Error::new(exit, what);
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// Runs work that blocks apart from the runtime: a store may have one of its own.
pub(crate) async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(Error::new(Exit::Bug, format!("a look at the backups failed: {error}"))))
}

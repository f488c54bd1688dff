//! Files that Mainstay itself writes: `mainstay.toml` and `secrets.toml`.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use plan::Progress;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{World, blocking};
use crate::error::Error;
use crate::machine::{Owner, make_dir};

/// A file about to be replaced, kept beside the journal until the plan is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// Whether the file was there when the plan was made.
    pub existed: bool,
}

impl Kept {
    /// Where the old content waits.
    fn place(world: &World, name: &str) -> PathBuf {
        world.layout.before().join(name)
    }

    /// Keeps the old content, once: a second run must not keep what the first wrote.
    pub(super) fn keep(&self, world: &World, name: &str, path: &Path) -> Result<(), Error> {
        let place = Self::place(world, name);
        if !self.existed || place.exists() {
            return Ok(());
        }
        make_dir(&world.layout.before(), 0o700, None)?;
        let old = std::fs::read(path).map_err(|error| Error::path("read", path, &error))?;
        Ok(host::disk::atomic_write(&place, &old, 0o600, None)?)
    }

    /// Puts the old content back, or removes what was not there before.
    pub(super) fn put_back(
        &self,
        world: &World,
        name: &str,
        path: &Path,
        mode: u32,
        owner: Option<Owner>,
    ) -> Result<(), Error> {
        let place = Self::place(world, name);
        if self.existed {
            // Nothing was kept: nothing was replaced.
            let Ok(old) = std::fs::read(&place) else { return Ok(()) };
            host::disk::atomic_write(path, &old, mode, owner)?;
            return Ok(host::disk::remove_file(&place)?);
        }
        Ok(host::disk::remove_file(path)?)
    }
}

/// Writes keys of `mainstay.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WantedFile {
    /// Mainstay's own keys and their values. The rest of the file may hold secrets, so it stays out of the plan.
    pub changes: BTreeMap<String, String>,
    /// Whether there is a file that they go into.
    pub replaces: bool,
}

impl WantedFile {
    const NAME: &str = "mainstay.toml";
    const MODE: u32 = 0o644;

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let (this, world) = (self.clone(), world.clone());
        blocking(move || {
            let path = world.layout.wanted();
            Kept { existed: this.replaces }.keep(&world, Self::NAME, &path)?;
            Ok(host::disk::atomic_write(&path, this.text(&path)?.as_bytes(), mode(&path, Self::MODE), None)?)
        })
        .await
        .map(|()| Value::Null)
    }

    fn text(&self, path: &Path) -> Result<String, Error> {
        let wrong = |problem: String| Error::new(crate::Kind::Settings, problem);
        if !self.replaces {
            let wanted =
                self.changes.iter().try_fold(settings::Wanted::default(), |wanted, (key, value)| {
                    wanted.with(key, value).map_err(wrong)
                })?;
            return Ok(settings::write(&wanted));
        }
        let text = std::fs::read_to_string(path).map_err(|error| Error::path("read", path, &error))?;
        let changes = self.changes.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
        settings::change(path, &text, &changes).map_err(|findings| wrong(findings.to_string()))
    }

    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        let (this, world) = (self.clone(), world.clone());
        blocking(move || {
            let path = world.layout.wanted();
            let mode = mode(&path, Self::MODE);
            Kept { existed: this.replaces }.put_back(&world, Self::NAME, &path, mode, None)
        })
        .await
    }
}

/// The mode that a file has, or `new` where there is none.
fn mode(path: &Path, new: u32) -> u32 {
    std::fs::metadata(path).map_or(new, |file| file.permissions().mode() & 0o777)
}

/// Generates `secrets.toml`; in a plan only when there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secrets {
    /// The administrator's user name.
    pub admin_name: String,
}

impl Secrets {
    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let (name, path) = (self.admin_name.clone(), world.layout.secrets());
        blocking(move || {
            // Run again, the first ones stay: a later step may have used them.
            if path.exists() {
                return Ok(Value::Null);
            }
            let text = settings::Secrets::generate(&name).to_toml();
            host::disk::atomic_write(&path, text.expose_secret().as_bytes(), 0o600, None)?;
            Ok(Value::Null)
        })
        .await
    }

    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        let path = world.layout.secrets();
        blocking(move || Ok(host::disk::remove_file(&path)?)).await
    }
}

/// Replaces secrets in `secrets.toml` by new ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// Their names there.
    pub names: Vec<String>,
}

impl Rotation {
    const NAME: &str = "secrets.toml";

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let (this, world) = (self.clone(), world.clone());
        blocking(move || {
            Kept { existed: true }.keep(&world, Self::NAME, &world.layout.secrets())?;
            let names: Vec<&str> = this.names.iter().map(String::as_str).collect();
            let mut secrets = secrets(&world)?;
            secrets.rotate(&names).map_err(|problem| Error::new(crate::Kind::Usage, problem))?;
            let text = secrets.to_toml();
            Ok(host::disk::atomic_write(
                &world.layout.secrets(),
                text.expose_secret().as_bytes(),
                0o600,
                None,
            )?)
        })
        .await
        .map(|()| Value::Null)
    }

    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        let world = world.clone();
        blocking(move || {
            Kept { existed: true }.put_back(&world, Self::NAME, &world.layout.secrets(), 0o600, None)
        })
        .await
    }
}

/// The secrets of the deployment, read when a step needs them.
pub(crate) fn secrets(world: &World) -> Result<settings::Secrets, Error> {
    let path = world.layout.secrets();
    let text = std::fs::read_to_string(&path).map_err(|error| Error::path("read", &path, &error))?;
    settings::Secrets::parse(&path, &text).map_err(|findings| {
        Error::new(crate::error::Kind::Settings, findings.to_string())
            .hint("put the file back from a backup; nothing has been changed")
    })
}

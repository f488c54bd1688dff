//! The settings of a snapshot: `secrets.toml`, and `mainstay.toml` where a deployment has none.

use std::path::{Path, PathBuf};

use plan::{Progress, Step, Undo};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::removal::rename;
use super::{Action, blocking, step};
use crate::error::{Error, reason};
use crate::place::machine::make_dir;
use crate::state::backups::set::DEPLOYMENT;
use crate::state::restoring::merged_secrets;
use crate::state::wanted::settings_text;
use crate::world::World;

/// Places what was fetched. The secrets belong to the data, except for the password of this machine's database, which stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotSettings {
    /// Whether mainstay.toml is placed: there is none.
    pub wanted: bool,
    /// Its text, where it is not the snapshot's own.
    pub text: Option<String>,
    /// Whether the snapshot has secrets.
    pub secrets: bool,
    /// Whether there are secrets now, which are moved into `into`.
    pub replaces_secrets: bool,
    /// The directory below `set-aside` for what is replaced.
    pub into: String,
}

const SECRETS: &str = "secrets.toml";

impl SnapshotSettings {
    pub(crate) fn step(self) -> Step<Action> {
        let names = [("mainstay.toml", self.wanted), (SECRETS, self.secrets)];
        let names: Vec<&str> =
            names.into_iter().filter_map(|(name, placed)| placed.then_some(name)).collect();
        let undo = if self.replaces_secrets { "Put back what was there" } else { "Remove them" };
        step(
            "snapshot-settings",
            format!("Write {} of the snapshot", names.join(" and ")),
            Undo::by(undo),
            10,
            self,
        )
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let (this, world) = (self.clone(), world.clone());
        blocking(move || this.place(&world)).await.map(|()| Value::Null)
    }

    fn aside(&self, world: &World) -> PathBuf {
        world.layout.set_aside().join(&self.into)
    }

    fn place(&self, world: &World) -> Result<(), Error> {
        let layout = &world.layout;
        let fetched = layout.restoring().join(DEPLOYMENT);
        if self.wanted {
            let text = match &self.text {
                Some(text) => text.clone(),
                None => settings_text(&fetched.join("mainstay.toml"))?,
            };
            host::disk::atomic_write(&layout.wanted(), text.as_bytes(), 0o600, None)?;
        }
        if !self.secrets {
            return Ok(());
        }
        let (present, kept) = (layout.secrets(), self.aside(world).join(SECRETS));
        if self.replaces_secrets && !kept.exists() {
            make_dir(&self.aside(world), 0o700, None)?;
            rename(&present, &kept)?;
        }
        let path = fetched.join(SECRETS);
        let theirs = settings_text(&path)?;
        let ours = self.replaces_secrets.then(|| settings_text(&kept)).transpose()?;
        let ours = ours.as_deref().map(|text| (kept.as_path(), text));
        let secrets = merged_secrets((&path, &theirs), ours)?.to_toml();
        Ok(host::disk::atomic_write(&present, secrets.expose_secret().as_bytes(), 0o600, None)?)
    }

    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        let (this, world) = (self.clone(), world.clone());
        blocking(move || {
            if this.secrets {
                put_back(&this.aside(&world).join(SECRETS), &world.layout.secrets(), this.replaces_secrets)?;
            }
            if this.wanted {
                host::disk::remove_file(&world.layout.wanted())?;
            }
            forget_empty(&this.aside(&world));
            Ok(())
        })
        .await
    }
}

/// Puts a file back that was moved to `kept`, or removes what was not there before. Safe to run again.
pub(super) fn put_back(kept: &Path, path: &Path, existed: bool) -> Result<(), Error> {
    if !existed {
        return Ok(host::disk::remove_file(path)?);
    }
    match std::fs::rename(kept, path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::not_ready(format!(
            "cannot move {} back to {}: {}",
            kept.display(),
            path.display(),
            reason(&error)
        ))),
        _ => Ok(()),
    }
}

/// Removes a directory of `set-aside`, and `set-aside` itself, where nothing is in them.
pub(crate) fn forget_empty(aside: &Path) {
    let entries = std::fs::read_dir(aside).into_iter().flatten().flatten();
    for entry in entries {
        // A directory that is not empty stays.
        let _ = std::fs::remove_dir(entry.path());
    }
    let _ = std::fs::remove_dir(aside);
    let _ = aside.parent().map(std::fs::remove_dir);
}

//! Files that Mainstay itself writes: `mainstay.toml` and `secrets.toml`.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use plan::{Progress, Step, Undo};
use release::ReleaseId;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Action, blocking, step};
use crate::error::{Error, Exit};
use crate::place::layout::FILE_LIMIT;
use crate::place::machine::{Owner, make_dir};
use crate::state::settled::settings_of;
use crate::state::taken::Taken;
use crate::state::wanted::wanted_file;
use crate::world::World;

/// A file about to be replaced, kept beside the journal until the run is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// Whether the file was there when the plan was made.
    pub existed: bool,
}

impl Kept {
    /// Where the old content is kept.
    pub(super) fn place(world: &World, name: &str) -> PathBuf {
        world.layout.before().join(name)
    }

    /// Keeps the old file, once: a second run must not keep what the first wrote.
    pub(super) fn keep(&self, world: &World, name: &str, path: &Path) -> Result<(), Error> {
        let place = Self::place(world, name);
        if !self.existed || place.exists() {
            return Ok(());
        }
        make_dir(&world.layout.before(), 0o700, None)?;
        let old = host::disk::read_guarded(path, FILE_LIMIT)?;
        Ok(host::disk::atomic_write(&place, &old.bytes, old.mode, owner_of(&old))?)
    }

    /// Puts the old file back, or removes what was not there before. `output` is the step's, as its undo got it.
    ///
    /// What is kept stays: an undo that is killed runs again.
    ///
    /// # Errors
    /// The file was replaced and the old one is not kept any more.
    pub(super) fn put_back(
        &self,
        world: &World,
        name: &str,
        path: &Path,
        output: Option<&Value>,
    ) -> Result<(), Error> {
        if !self.existed {
            return Ok(host::disk::remove_file(path)?);
        }
        let place = Self::place(world, name);
        match host::disk::read_guarded(&place, FILE_LIMIT) {
            Ok(old) => Ok(host::disk::atomic_write(path, &old.bytes, old.mode, owner_of(&old))?),
            Err(error) if error.source.kind() != ErrorKind::NotFound => Err(error.into()),
            // Nothing was kept: nothing was replaced.
            Err(_) if output.is_none() => Ok(()),
            Err(_) => Err(Error::not_ready(format!(
                "the old {name} is not in {}, so {} cannot be put back as it was",
                world.layout.before().display(),
                path.display()
            ))
            .hint(format!(
                "copy it from a backup, or the present one, to {}, then run the command again",
                place.display()
            ))),
        }
    }
}

/// Who shall own what is written in place of `old`; only root can give a file to another.
fn owner_of(old: &host::disk::Content) -> Option<Owner> {
    rustix::process::geteuid().is_root().then_some(old.owner)
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

    pub(crate) fn step(self) -> Step<Action> {
        let undo = if self.replaces { "Put it back as it was" } else { "Remove it" };
        step("mainstay-toml", "Write mainstay.toml", Undo::by(undo), 10, self)
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let (this, world) = (self.clone(), world.clone());
        blocking(move || this.write(&world)).await.map(|()| Value::Null)
    }

    fn write(&self, world: &World) -> Result<(), Error> {
        let path = world.layout.wanted();
        Kept { existed: self.replaces }.keep(world, Self::NAME, &path)?;
        let wrong = |problem: String| Error::new(Exit::Settings, problem);
        if !self.replaces {
            let mut wanted = settings::Wanted::default();
            for (key, value) in &self.changes {
                wanted = wanted.with(key, value).map_err(wrong)?;
            }
            return Ok(host::disk::atomic_write(&path, settings::write(&wanted).as_bytes(), 0o600, None)?);
        }
        let old = host::disk::read_guarded(&path, FILE_LIMIT)?;
        let text = std::str::from_utf8(&old.bytes)
            .map_err(|error| wrong(format!("{}: it is no UTF-8 text ({error})", path.display())))?;
        let changes = self.changes.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
        let text = settings::change(&path, text, &changes).map_err(|findings| wrong(findings.to_string()))?;
        Ok(host::disk::atomic_write(&path, text.as_bytes(), 0o600, owner_of(&old))?)
    }

    pub(super) async fn undo(&self, world: &World, output: Option<&Value>) -> Result<(), Error> {
        let (this, world, output) = (self.clone(), world.clone(), output.cloned());
        blocking(move || {
            let kept = Kept { existed: this.replaces };
            kept.put_back(&world, Self::NAME, &world.layout.wanted(), output.as_ref())
        })
        .await
    }
}

/// Generates `secrets.toml`; in a plan only when there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secrets {
    /// The administrator's user name.
    pub admin_name: String,
    /// The fewest characters that the server allows a password to have, where a password needs more than usual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least_length: Option<usize>,
    /// The Mattermost that is taken over, whose salts and keys are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keeps: Option<Keeps>,
}

/// Where the salts and keys of a Mattermost are found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keeps {
    /// For which release the variables are read.
    pub release: ReleaseId,
    /// Its config.json, where that is known.
    pub config: Option<PathBuf>,
}

impl Keeps {
    fn secrets(&self, world: &World, admin_name: &str) -> Result<settings::Secrets, Error> {
        let config = match &self.config {
            Some(path) => Taken::read(path, &world.layout.data())?.config,
            None => Value::Null,
        };
        let resolved = settings_of(world, &wanted_file(&world.layout)?, &self.release)?;
        Ok(settings::keeping_salts(admin_name, &resolved, &config))
    }
}

impl Secrets {
    pub(crate) fn step(self) -> Step<Action> {
        let title = match &self.keeps {
            None => "Generate the secrets",
            Some(_) => "Generate the secrets, and keep the salts and keys that are known",
        };
        step("secrets", title, Undo::by("Remove them"), 10, self)
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let (this, world) = (self.clone(), world.clone());
        blocking(move || {
            let (name, path, least) = (&this.admin_name, world.layout.secrets(), this.least_length);
            // Run again, the first ones stay: a later step may have used them.
            if path.exists() {
                return Ok(Value::Null);
            }
            let mut secrets = match &this.keeps {
                None => settings::Secrets::generate(name),
                Some(keeps) => keeps.secrets(&world, name)?,
            };
            secrets.lengthen_admin_password(least.unwrap_or_default());
            let text = secrets.to_toml();
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

    pub(crate) fn step(self) -> Step<Action> {
        step("rotation", "Generate the new secrets", Undo::by("Put the old ones back"), 10, self)
    }

    /// The secrets before the rotation, until its run has ended; `None` where nothing was replaced yet.
    ///
    /// # Errors
    /// They cannot be read.
    pub(super) fn kept(world: &World) -> Result<Option<settings::Secrets>, Error> {
        let path = Kept::place(world, Self::NAME);
        let content = match host::disk::read_guarded(&path, FILE_LIMIT) {
            Ok(content) => content,
            Err(error) if error.source.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let text = String::from_utf8_lossy(&content.bytes);
        let secrets = settings::Secrets::parse(&path, &text);
        secrets.map(Some).map_err(|findings| Error::new(Exit::Settings, findings.to_string()))
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let (this, world) = (self.clone(), world.clone());
        blocking(move || {
            Kept { existed: true }.keep(&world, Self::NAME, &world.layout.secrets())?;
            let names: Vec<&str> = this.names.iter().map(String::as_str).collect();
            let mut secrets = world.secrets()?;
            secrets.rotate(&names).map_err(|problem| Error::new(Exit::Usage, problem))?;
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

    pub(super) async fn undo(&self, world: &World, output: Option<&Value>) -> Result<(), Error> {
        let (world, output) = (world.clone(), output.cloned());
        blocking(move || {
            Kept { existed: true }.put_back(&world, Self::NAME, &world.layout.secrets(), output.as_ref())
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;
    use crate::place::layout::Layout;

    fn world() -> (tempfile::TempDir, World) {
        let dir = tempfile::tempdir().expect("a directory");
        let layout = Layout::new(dir.path());
        make_dir(&layout.run(), 0o700, None).expect("run");
        (dir, World::new(layout, "/nowhere/mainstay".into(), "0.1.0", [].into()))
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("a file").permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn only_the_changes_are_in_the_plan_and_the_file_comes_back_as_it_was() {
        let (_dir, world) = world();
        let path = world.layout.wanted();
        let old = "listen = \"127.0.0.1:1\" # mine\n[mattermost.EmailSettings]\nSMTPPassword = \"hidden\"\n";
        fs::write(&path, old).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode");
        let changes = [("listen".to_owned(), "127.0.0.1:2".to_owned())].into();
        let action = WantedFile { changes, replaces: true };
        assert!(!serde_json::to_string(&action).expect("JSON").contains("hidden"));

        // Twice: a kill after the first must not make the second keep the new text.
        for _ in 0..2 {
            action.write(&world).expect("written");
        }
        let new = fs::read_to_string(&path).expect("text");
        assert_eq!(new, old.replace(":1\"", ":2\""));
        assert_eq!(mode(&path), 0o600, "nobody else may read it now either");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("a mode");
        for _ in 0..2 {
            action.undo(&world, Some(&Value::Null)).await.expect("undone");
            assert_eq!((fs::read_to_string(&path).expect("text").as_str(), mode(&path)), (old, 0o600));
        }
    }

    #[tokio::test]
    async fn a_new_file_says_what_was_decided_and_is_removed_again() {
        let (_dir, world) = world();
        let changes = [("listen".to_owned(), "127.0.0.1:2".to_owned())].into();
        let action = WantedFile { changes, replaces: false };
        action.write(&world).expect("written");
        let wanted = crate::wanted_file(&world.layout).expect("it parses");
        assert_eq!((wanted.get("listen"), mode(&world.layout.wanted())), (Some("127.0.0.1:2"), 0o600));
        action.undo(&world, None).await.expect("undone");
        assert!(!world.layout.wanted().exists());
    }

    #[test]
    fn a_step_that_replaced_a_file_is_not_undone_without_the_old_one() {
        let (_dir, world) = world();
        let path = world.layout.wanted();
        fs::write(&path, "new").expect("a file");
        let kept = Kept { existed: true };
        kept.put_back(&world, "mainstay.toml", &path, None).expect("nothing was kept: nothing was replaced");
        let lost = kept.put_back(&world, "mainstay.toml", &path, Some(&Value::Null)).expect_err("it is lost");
        assert!(lost.what.contains("run/before"), "{}", lost.what);
        // The way out that it names.
        make_dir(&world.layout.before(), 0o700, None).expect("before");
        fs::write(world.layout.before().join("mainstay.toml"), "old").expect("a file");
        kept.put_back(&world, "mainstay.toml", &path, Some(&Value::Null)).expect("put back");
        assert_eq!(fs::read_to_string(&path).expect("text"), "old");
    }

    #[test]
    fn a_link_is_not_kept_as_what_it_points_at() {
        let (_dir, world) = world();
        let path = world.layout.config();
        make_dir(&world.layout.root().join("config"), 0o750, None).expect("config");
        symlink("/etc/passwd", &path).expect("a link");
        let refused = Kept { existed: true }.keep(&world, "config.json", &path).expect_err("refused");
        assert!(refused.what.contains("it is a symbolic link"), "{}", refused.what);
        assert!(!world.layout.before().join("config.json").exists());
    }
}

//! The server's config.json, and `declared.json`, which remembers what Mainstay wrote there.

use std::net::SocketAddr;

use plan::{Progress, Step, Undo};
use release::ReleaseId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use settings::{Reconciled, Undeclared};

use super::file::Kept;
use super::{Action, blocking, step};
use crate::error::Error;
use crate::place::machine::owner;
use crate::state::config_file::{ConfigFiles, deployed, memory, read, shipped, text};
use crate::state::desired::{Desired, Machine};
use crate::state::edited::Edited;
use crate::state::location::Managed;
use crate::state::settled::{reconcile, resolve};
use crate::world::World;

/// Writes what is declared into config.json, gives back what is no longer declared, and remembers both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// The release whose shipped file is the base of a new one.
    pub release: ReleaseId,
    /// Where the server listens, behind the edge.
    pub listen: SocketAddr,
    /// Who reads it; `None` = whoever runs the plan.
    pub user: Option<String>,
    /// Whether it replaces one.
    pub replaces: bool,
    /// Whether there is a `declared.json` already. A plan of an earlier version knows none.
    #[serde(default)]
    pub remembers: bool,
    /// Whether config.json is right as it is, and only `declared.json` is written. The server need not stop for that.
    #[serde(default)]
    pub only_remembers: bool,
    /// Whether a key that is no longer declared goes back to what it was before.
    #[serde(default)]
    pub undeclared_goes_back: bool,
}

pub(super) const CONFIG: &str = "config.json";
const DECLARED: &str = "declared.json";
/// What this step wrote, beside what it replaced.
const WRITTEN: &str = "config.written.json";

impl Configuration {
    pub(crate) fn step(self) -> Step<Action> {
        let title = if self.only_remembers { "Remember what is declared" } else { "Write config.json" };
        let undo = if self.replaces { "Put it back as it was" } else { "Remove it" };
        step("configuration", title, Undo::by(undo), 10, self)
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let (this, world) = (self.clone(), world.clone());
        blocking(move || this.write(&world)).await.map(|()| Value::Null)
    }

    fn kept(&self) -> (Kept, Kept) {
        (Kept { existed: self.replaces }, Kept { existed: self.remembers })
    }

    fn write(&self, world: &World) -> Result<(), Error> {
        let layout = &world.layout;
        let (config, remembered) = self.kept();
        remembered.keep(world, DECLARED, &layout.declared())?;
        if self.only_remembers {
            let next = self.next(world, &self.files(world, deployed(layout)?)?)?;
            return write_memory(world, &next);
        }
        config.keep(world, CONFIG, &layout.config())?;
        let original = self.replaces.then(|| read(&Kept::place(world, CONFIG))).transpose()?;
        // A kill may have come between the two files, or after both: what is to be written follows from the files as the first run
        // found them.
        let mut next = self.next(world, &self.files(world, original.clone())?)?;
        let there = deployed(layout)?;
        if there.is_some() && there != original && there.as_ref() != Some(&next.config) {
            // Somebody edited the file after the kill.
            let files = ConfigFiles::read(layout, &self.release)?;
            next = self.next(world, &files)?;
        }
        let (owner, written) = (owner(self.user.as_deref())?, text(&next.config)?);
        if self.replaces {
            host::disk::atomic_write(&Kept::place(world, WRITTEN), &written, 0o600, None)?;
        }
        host::disk::atomic_write(&layout.config(), &written, 0o600, owner)?;
        write_memory(world, &next)
    }

    /// `config` and what was remembered of it when the first run began.
    fn files(&self, world: &World, config: Option<Value>) -> Result<ConfigFiles, Error> {
        let memory = if self.remembers { memory(&Kept::place(world, DECLARED))? } else { None };
        Ok(ConfigFiles { config, shipped: shipped(&world.layout, &self.release)?, memory })
    }

    /// Decided here and not when the plan was made: it holds secrets, which the journal must not.
    fn next(&self, world: &World, files: &ConfigFiles) -> Result<Reconciled, Error> {
        let layout = &world.layout;
        let machine = Machine::here(layout, self.user.is_some());
        let desired = Desired::decide(&crate::wanted_file(layout)?, &[].into(), &machine)?;
        let resolved = resolve(world, &desired, &self.release)?;
        let undeclared = if self.undeclared_goes_back { Undeclared::GoesBack } else { Undeclared::Stays };
        let managed = Managed::of(world, &desired.wanted, &self.release, false);
        reconcile(&resolved, &self.release, layout, self.listen, (files, &managed), undeclared)
    }

    pub(super) async fn undo(&self, world: &World, output: Option<&Value>) -> Result<(), Error> {
        let (this, world, output) = (self.clone(), world.clone(), output.cloned());
        blocking(move || {
            let (config, remembered) = this.kept();
            if !this.only_remembers {
                let known = [CONFIG, WRITTEN].map(|name| Kept::place(&world, name));
                if this.replaces && known.iter().any(|path| path.exists()) {
                    let known = [known[0].as_path(), known[1].as_path()];
                    Edited::new(&world.layout).keep_config(&world.layout, &known)?;
                }
                config.put_back(&world, CONFIG, &world.layout.config(), output.as_ref())?;
            }
            remembered.put_back(&world, DECLARED, &world.layout.declared(), output.as_ref())
        })
        .await
    }
}

/// Only whoever runs the plan may read it: it can hold secrets, and the server has no business there.
fn write_memory(world: &World, next: &Reconciled) -> Result<(), Error> {
    Ok(host::disk::atomic_write(&world.layout.declared(), next.memory.to_json().as_bytes(), 0o600, None)?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use serde_json::json;

    use super::*;
    use crate::place::layout::Layout;
    use crate::place::machine::make_dir;

    const SALT: &str = "a salt of thirty-two characters and more";

    /// A deployment whose Mainstay declared `before`, and a plan that declares `now`.
    fn world(now: &str) -> (tempfile::TempDir, World, Configuration) {
        let dir = tempfile::tempdir().expect("a directory");
        let layout = Layout::new(dir.path());
        let release = release::builtin();
        for dir in [layout.run(), layout.root().join("config")] {
            make_dir(&dir, 0o700, None).expect("made");
        }
        let shipped = layout.releases().join(release.to_string()).join("config");
        fs::create_dir_all(&shipped).expect("made");
        fs::write(shipped.join("config.json"), r#"{"TeamSettings": {"EnableOpenServer": false}}"#)
            .expect("written");
        let world = World::new(layout, "/nowhere/mainstay".into(), "0.1.0", BTreeMap::new());
        let action = Configuration {
            release,
            listen: "127.0.0.1:18065".parse().expect("an address"),
            user: None,
            replaces: false,
            remembers: false,
            only_remembers: false,
            undeclared_goes_back: true,
        };
        let before = format!(
            "[mattermost.TeamSettings]\nEnableOpenServer = true\n[mattermost.FileSettings]\nPublicLinkSalt = \"{SALT}\"\n"
        );
        fs::write(world.layout.wanted(), before).expect("written");
        action.write(&world).expect("installed");
        host::disk::remove_tree(&world.layout.before()).expect("the run is done");
        fs::write(world.layout.wanted(), now).expect("written");
        (dir, world, Configuration { replaces: true, remembers: true, ..action })
    }

    fn both(world: &World) -> (String, String) {
        let text = |path| fs::read_to_string(path).expect("a file");
        (text(world.layout.config()), text(world.layout.declared()))
    }

    const NAMED: &str = "[mattermost.TeamSettings]\nSiteName = \"Chat\"\n";

    #[tokio::test]
    async fn a_kill_between_the_two_files_loses_nothing() {
        let (_dir, world, action) = world(NAMED);
        let (config, memory) = both(&world);
        action.write(&world).expect("written");
        let (new_config, new_memory) = both(&world);
        assert!(
            new_config.contains("\"EnableOpenServer\": false") && !new_memory.contains("EnableOpenServer")
        );
        for (config_there, memory_there) in
            [(&config, &memory), (&new_config, &memory), (&config, &new_memory), (&new_config, &new_memory)]
        {
            fs::write(world.layout.config(), config_there).expect("written");
            fs::write(world.layout.declared(), memory_there).expect("written");
            action.write(&world).expect("written again");
            assert_eq!(both(&world), (new_config.clone(), new_memory.clone()));
        }
        for _ in 0..2 {
            action.undo(&world, Some(&Value::Null)).await.expect("undone");
            assert_eq!(both(&world), (config.clone(), memory.clone()));
        }
    }

    #[tokio::test]
    async fn what_somebody_edits_after_a_kill_stays() {
        let (_dir, world, action) = world(NAMED);
        action.write(&world).expect("written");
        let mut config: Value = serde_json::from_str(&both(&world).0).expect("JSON");
        config["SupportSettings"] = json!({"HelpLink": "https://help.example.com"});
        fs::write(world.layout.config(), config.to_string()).expect("written");
        action.write(&world).expect("written again");
        let written: Value = serde_json::from_str(&both(&world).0).expect("JSON");
        assert_eq!(written, config);
    }

    #[tokio::test]
    async fn the_memory_is_nobody_elses_and_in_no_journal() {
        let (_dir, world, action) = world(NAMED);
        let mode = fs::metadata(world.layout.declared()).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(both(&world).1.contains(SALT));
        assert!(!serde_json::to_string(&action).expect("JSON").contains(SALT));
        let first = Configuration { replaces: false, remembers: false, ..action };
        first.undo(&world, None).await.expect("undone");
        assert!(!world.layout.declared().exists() && !world.layout.config().exists());
    }

    #[test]
    fn a_plan_of_an_earlier_version_takes_nothing_back() {
        let old = r#"{"release": "11.6.0+0.1.0-builtin", "listen": "127.0.0.1:18065", "user": null, "replaces": true}"#;
        let read: Configuration = serde_json::from_str(old).expect("a step of a journal");
        assert!(!read.remembers && !read.only_remembers && !read.undeclared_goes_back);
    }
}

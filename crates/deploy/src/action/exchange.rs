//! The files of a snapshot in the place of those that are there.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use container_contract::VOLUME;
use plan::{Progress, Step, Undo};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::removal::rename;
use super::snapshot_settings::{forget_empty, put_back};
use super::{Action, blocking, step};
use crate::error::Error;
use crate::place::Place;
use crate::place::container::may_be_uploads;
use crate::place::layout::Layout;
use crate::place::machine::{make_dir, owner};
use crate::state::backups::set::{DATABASE, DEPLOYMENT, FILES};
use crate::state::config_file;
use crate::state::restoring::{APPS, CONFIG, DIRECTORIES, SQLITE, with_database_of};
use crate::world::World;

/// Moves what is there into `set-aside`, and what was fetched into its place. The server must not run.
///
/// A directory of `restoring` is there for as long as it has not been placed, which is how a second run, and an undo, know where the first
/// one was killed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// Who owns the server's files; `None` = whoever runs the plan.
    pub user: Option<String>,
    /// The directory below `set-aside` for what is there.
    pub into: String,
    /// Whether the snapshot has the uploaded files, or a database among them.
    pub files: bool,
    /// Whether the snapshot has apps that run on this machine, and there are none.
    pub apps: bool,
    /// Whether the database is a file, which is exchanged with the other files.
    pub sqlite: bool,
    /// Whether the snapshot has a config.json.
    pub config: bool,
    /// Whether there is a config.json now.
    pub replaces_config: bool,
    /// Whether the snapshot has a declared.json that is to be used.
    pub memory: bool,
    /// Whether there is a declared.json now.
    pub replaces_memory: bool,
    /// Whether all of it is removed again anyway: then nobody waits until it is on the disk.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub passing: bool,
}

/// The directory of config.json, and its name in it.
const CONFIG_DIRECTORY: &str = "config";
const CONFIG_FILE: &str = "config.json";

/// A directory, and the three places in which it may lie.
struct Moved {
    /// As it was fetched.
    fetched: PathBuf,
    /// In the deployment.
    place: PathBuf,
    /// What was in the deployment.
    aside: PathBuf,
    /// What a server has worked with and an undo took away.
    undone: PathBuf,
    /// The directory itself stays, and what is in it moves: it is a volume.
    contents: bool,
    /// What has changed in it is somebody's work.
    is_work: bool,
    /// Whose it is while it is fetched, and whose in its place: user and group.
    owners: Option<Owners>,
}

/// From whom, and to whom.
type Owners = ((u32, u32), (u32, u32));

impl Exchange {
    pub(crate) fn step(self) -> Step<Action> {
        let database = if self.sqlite { "the database, " } else { "" };
        let title = format!(
            "Exchange {database}files, plugins and config.json; what is there now moves into set-aside"
        );
        let undo = Undo::by("Move everything back");
        Step { snapshot: self.sqlite, ..step("exchange", title, undo, 50, self) }
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let (this, world) = (self.clone(), world.clone());
        blocking(move || this.place(&world)).await?;
        Ok(serde_json::json!({ "at_ms": jiff::Timestamp::now().as_millisecond() }))
    }

    fn aside(&self, world: &World) -> PathBuf {
        world.layout.set_aside().join(&self.into)
    }

    fn directories(&self, world: &World, owners: Option<Owners>) -> Vec<Moved> {
        let layout = &world.layout;
        let (root, fetched, aside) = (layout.root(), layout.restoring(), self.aside(world));
        let undone = layout.undone().join(format!("restored-{}", self.into));
        let moved = |name: &str, place: PathBuf, called: &str| Moved {
            fetched: fetched.join(name),
            place,
            aside: aside.join(called),
            undone: undone.join(called),
            contents: false,
            // Mainstay itself writes in it, and what the server wrote in it is of the data that is kept.
            is_work: called != CONFIG_DIRECTORY,
            owners: owners.filter(|_| called != Layout::APPS),
        };
        let is_exchanged = |name: &str| match name {
            FILES => self.files,
            CONFIG => self.config,
            _ => true,
        };
        let all = DIRECTORIES.iter().filter(|(name, _)| is_exchanged(name));
        let mut all: Vec<Moved> = all
            .map(|(name, called)| match *name {
                FILES if layout.place() == Place::Container => {
                    Moved { contents: true, ..moved(name, VOLUME.into(), "volume") }
                }
                FILES => moved(name, layout.data(), called),
                name => moved(name, root.join(called), called),
            })
            .collect();
        if self.apps {
            all.push(moved(APPS, layout.apps(), Layout::APPS));
        }
        if self.sqlite && layout.database() != layout.data() {
            all.push(moved(DATABASE, layout.database(), DATABASE));
        }
        all
    }

    /// Where the SQLite file is fetched to, and where it belongs among the files.
    fn sqlite_among_files(&self, world: &World) -> Option<(PathBuf, PathBuf)> {
        let layout = &world.layout;
        let among = self.sqlite && layout.database() == layout.data();
        let fetched = layout.restoring();
        among.then(|| (fetched.join(DATABASE).join(SQLITE), fetched.join(FILES).join(SQLITE)))
    }

    fn place(&self, world: &World) -> Result<(), Error> {
        let layout = &world.layout;
        make_dir(&self.aside(world), 0o700, None)?;
        if let Some((from, to)) = self.sqlite_among_files(world) {
            rename(&from, &to)?;
        }
        let owner = owner(self.user.as_deref())?;
        let me = me();
        for moved in self.directories(world, owner.map(|owner| (me, owner))) {
            moved.place()?;
        }
        let (aside, fetched) = (self.aside(world), layout.restoring().join(DEPLOYMENT));
        if self.config {
            let kept = aside.join(CONFIG_DIRECTORY).join(CONFIG_FILE);
            // One that cannot be read says of no database.
            let present = if self.replaces_config { config_file::read(&kept).ok() } else { None };
            let config = with_database_of(config_file::read(&layout.config())?, present.as_ref());
            host::disk::atomic_write(&layout.config(), &config_file::text(&config)?, 0o600, owner)?;
            // What was declared when the snapshot was taken belongs to its config.json.
            let kept = aside.join("declared.json");
            if self.replaces_memory && !kept.exists() {
                rename(&layout.declared(), &kept)?;
            }
            if self.memory {
                let path = fetched.join("declared.json");
                let memory = host::disk::read_named(&path, crate::place::layout::FILE_LIMIT);
                let memory = memory.map_err(|error| Error::path("read", &path, &error))?;
                host::disk::atomic_write(&layout.declared(), &memory, 0o600, None)?;
            }
        }
        if self.passing {
            return Ok(());
        }
        Ok(host::disk::sync_file_system(layout.root())?)
    }

    pub(super) async fn undo(&self, world: &World, output: Option<&Value>) -> Result<(), Error> {
        let since = output
            .and_then(|output| output["at_ms"].as_u64())
            .map(|ms| UNIX_EPOCH + Duration::from_millis(ms));
        let (this, world) = (self.clone(), world.clone());
        blocking(move || this.take_back(&world, since)).await
    }

    /// `since`: when everything was in its place; whatever has changed after that is somebody's work, and stays.
    fn take_back(&self, world: &World, since: Option<SystemTime>) -> Result<(), Error> {
        let (layout, aside) = (&world.layout, self.aside(world));
        if self.config {
            put_back(&aside.join("declared.json"), &layout.declared(), self.replaces_memory)?;
        }
        // A user who is gone has nothing.
        let owner = owner(self.user.as_deref()).ok().flatten();
        for moved in self.directories(world, owner.map(|owner| (me(), owner))).iter().rev() {
            moved.take_back(since)?;
        }
        if let Some((from, to)) = self.sqlite_among_files(world) {
            for end in ["-wal", "-shm"] {
                let beside = PathBuf::from(format!("{}{end}", to.display()));
                host::disk::remove_file(&beside)?;
            }
            // The file of an earlier, interrupted fetch may be there again.
            if to.exists() {
                host::disk::remove_file(&from)?;
                make_dir(from.parent().unwrap_or(&from), 0o700, None)?;
            }
            rename(&to, &from)?;
        }
        forget_empty(&aside);
        Ok(())
    }
}

/// Whose everything is that this writes.
fn me() -> (u32, u32) {
    (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
}

impl Moved {
    fn place(&self) -> Result<(), Error> {
        if let Some((from, to)) = self.owners {
            host::pass_tree(&self.fetched, from, to)?;
        }
        if self.contents {
            return self.place_contents();
        }
        if !is_there(&self.fetched) {
            return Ok(());
        }
        rename(&self.place, &self.aside)?;
        make_parent(&self.place)?;
        rename(&self.fetched, &self.place)
    }

    fn take_back(&self, since: Option<SystemTime>) -> Result<(), Error> {
        self.move_back(since)?;
        // The next attempt may have another user, or this one under another number.
        if let Some((from, to)) = self.owners {
            host::pass_tree(&self.fetched, to, from)?;
        }
        Ok(())
    }

    fn move_back(&self, since: Option<SystemTime>) -> Result<(), Error> {
        if self.contents {
            return self.take_contents_back(since);
        }
        if !is_there(&self.fetched) {
            make_parent(&self.fetched)?;
            if self.is_work && is_there(&self.place) && is_changed(&self.place, since) {
                make_parent(&self.undone)?;
                rename(&self.place, &self.undone)?;
            }
            if is_there(&self.place) {
                rename(&self.place, &self.fetched)?;
            } else {
                // It says that nothing of it is in the deployment any more.
                make_dir(&self.fetched, 0o750, None)?;
            }
        }
        rename(&self.aside, &self.place)
    }

    /// The name of `aside` while it is filled.
    fn part(&self) -> PathBuf {
        let mut name = self.aside.clone().into_os_string();
        name.push(".part");
        name.into()
    }

    fn place_contents(&self) -> Result<(), Error> {
        if !is_there(&self.fetched) {
            return Ok(());
        }
        if !is_there(&self.aside) {
            make_dir(&self.part(), 0o700, None)?;
            move_contents(&self.place, &self.part())?;
            rename(&self.part(), &self.aside)?;
        }
        move_contents(&self.fetched, &self.place)?;
        Ok(host::disk::remove_tree(&self.fetched)?)
    }

    fn take_contents_back(&self, since: Option<SystemTime>) -> Result<(), Error> {
        if is_there(&self.aside) {
            let was_placed = !is_there(&self.fetched);
            let changed = was_placed && is_changed(&self.place, since);
            let to = if changed || is_there(&self.undone) { &self.undone } else { &self.fetched };
            make_dir(to, 0o750, None)?;
            move_contents(&self.place, to)?;
            make_dir(&self.fetched, 0o750, None)?;
            rename(&self.aside, &self.part())?;
        }
        if is_there(&self.part()) {
            move_contents(&self.part(), &self.place)?;
            std::fs::remove_dir(self.part()).map_err(|error| Error::path("remove", self.part(), &error))?;
        }
        Ok(())
    }
}

fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

fn make_parent(path: &Path) -> Result<(), Error> {
    make_dir(path.parent().unwrap_or(path), 0o700, None)
}

/// Whether something in a volume belongs to the files: `VERSION` says which release used the volume, and stays.
fn moves(name: &std::ffi::OsStr) -> bool {
    may_be_uploads(name) && name != "VERSION"
}

/// Moves what a server may have made in one directory into another one.
fn move_contents(from: &Path, to: &Path) -> Result<(), Error> {
    let failed = |error: std::io::Error| Error::path("read", from, &error);
    for entry in std::fs::read_dir(from).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if moves(&name) {
            rename(&from.join(&name), &to.join(&name))?;
        }
    }
    Ok(())
}

/// Whether anything in a directory was written after that moment. Without one, no server has run with it.
fn is_changed(dir: &Path, since: Option<SystemTime>) -> bool {
    let Some(since) = since else { return false };
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| {
        let Ok(meta) = entry.path().symlink_metadata() else { return false };
        meta.modified().is_ok_and(|at| at > since)
            || (meta.is_dir() && is_changed(&entry.path(), Some(since)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(dir: &Path) -> Option<String> {
        std::fs::read_to_string(dir.join("file")).ok()
    }

    /// A directory of a deployment with an old content, and a new one that was fetched.
    fn moved(dir: &tempfile::TempDir, contents: bool, old: bool) -> Moved {
        let at = |name: &str| dir.path().join(name);
        let (fetched, place, aside, undone) =
            (at("fetched"), at("place"), at("aside/place"), at("undone/place"));
        let fill = |path: &Path, text: &str| {
            std::fs::create_dir_all(path).expect("made");
            std::fs::write(path.join("file"), text).expect("written");
        };
        fill(&fetched, "new");
        if old {
            fill(&place, "old");
        } else if contents {
            std::fs::create_dir_all(&place).expect("made");
        }
        std::fs::create_dir_all(at("aside")).expect("made");
        Moved { fetched, place, aside, undone, contents, is_work: true, owners: None }
    }

    #[test]
    fn placed_and_taken_back_once_and_again() {
        for contents in [false, true] {
            for old in [false, true] {
                let dir = tempfile::tempdir().expect("a directory");
                let moved = moved(&dir, contents, old);
                for _ in 0..2 {
                    for _ in 0..2 {
                        moved.place().expect("placed");
                        assert_eq!(text(&moved.place).as_deref(), Some("new"), "{contents} {old}");
                    }
                    for _ in 0..2 {
                        moved.take_back(None).expect("taken back");
                        assert_eq!(text(&moved.place).as_deref(), old.then_some("old"), "{contents} {old}");
                        assert_eq!(text(&moved.fetched).as_deref(), Some("new"), "{contents} {old}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_a_server_has_written_is_kept_apart() {
        for contents in [false, true] {
            let dir = tempfile::tempdir().expect("a directory");
            let moved = moved(&dir, contents, true);
            moved.place().expect("placed");
            let since = SystemTime::now() - Duration::from_secs(1);
            std::fs::write(moved.place.join("file"), "worked with").expect("written");
            for _ in 0..2 {
                moved.take_back(Some(since)).expect("taken back");
                assert_eq!(text(&moved.place).as_deref(), Some("old"), "{contents}");
                assert_eq!(text(&moved.undone).as_deref(), Some("worked with"), "{contents}");
            }
        }
    }

    mod full {
        use std::os::unix::fs::MetadataExt as _;

        use super::*;

        #[test]
        fn what_is_taken_back_is_nobody_elses() {
            const SERVERS: (u32, u32) = (65533, 65533);
            assert_eq!(me(), (0, 0), "this test runs as root");
            let owner = |path: &Path| {
                let meta = path.join("file").metadata().expect("a file");
                (meta.uid(), meta.gid())
            };
            for contents in [false, true] {
                let dir = tempfile::tempdir().expect("a directory");
                let moved = Moved { owners: Some((me(), SERVERS)), ..moved(&dir, contents, true) };
                moved.place().expect("placed");
                assert_eq!(owner(&moved.place), SERVERS);
                moved.take_back(None).expect("taken back");
                assert_eq!(owner(&moved.fetched), me(), "{contents}");
            }
        }
    }
}

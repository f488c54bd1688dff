//! Where everything of a deployment lies.

use std::path::{Path, PathBuf};

use container_contract::{BACKUPS, RELEASES, VOLUME};

use super::Place;
use crate::error::Error;

/// The paths of one deployment's directory (docs/design/house.md has the picture).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
    place: Place,
}

/// The most that a file which is read whole may hold, in bytes; some tens of times a large config.json.
pub(crate) const FILE_LIMIT: u64 = 1 << 20;

/// The server's own directories: it writes there, and nobody but it and root reads there.
const SERVER_DIRS: [&str; 5] = ["config", "logs/mattermost", "plugins", "client-plugins", "local"];

/// Directories that only Mainstay writes: a server must not be able to redirect what root does there.
const OWN_DIRS: [&str; 1] = [Layout::LOGS];

/// Every name that may stand at the top of a deployment's directory.
const OURS: [&str; 31] = [
    Layout::APPS,
    "mainstay.toml",
    "secrets.toml",
    Layout::BOOT_ENVIRONMENT,
    "declared.json",
    "deployment.json",
    "set-aside",
    Layout::RESTORING,
    Layout::DRILL,
    "current",
    "releases",
    Layout::PROGRAMS,
    "config",
    "data",
    "database",
    "logs",
    "local",
    "plugins",
    "client-plugins",
    "postgres",
    "backups",
    Layout::BACKUP_KEY,
    Layout::BACKUP_RECORD,
    Layout::ROLLBACK,
    "updates.json",
    "advisories.json",
    "state.db",
    "state.db-wal",
    "state.db-shm",
    "state.db-room",
    "run",
];

/// Those of [`OURS`] that no other program would have.
const SIGNS: [&str; 5] = ["mainstay.toml", "secrets.toml", "declared.json", "deployment.json", "state.db"];

/// How the name of a journal begins that is being made.
const STAGED_JOURNAL: &str = "state.db.new-";

fn is_staged(name: &str) -> bool {
    host::disk::is_staged(name) || name.starts_with(STAGED_JOURNAL)
}

/// Removes what a kill left half-written beside what it should have become. To be called by who holds the lock: without it somebody may
/// be writing there. `run` is not swept, because the agent writes there and holds another lock.
///
/// # Errors
/// A directory cannot be read, or a name in it not be removed.
pub(crate) fn sweep(layout: &Layout) -> Result<(), Error> {
    for dir in [layout.root().to_owned(), layout.root().join("config")] {
        let entries = match std::fs::read_dir(&dir) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            entries => entries.map_err(|error| Error::path("read", &dir, &error))?,
        };
        for entry in entries {
            let name = entry.map_err(|error| Error::path("read", &dir, &error))?.file_name();
            if name.to_str().is_some_and(is_staged) {
                host::disk::remove_tree(&dir.join(name))?;
            }
        }
    }
    Ok(())
}

impl Layout {
    /// The name of the file with the variables that say settings, for the start at boot.
    pub(crate) const BOOT_ENVIRONMENT: &str = "boot.env";

    /// That file.
    pub(crate) fn boot_environment(&self) -> PathBuf {
        self.root.join(Self::BOOT_ENVIRONMENT)
    }

    /// The name of the file with the key of the backups.
    pub(crate) const BACKUP_KEY: &str = "backup.key";

    /// 0600: what opens the repository. Without it nobody restores.
    pub fn backup_key(&self) -> PathBuf {
        self.root.join(Self::BACKUP_KEY)
    }

    /// The name of the file with the results of backups.
    pub(crate) const BACKUP_RECORD: &str = "backups.json";

    /// 0600: how the last backup, check and drill ended.
    pub(crate) fn backup_record(&self) -> PathBuf {
        self.root.join(Self::BACKUP_RECORD)
    }

    /// Where backups are kept unless told otherwise. In a container, what is not in a volume of its own is lost with the other one.
    pub(crate) fn repository(&self) -> PathBuf {
        match self.place {
            Place::Machine => self.root.join(Self::REPOSITORY),
            Place::Container => BACKUPS.into(),
        }
    }

    /// The name of the default repository on a machine.
    pub(crate) const REPOSITORY: &str = "backups";

    /// What a backup needs while it runs: the copy of a database, a file with a password.
    pub(crate) fn backup_scratch(&self) -> PathBuf {
        self.root.join("run/backup")
    }

    /// The directory of apps that run on this machine. They need no deployment.
    pub(crate) const APPS: &str = "apps";

    /// Where apps run.
    pub fn apps(&self) -> PathBuf {
        self.root.join(Self::APPS)
    }

    /// What apps printed whose first deployment failed: all that is left of it.
    pub fn failed_apps(&self) -> PathBuf {
        self.run().join("failed-apps")
    }

    /// What is deployed of an app: its versions, newest first.
    pub(crate) fn app_record(&self, app_id: &str) -> PathBuf {
        self.apps().join(app_id).join("deployed.json")
    }

    /// The bundles of the app's deployed versions, a directory for each.
    pub(crate) fn app_versions(&self, app_id: &str) -> PathBuf {
        self.apps().join(app_id).join("deployed")
    }

    /// The name of the directory with what server and agent have to say.
    pub(crate) const LOGS: &str = "logs";

    /// The layout below `root`, which must be absolute: the server is started elsewhere.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), place: Place::Machine }
    }

    /// The layout of a container: beside docker-mattermost's uploads in the volume, with the image's release.
    pub fn container() -> Self {
        Self { root: Path::new(VOLUME).join(".mainstay"), place: Place::Container }
    }

    /// Where the deployment lives.
    pub fn place(&self) -> Place {
        self.place
    }

    /// The server's own directories, by their names below the root.
    pub(crate) fn server_dirs(&self) -> impl Iterator<Item = &'static str> + use<> {
        let data = match self.place {
            Place::Machine => "data",
            Place::Container => "database",
        };
        SERVER_DIRS.into_iter().chain([data])
    }

    /// Files that the server must be able to read and write where they are there, by their names below the root.
    pub(crate) fn server_files(&self) -> impl Iterator<Item = String> + use<> {
        let database = match self.place {
            Place::Machine => "data/mattermost.db",
            Place::Container => "database/mattermost.db",
        };
        let of_database =
            ["", "-wal", "-shm", "-journal"].into_iter().map(move |end| format!("{database}{end}"));
        ["config/config.json", "logs/mattermost/mattermost.log"]
            .into_iter()
            .map(str::to_owned)
            .chain(of_database)
    }

    /// Every directory of the layout, by its name below the root.
    pub(crate) fn dirs(&self) -> impl Iterator<Item = &'static str> + use<> {
        let releases = (self.place == Place::Machine).then_some("releases");
        OWN_DIRS.into_iter().chain(releases).chain(self.server_dirs())
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The only file that people edit.
    pub fn wanted(&self) -> PathBuf {
        self.root.join("mainstay.toml")
    }

    /// 0600: what was generated once.
    pub fn secrets(&self) -> PathBuf {
        self.root.join("secrets.toml")
    }

    /// 0600: what was declared last, and what it replaced in config.json.
    pub fn declared(&self) -> PathBuf {
        self.root.join("declared.json")
    }

    /// 0600: the deployment's id, and which data belongs to it.
    pub fn identity(&self) -> PathBuf {
        self.root.join("deployment.json")
    }

    /// Says in the directory of the data whose it is.
    pub fn data_mark(&self) -> PathBuf {
        self.database().join(".mainstay-deployment")
    }

    /// What `up --start-empty` has moved away, a directory for each time.
    pub fn set_aside(&self) -> PathBuf {
        self.root.join("set-aside")
    }

    /// The name of the directory that a snapshot is fetched into.
    pub(crate) const RESTORING: &str = "restoring";

    /// Where a snapshot is fetched to, on the file system of what it replaces.
    pub(crate) fn restoring(&self) -> PathBuf {
        self.root.join(Self::RESTORING)
    }

    /// The name of the directory of a drill.
    pub(crate) const DRILL: &str = "drill";

    /// Where a drill has its scratch deployment: outside `run`, which the server's user cannot enter.
    pub(crate) fn drill(&self) -> PathBuf {
        self.root.join(Self::DRILL)
    }

    /// The link to the active release.
    pub fn current(&self) -> PathBuf {
        self.root.join("current")
    }

    /// The unpacked releases.
    pub fn releases(&self) -> PathBuf {
        match self.place {
            Place::Machine => self.root.join("releases"),
            Place::Container => RELEASES.into(),
        }
    }

    /// The name of the directory with programs of Mainstay.
    pub(crate) const PROGRAMS: &str = "programs";

    /// 0700: Mainstay's own program before the last `self-update`, and one that is about to take its place.
    pub(crate) fn programs(&self) -> PathBuf {
        self.root.join(Self::PROGRAMS)
    }

    /// The server's own configuration.
    pub fn config(&self) -> PathBuf {
        self.root.join("config/config.json")
    }

    /// Uploaded files.
    pub fn data(&self) -> PathBuf {
        match self.place {
            Place::Machine => self.root.join("data"),
            Place::Container => VOLUME.into(),
        }
    }

    /// The directory of the built-in server's SQLite database: where people keep their own directory, the uploads'.
    pub fn database(&self) -> PathBuf {
        match self.place {
            Place::Machine => self.data(),
            Place::Container => self.root.join("database"),
        }
    }

    /// The SQLite database of the built-in server.
    pub fn sqlite(&self) -> PathBuf {
        self.database().join("mattermost.db")
    }

    /// Which server last used a container's volume, as docker-mattermost writes it; `None` outside a container.
    pub fn volume_version(&self) -> Option<PathBuf> {
        (self.place == Place::Container).then(|| Path::new(VOLUME).join("VERSION"))
    }

    /// What server and agent have to say.
    pub fn logs(&self) -> PathBuf {
        self.root.join(Self::LOGS)
    }

    /// The log of one part.
    pub fn log(&self, part: LogPart) -> PathBuf {
        self.root.join(match part {
            LogPart::Server => "logs/server.log",
            LogPart::Agent => "logs/agent.log",
            LogPart::Edge => "logs/edge.log",
            LogPart::Schedule => "logs/schedule.log",
            LogPart::Database => "logs/database.log",
        })
    }

    /// Programs of the administrator that run before and after operations. They are not Mainstay's: `uninstall` leaves them.
    pub(crate) fn hooks(&self) -> PathBuf {
        self.root.join("hooks")
    }

    /// 0600: how the last update by itself ended, and what was told.
    pub(crate) fn update_record(&self) -> PathBuf {
        self.root.join("updates.json")
    }

    /// 0600: what was read last of the makers' advisories and releases.
    pub(crate) fn advisories(&self) -> PathBuf {
        self.root.join("advisories.json")
    }

    /// Sockets, process ids, locks.
    pub fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    /// Where the agent takes its commands; 0600.
    pub fn socket(&self) -> PathBuf {
        self.root.join("run/agent.sock")
    }

    /// The word that lets a request through while others wait at the edge; 0600.
    pub(crate) fn pass(&self) -> PathBuf {
        self.root.join("run/pass")
    }

    /// Held while an operation changes the deployment.
    pub fn lock(&self) -> PathBuf {
        self.root.join("run/operation.lock")
    }

    /// Held by the agent while it lives.
    pub fn agent_lock(&self) -> PathBuf {
        self.root.join("run/agent.lock")
    }

    /// What a running plan would need to put back; empty between plans.
    pub fn before(&self) -> PathBuf {
        self.root.join("run/before")
    }

    /// The name of the directory of what upgrades keep for `rollback`.
    pub(crate) const ROLLBACK: &str = "rollback";

    /// What upgrades keep for `rollback`: a directory for each release that can come back.
    pub(crate) fn rollback(&self) -> PathBuf {
        self.root.join(Self::ROLLBACK)
    }

    /// What an `uninstall` has moved away and not yet deleted.
    pub fn aside(&self) -> PathBuf {
        self.root.join("run/aside")
    }

    /// What an `uninstall` deletes for good: once something is here and the run is done, the deployment is half gone.
    pub fn deleting(&self) -> PathBuf {
        self.root.join("run/deleting")
    }

    /// What an `uninstall --keep-data` deletes: nothing that a later `up` goes on with.
    pub(crate) fn unneeded(&self) -> PathBuf {
        self.root.join("run/unneeded")
    }

    /// Data of installations that were undone: moved here and not deleted.
    pub fn undone(&self) -> PathBuf {
        self.root.join("run/undone")
    }

    /// Where the server's temporary files go, where the system's own directory for them is closed: in a container with a
    /// read-only root (`docker run --read-only`).
    pub(crate) fn temporary(&self) -> Option<PathBuf> {
        use rustix::fs::{Access, AtFlags, CWD, accessat};
        let is_open = || accessat(CWD, "/tmp", Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS).is_ok();
        (self.place == Place::Container && !is_open()).then(|| self.root.join("run/temporary"))
    }

    /// What to do where the directory cannot be used.
    pub(crate) fn elsewhere(&self, where_to: &str) -> String {
        match self.place {
            Place::Machine => format!("name a directory {where_to} with `--dir`"),
            Place::Container => format!("mount a volume {where_to} at {VOLUME}"),
        }
    }

    /// Journal and history.
    pub fn journal(&self) -> PathBuf {
        self.root.join("state.db")
    }

    /// The restarts of parts that nobody asked for.
    pub(crate) fn restarts(&self) -> PathBuf {
        self.root.join("run/restarts.json")
    }

    /// The scheduled runs that have ended.
    pub(crate) fn ended_runs(&self) -> PathBuf {
        self.root.join("run/ended-runs.json")
    }

    /// What the rehearsals of upgrades came to.
    pub(crate) fn rehearsals(&self) -> PathBuf {
        self.root.join("run/rehearsed.json")
    }

    /// What people had before a release changed their database.
    pub(crate) fn census(&self) -> PathBuf {
        self.before().join("census.json")
    }

    /// The newest report of the acceptance test.
    pub fn report(&self) -> PathBuf {
        self.root.join("run/verified.json")
    }

    /// The newest report of a test that did not pass.
    pub(crate) fn failed_report(&self) -> PathBuf {
        self.root.join("run/not-verified.json")
    }

    /// Whether a name at the top of the directory shows that a deployment stands there.
    pub(crate) fn is_sign(name: &str) -> bool {
        SIGNS.contains(&name)
    }

    /// Whether a name at the top of the directory is one that Mainstay makes.
    pub fn is_ours(name: &str) -> bool {
        OURS.contains(&name) || name.starts_with("state.db.corrupt-") || is_staged(name)
    }
}

/// The parts that keep a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogPart {
    /// The Mattermost server.
    Server,
    /// The proxy in front of it.
    Edge,
    /// The process that supervises both.
    Agent,
    /// What the agent begins by itself.
    Schedule,
    /// The managed database.
    Database,
}

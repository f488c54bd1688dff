//! An unpacked release, and the calls of its programs.
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::capability::Capabilities;
use crate::edition::ReleaseId;
use crate::error::ReleaseError;
use crate::identity::Identity;

/// The file in a release where `unpack` keeps what the binary printed about itself.
pub(crate) const IDENTITY: &str = "release.json";
/// What the built-in server's tarball says about itself; its first line is the release's name.
pub(crate) const MANIFEST: &str = "manifest.txt";
/// The server, within a release.
pub(crate) const BINARY: &str = "bin/mattermost";
/// The settings of a new installation. They differ from the defaults that a server uses for an empty file.
pub(crate) const CONFIG: &str = "config/config.json";
/// Directories every official tarball has had since 5.x.
pub(crate) const DIRECTORIES: [&str; 4] = ["client", "fonts", "i18n", "templates"];

/// A complete, unpacked release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    root: PathBuf,
    identity: Identity,
}

/// A program to run, as data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Absolute path of the program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Variables it needs; settings go into config.json, not here.
    pub env: BTreeMap<String, String>,
    /// Its working directory: servers look for `i18n`, `templates` and `fonts` there.
    pub cwd: PathBuf,
}

impl Release {
    /// Opens an unpacked release, or says which file is missing or wrong.
    pub fn open(root: &Path) -> Result<Self, ReleaseError> {
        let wrong = |problem: String| ReleaseError::NotARelease { root: root.to_path_buf(), problem };
        let root = fs::canonicalize(root).map_err(|e| wrong(e.to_string()))?;
        check(&root).map_err(wrong)?;
        let text = fs::read(root.join(IDENTITY)).map_err(|e| wrong(format!("{IDENTITY}: {e}")))?;
        let identity = serde_json::from_slice(&text).map_err(|e| wrong(format!("{IDENTITY}: {e}")))?;
        Ok(Self { root, identity })
    }

    /// Which release it is.
    pub fn id(&self) -> &ReleaseId {
        &self.identity.release
    }

    /// Everything that its binary printed about itself.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Its directory, with no links in it.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The server.
    pub fn binary(&self) -> PathBuf {
        self.root.join(BINARY)
    }

    /// The config.json that it is shipped with: the base of a new one.
    pub fn shipped_config(&self) -> PathBuf {
        self.root.join(CONFIG)
    }

    /// What it can do.
    pub fn capabilities(&self) -> Capabilities {
        Capabilities::of(self.id())
    }

    /// The call that prints its version. Before 6.5 the command without the flag would migrate the database.
    pub fn version(&self) -> Call {
        let quiet = self.capabilities().version_without_database;
        self.call(if quiet { &["version"] } else { &["version", "--skip-server-start"] })
    }

    /// The call that migrates the database to this release's schema; `None` if the server does it when it starts.
    pub fn migrate(&self, config: &Path) -> Option<Call> {
        self.capabilities().db_migrate.then(|| self.call(&["db", "migrate"]).with_config(config))
    }

    /// The call that says what [`migrate`](Self::migrate) would do, and changes nothing. Releases that do not know it fail.
    pub fn migrate_dry(&self, config: &Path) -> Option<Call> {
        let exists = self.capabilities().db_migrate;
        exists.then(|| self.call(&["db", "migrate", "--dry-run"]).with_config(config))
    }

    /// The call that prints which flags [`migrate`](Self::migrate) has.
    pub fn migrate_help(&self) -> Option<Call> {
        self.capabilities().db_migrate.then(|| self.call(&["db", "migrate", "--help"]))
    }

    /// The call that migrates, and saves the server's own plan of the migrations among the files. Only where
    /// [`migrate_help`](Self::migrate_help) has [`SAVE_PLAN`].
    pub fn migrate_saving(&self, config: &Path) -> Option<Call> {
        self.migrate(config).map(|mut call| {
            call.args.push(SAVE_PLAN.into());
            call
        })
    }

    /// The call that runs the server.
    pub fn server(&self, config: &Path) -> Call {
        self.call(&["server"]).with_config(config)
    }

    fn call(&self, args: &[&str]) -> Call {
        Call {
            program: self.binary(),
            args: args.iter().map(OsString::from).collect(),
            env: BTreeMap::new(),
            cwd: self.root.clone(),
        }
    }
}

impl Call {
    fn with_config(mut self, config: &Path) -> Self {
        self.args.extend(["--config".into(), config.into()]);
        self
    }
}

/// The flag with which a server saves its own plan of the migrations.
pub const SAVE_PLAN: &str = "--save-plan";

/// Whether a directory has the official layout; the error names what is missing.
pub(crate) fn check(root: &Path) -> Result<(), String> {
    let meta = |name: &str| fs::metadata(root.join(name)).map_err(|e| format!("{name}: {e}"));
    let binary = meta(BINARY)?;
    if !binary.is_file() || binary.permissions().mode() & 0o111 == 0 {
        return Err(format!("{BINARY} is not an executable file"));
    }
    if !meta(CONFIG)?.is_file() {
        return Err(format!("{CONFIG} is not a file"));
    }
    for name in DIRECTORIES {
        if !meta(name)?.is_dir() {
            return Err(format!("{name} is not a directory"));
        }
    }
    Ok(())
}

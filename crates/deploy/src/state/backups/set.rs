//! What a snapshot of a deployment is made of.
//!
//! `database` is the dump, `files` the server's directory of uploaded files, and everything below `deployment` stands in the deployment's
//! directory under the same name. The parts are read in the order of their names, so the dump comes first and the manifest last.

use std::fs::symlink_metadata;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use backup::{Content, DatabaseDump, FORMAT, Manifest, Part, ReleaseName, Set};
use database::dump;
use dsn::DataSource;
use jiff::Timestamp;
use release::ReleaseId;

use crate::error::{Error, Exit};
use crate::place::layout::Layout;
use crate::state::apps;
use crate::state::config_file;
use crate::state::identity::Identity;
use crate::state::location;
use crate::world::World;

/// The dump.
pub(crate) const DATABASE: &str = "database";

/// The uploaded files.
pub(crate) const FILES: &str = "files";

/// What stands in the deployment's directory under the same name.
pub(crate) const DEPLOYMENT: &str = "deployment";

/// Files at the top of the deployment's directory.
const OWN_FILES: [&str; 5] =
    ["mainstay.toml", "secrets.toml", "declared.json", "deployment.json", Layout::BOOT_ENVIRONMENT];

/// Directories there.
const OWN_TREES: [&str; 3] = ["config", "plugins", "client-plugins"];

/// What is known of a deployment before a snapshot of it is taken.
pub(crate) struct Subject {
    layout: Layout,
    /// Where the data is.
    pub source: DataSource,
    /// Why there are no files; `None` = there are.
    without_files: Option<String>,
    release: ReleaseId,
    id: String,
    made_by: String,
}

impl Subject {
    /// The deployment of `world`, as its config.json says.
    ///
    /// # Errors
    /// A file cannot be read; something is missing.
    pub(crate) fn of(world: &World) -> Result<Self, Error> {
        let layout = &world.layout;
        let config = config_file::read(&layout.config())?;
        let source = location::source(&config, layout).ok_or_else(|| {
            let what = format!("{}: `SqlSettings.DataSource` names no database", layout.config().display());
            Error::new(Exit::Settings, what).hint("run `mainstay up`, which writes it")
        })?;
        let without_files = config_file::files_elsewhere(&config).map(|driver| {
            format!("the server keeps its files elsewhere (`FileSettings.DriverName` is `{driver}`): back them up there")
        });
        let release = release::current(&layout.current())
            .ok_or_else(|| Error::not_ready("the link to the active release leads to none"))?;
        Ok(Self {
            layout: layout.clone(),
            source,
            without_files,
            release,
            id: Identity::read(layout)?.map(|identity| identity.id).unwrap_or_default(),
            made_by: format!("mainstay {}", world.version),
        })
    }

    /// Where the release's files are.
    fn release_root(&self) -> PathBuf {
        self.layout.releases().join(self.release.to_string())
    }

    /// What is in a snapshot besides the dump and the manifest.
    fn files(&self, with_release: bool) -> Result<Vec<Part>, Error> {
        let root = self.layout.root();
        let mut parts = Vec::new();
        let mut add = |name: String, content: Content| parts.push(Part { name, content });
        let within = |name: &str| format!("{DEPLOYMENT}/{name}");
        for name in OWN_FILES.into_iter().filter(|name| root.join(name).exists()) {
            add(within(name), file(&root.join(name))?);
        }
        for name in OWN_TREES.into_iter().filter(|name| is_directory(&root.join(name))) {
            add(within(name), Content::Tree { root: root.join(name), skip: Vec::new() });
        }
        for app in apps::deployed(&self.layout).current {
            let id = &app.spec.app_id;
            let below = |what: &str| within(&format!("{}/{id}/{what}", Layout::APPS));
            add(below("deployed.json"), file(&self.layout.app_record(id))?);
            add(below("deployed"), Content::Tree { root: self.layout.app_versions(id), skip: Vec::new() });
        }
        if with_release {
            let root = self.release_root();
            let root = root.canonicalize().map_err(|error| Error::path("read", root, &error))?;
            add(within(&format!("releases/{}", self.release)), Content::Tree { root, skip: Vec::new() });
        }
        if self.without_files.is_none() {
            let root = self.layout.data();
            let database = self.layout.sqlite();
            let beside = ["", "-wal", "-shm", "-journal"]
                .map(|end| PathBuf::from(format!("{}{end}", database.display())));
            // In a container the deployment's directory is below that of the files.
            let skip = beside.into_iter().chain([self.layout.root().to_owned()]).collect();
            add(FILES.to_owned(), Content::Tree { root, skip });
        }
        Ok(parts)
    }

    /// The set with a dump that has begun. What the dump came to is known when it has been read to its end.
    ///
    /// # Errors
    /// A file cannot be found.
    pub(crate) fn set(self, dump: dump::Dump, asked: Asked) -> Result<(Set, Held), Error> {
        let mut parts = self.files(asked.with_release)?;
        let rows: Arc<Mutex<dump::Rows>> = Arc::default();
        let (content, held, copied) = match dump.content {
            dump::Content::File(copy) => {
                rows.lock().unwrap_or_else(PoisonError::into_inner).clone_from(copy.rows());
                let bytes = symlink_metadata(copy.path()).map_or(0, |meta| meta.len());
                let name = format!("{DATABASE}/mattermost.db");
                (Part { name, content: Content::File(copy.path().to_owned()) }, Some(copy), Some(bytes))
            }
            dump::Content::Stream(stream) => {
                let streamed = Streamed { stream, rows: Arc::clone(&rows) };
                (Part { name: DATABASE.to_owned(), content: Content::Dump(Box::new(streamed)) }, None, None)
            }
        };
        parts.push(content);
        let database = DatabaseDump {
            engine: dump.engine.to_owned(),
            server: dump.server,
            migration: dump.migration,
            bytes: copied.unwrap_or(0),
            rows: dump::Rows::new(),
        };
        let release = ReleaseName {
            id: self.release.to_string(),
            version: self.release.version.to_string(),
            edition: self.release.edition.to_string(),
        };
        let manifest = Manifest {
            format: FORMAT,
            made_by: self.made_by,
            taken: asked.taken,
            deployment: self.id,
            directory: self.layout.root().display().to_string(),
            why: asked.why,
            release,
            database,
            files: 0,
            bytes: 0,
            with_release: asked.with_release,
            without_files: self.without_files,
        };
        let last = move |counted: backup::Counted| {
            let mut manifest = manifest.clone();
            manifest.database.rows.clone_from(&rows.lock().unwrap_or_else(PoisonError::into_inner));
            manifest.database.bytes += counted.dumped;
            // The copy of a database is a file, and none of the deployment's files.
            manifest.files = counted.files - u64::from(copied.is_some());
            manifest.bytes = counted.bytes - copied.unwrap_or(0);
            serde_json::to_vec_pretty(&manifest).map_err(|error| backup::Error::Engine(error.to_string()))
        };
        parts.push(Part { name: "mainstay.json".to_owned(), content: Content::Last(Arc::new(last)) });
        Ok((Set::new(parts), Held { _copy: held }))
    }
}

/// What was asked for.
pub(crate) struct Asked {
    /// Why, in a line.
    pub why: String,
    /// When: before the dump began.
    pub taken: Timestamp,
    /// Whether the release's files are in it, too.
    pub with_release: bool,
}

/// What must stay until the set has been read.
pub(crate) struct Held {
    _copy: Option<dump::Copy>,
}

/// A dump that is read into a snapshot, and the rows that it turns out to have.
struct Streamed {
    stream: Box<dump::Stream>,
    rows: Arc<Mutex<dump::Rows>>,
}

impl Read for Streamed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }
}

impl backup::Dump for Streamed {
    fn finish(&mut self) -> Result<(), String> {
        let rows = self.stream.finish().map_err(|error| error.to_string())?;
        *self.rows.lock().unwrap_or_else(PoisonError::into_inner) = rows;
        Ok(())
    }
}

/// A file that must be there. Where it is a link, what that leads to.
fn file(path: &Path) -> Result<Content, Error> {
    path.canonicalize().map(Content::File).map_err(|error| Error::path("read", path, &error))
}

fn is_directory(path: &Path) -> bool {
    symlink_metadata(path).is_ok_and(|meta| meta.is_dir())
}

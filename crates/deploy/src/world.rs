//! What an operation may touch.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use settings::{Defaults, Secrets};

use crate::control::client::Client;
use crate::control::program::Program;
use crate::error::{Error, Exit};
use crate::place::layout::Layout;
use crate::state::backups::objects::Objects;

/// How the C library manages a server's memory: two arenas instead of eight a core, and what is large and free goes back to the
/// system at once. An upload of pictures leaves a hundred megabytes in the process otherwise. The administrator's own values win.
pub(crate) const MEMORY: [(&str, &str); 3] =
    [("MALLOC_ARENA_MAX", "2"), ("MALLOC_TRIM_THRESHOLD_", "131072"), ("MALLOC_MMAP_THRESHOLD_", "131072")];

/// A deployment, and the way to everything of it that an operation may touch.
#[derive(Debug, Clone)]
pub struct World {
    /// The deployment's directory.
    pub layout: Layout,
    /// The mainstay binary: it is the agent, and the built-in server.
    pub mainstay: PathBuf,
    /// The environment of the agent it starts; of this process's own it inherits nothing.
    pub env: BTreeMap<String, String>,
    /// The environment that settings are read from: `MATTERMOST_*`, `MM_*` and the like.
    pub variables: BTreeMap<String, String>,
    /// The way to the agent.
    pub agent: Client,
    /// The version of the running program, such as `0.1.0`.
    pub version: String,
    /// Which build of that version it is, as [`host::build::id`] says; empty where that cannot be found out.
    pub build: String,
    /// The password that an account gets: in memory and nowhere else.
    pub new_password: Option<SecretString>,
    /// Where fetched releases are kept, for all deployments of this user.
    pub cache: PathBuf,
    /// How the built-in server reads a config.json.
    pub builtin: Option<ReadConfig>,
    /// How object storage is reached, for backups.
    pub objects: Option<OpenObjects>,
}

/// The variable that names the directory of fetched releases.
const CACHE: &str = "MAINSTAY_CACHE";

/// Where fetched releases are kept: as the variable says, otherwise the usual place of this user.
fn cache(variables: &BTreeMap<String, String>) -> PathBuf {
    let absolute = |name: &str| variables.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let of_user = || {
        let home = || absolute("HOME").map(|home| home.join(".cache"));
        absolute("XDG_CACHE_HOME").or_else(home).map(|caches| caches.join("mainstay"))
    };
    let is_root = host::User::current().is_ok_and(|user| user.is_root());
    let usual = || if is_root { None } else { of_user() };
    absolute(CACHE).or_else(usual).unwrap_or_else(|| "/var/cache/mainstay".into())
}

/// Reads the text of a config.json as the built-in server does when it starts.
pub type ReadConfig = fn(&str) -> Result<(), Unreadable>;

/// Opens object storage, with credentials from the environment, a profile or a file.
pub type OpenObjects = fn(&Objects) -> Result<std::sync::Arc<dyn backup::Store>, Error>;

/// Why the built-in server would not start with a config.json.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// `Section.Key`; `None` where no key is the cause.
    pub key: Option<String>,
    /// What is wrong and what is allowed, as a sentence fragment.
    pub problem: String,
}

impl World {
    /// The world of the deployment in `layout`.
    pub fn new(
        layout: Layout,
        mainstay: PathBuf,
        version: &str,
        variables: BTreeMap<String, String>,
    ) -> Self {
        let agent = Client::new(layout.clone());
        let build = host::build::id(&mainstay).unwrap_or_default();
        let inherited = ["PATH", "LANG", "TZ", container_contract::VARIABLE].into_iter();
        let inherited = inherited.chain(MEMORY.map(|(name, _)| name));
        let env = inherited.filter_map(|name| Some((name.to_owned(), variables.get(name)?.clone())));
        // What scheduled operations need of whoever started the agent. The server gets an environment of its own.
        let of_operations = |name: &str| {
            let lower = name.to_ascii_lowercase();
            name.starts_with("MAINSTAY_BACKUP_")
                || name.starts_with("AWS_")
                || name == CACHE
                || ["https_proxy", "http_proxy", "all_proxy", "no_proxy"].contains(&&*lower)
        };
        let of_operations = variables.iter().filter(|(name, _)| of_operations(name));
        let env: BTreeMap<String, String> =
            env.chain(of_operations.map(|(name, value)| (name.clone(), value.clone()))).collect();
        let cache = cache(&variables);
        Self {
            layout,
            mainstay,
            env,
            variables,
            agent,
            version: version.to_owned(),
            build,
            new_password: None,
            cache,
            builtin: None,
            objects: None,
        }
    }

    /// Whether what names the cache of fetched releases can be one: in a wrong place nobody would find it again.
    ///
    /// # Errors
    /// It is empty or relative.
    pub fn check_cache(&self) -> Result<(), Error> {
        let Some(text) = self.variables.get(CACHE).filter(|text| !Path::new(text).is_absolute()) else {
            return Ok(());
        };
        let is = if text.is_empty() {
            "is empty".to_owned()
        } else {
            format!("is `{}`, a relative path", text.escape_debug())
        };
        Err(Error::new(Exit::Settings, format!("environment: `{CACHE}` {is}; allowed: the absolute path of a directory, such as /var/cache/mainstay"))
            .hint(format!("give the whole path, or leave `{CACHE}` out; nothing has been changed")))
    }

    /// The running program.
    pub(crate) fn program(&self) -> Program<'_> {
        Program { version: &self.version, build: &self.build }
    }

    /// The defaults at the bottom: a container may take over one of docker-mattermost's.
    pub(crate) fn defaults(&self) -> Defaults {
        self.layout.place().defaults()
    }

    /// The secrets, read when a step needs them.
    ///
    /// # Errors
    /// `secrets.toml` cannot be read, or is wrong.
    pub fn secrets(&self) -> Result<Secrets, Error> {
        let path = self.layout.secrets();
        let text = crate::state::wanted::settings_text(&path)?;
        Secrets::parse(&path, &text).map_err(|findings| {
            let newer = findings.0.iter().any(|finding| finding.name == "format");
            let hint = match newer {
                true => "nothing has been changed",
                false => "correct the file, or put it back from a backup; nothing has been changed",
            };
            Error::new(Exit::Settings, findings.to_string()).hint(hint)
        })
    }
}

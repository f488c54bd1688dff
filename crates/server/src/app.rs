//! What every request works with.

use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::{Mutex, OnceCell, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::contract::{API_VERSION, BUILD_NUMBER};
use crate::error::ServerError;
use crate::hub::Hub;
use crate::id::Id;
use crate::store::Store;
use crate::store::cache::Cache;

/// The server's state, shared by all requests.
#[derive(Clone)]
pub(crate) struct App(Arc<State>);

/// See [`App`].
pub(crate) struct State {
    pub(crate) config: Config,
    pub(crate) store: Store,
    pub(crate) hub: Hub,
    /// Cancelled when the server shall end.
    pub(crate) stop: CancellationToken,
    /// `X-Version-Id`, and the version in `hello`.
    pub(crate) version: String,
    /// Password hashing takes a core for a tenth of a second: as many at once as there are cores.
    pub(crate) hashing: Semaphore,
    /// Logins of one account take turns.
    pub(crate) login_turns: Cache<Id, Arc<Mutex<()>>>,
    /// Posts by author and `pending_post_id`: a repeated request gets the first one's post.
    pub(crate) recent_posts: Cache<(Id, String), Arc<OnceCell<crate::api::posts::Created>>>,
    /// Public facts that do not change while the server runs.
    pub(crate) installed_at: String,
    pub(crate) diagnostic_id: String,
}

impl Deref for App {
    type Target = State;
    fn deref(&self) -> &State {
        &self.0
    }
}

impl App {
    pub(crate) async fn new(
        config: Config,
        store: Store,
        stop: CancellationToken,
    ) -> Result<App, ServerError> {
        let fact = async |name| store.system(name).await.ok().flatten().unwrap_or_default();
        let installed_at = fact("InstallationDate").await;
        let diagnostic_id = fact("DiagnosticId").await;
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Ok(App(Arc::new(State {
            version: format!("{API_VERSION}.{BUILD_NUMBER}.{}.false", config_hash(&config)),
            config,
            store,
            hub: Hub::default(),
            stop,
            hashing: Semaphore::new(cores),
            login_turns: Cache::new(1_000),
            recent_posts: Cache::new(2_000),
            installed_at,
            diagnostic_id,
        })))
    }
}

/// Changes when the configuration does: clients then read it again.
fn config_hash(config: &Config) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, format!("{config:?}").as_bytes());
    digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Makes the directory of attachments and proves that it can be written.
pub(crate) fn prepare_directory(config: &Config) -> Result<(), ServerError> {
    let path = Path::new(&config.file.directory);
    let refused = |reason| ServerError::Directory { path: path.to_owned(), reason };
    std::fs::create_dir_all(path).map_err(refused)?;
    probe_directory(path).map_err(refused)
}

/// Writes, reads back and removes a small file.
pub(crate) fn probe_directory(path: &Path) -> std::io::Result<()> {
    let file = path.join(format!(".probe-{}", Id::random()));
    let written = std::fs::write(&file, b"probe").and_then(|()| std::fs::read(&file));
    let removed = std::fs::remove_file(&file);
    if written? != b"probe" {
        return Err(std::io::Error::other("a file read back differs from what was written"));
    }
    removed
}

//! What every request works with.

use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{Mutex, OnceCell, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::cache::Cache;
use crate::config::Config;
use crate::contract::{API_VERSION, BUILD_NUMBER};
use crate::failure::ServerError;
use crate::hub::Hub;
use crate::id::Id;
use crate::store::Store;

/// A post that was created, as its author was answered.
#[derive(Clone)]
pub(crate) struct CreatedPost {
    pub(crate) body: Bytes,
    /// When, in milliseconds since the epoch.
    pub(crate) at: i64,
}

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
    pub(crate) recent_posts: Cache<(Id, String), Arc<OnceCell<CreatedPost>>>,
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

    /// Forgets websocket connections whose clients did not come back, until it is aborted.
    pub(crate) async fn drop_old_connections(self) {
        let mut tick = tokio::time::interval(Duration::from_secs(30));
        loop {
            tick.tick().await;
            self.hub.drop_old(Instant::now());
        }
    }
}

/// Changes when the configuration does: clients then read it again.
fn config_hash(config: &Config) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, format!("{config:?}").as_bytes());
    digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

//! The server's shared state.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use bytes::Bytes;
use tokio::sync::{Mutex, OnceCell, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::bounds::{NOTICES_WAITING, OCCASIONS_WAITING};
use crate::cache::Cache;
use crate::config::Config;
use crate::contract::{API_VERSION, BUILD_NUMBER};
use crate::failure::ServerError;
use crate::files::Decoders;
use crate::hub::Hub;
use crate::id::Id;
use crate::mail::{Delivery, Mailer, Notice};
use crate::outgoing::{Occasion, Outgoing};
use crate::rate_limit::RateLimiter;
use crate::store::Store;

/// The answer to a request that created a post.
#[derive(Clone)]
pub(crate) struct CreatedPost {
    pub(crate) body: Bytes,
    /// When it was created, in milliseconds since the epoch.
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
    /// Cancelled when the server has to stop.
    pub(crate) stop: CancellationToken,
    /// The value of `X-Version-Id`, and the version in the `hello` event.
    pub(crate) version: String,
    /// Limits concurrent password hashing, which takes a core for a tenth of a second, to the number of cores.
    pub(crate) hashing: Semaphore,
    /// The memory of all image decoders.
    pub(crate) decoders: Decoders,
    /// Whether personal access tokens sign in.
    pub(crate) access_tokens: AtomicBool,
    /// Locks that logins hold while they are checked, see `sign_in`.
    pub(crate) login_turns: Cache<String, Arc<Mutex<()>>>,
    /// Users who are known to be online: writing a post need not say so again.
    pub(crate) known_online: Cache<Id, ()>,
    /// Recent posts by author and `pending_post_id`: a repeated request gets the post that the first one created.
    pub(crate) recent_posts: Cache<(Id, String), Arc<OnceCell<CreatedPost>>>,
    /// Sends mails, where the configuration names a mail server.
    pub(crate) mail: Option<Mailer>,
    /// Takes the posts that may be told by mail.
    pub(crate) notices: mpsc::Sender<Notice>,
    /// Counts the requests of each client, where the configuration says so.
    pub(crate) rate_limiter: Option<RateLimiter>,
    /// Signs what clients carry for the server, until it ends.
    pub(crate) seal: hmac::Key,
    /// Sends requests to the addresses of integrations.
    pub(crate) outgoing: Outgoing,
    /// Takes the posts of which outgoing webhooks may be told.
    pub(crate) occasions: mpsc::Sender<Occasion>,
    /// The installation date, in milliseconds since the epoch.
    pub(crate) installed_at: String,
    /// Mattermost's random id of this installation.
    pub(crate) diagnostic_id: String,
}

impl Deref for App {
    type Target = State;
    fn deref(&self) -> &State {
        &self.0
    }
}

/// What runs beside the requests.
pub(crate) struct Work {
    pub(crate) delivery: Option<Delivery>,
    pub(crate) notices: mpsc::Receiver<Notice>,
    pub(crate) occasions: mpsc::Receiver<Occasion>,
}

impl App {
    pub(crate) async fn new(
        config: Config,
        store: Store,
        stop: CancellationToken,
    ) -> Result<(App, Work), ServerError> {
        let fact = async |name| store.system(name).await.ok().flatten().unwrap_or_default();
        let installed_at = fact("InstallationDate").await;
        let diagnostic_id = fact("DiagnosticId").await;
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let (mail, delivery) = Mailer::new(&config).unzip();
        let (notices, waiting) = mpsc::channel(NOTICES_WAITING);
        let (occasions, occurring) = mpsc::channel(OCCASIONS_WAITING);
        let app = App(Arc::new(State {
            version: format!("{API_VERSION}.{BUILD_NUMBER}.{}.false", config_hash(&config)),
            access_tokens: AtomicBool::new(config.service.enable_user_access_tokens),
            rate_limiter: RateLimiter::new(&config.rate_limit),
            seal: hmac::Key::new(hmac::HMAC_SHA256, &rand::random::<[u8; 32]>()),
            outgoing: Outgoing::new(&config.service),
            occasions,
            config,
            store,
            hub: Hub::default(),
            stop,
            hashing: Semaphore::new(cores),
            decoders: Decoders::default(),
            login_turns: Cache::new(1_000),
            known_online: Cache::new(2_000),
            recent_posts: Cache::new(2_000),
            mail,
            notices,
            installed_at,
            diagnostic_id,
        }));
        Ok((app, Work { delivery, notices: waiting, occasions: occurring }))
    }

    /// Drops websocket connections whose clients did not come back, until the task is aborted.
    pub(crate) async fn drop_old_connections(self) {
        let mut tick = tokio::time::interval(Duration::from_secs(30));
        loop {
            tick.tick().await;
            self.hub.drop_old(Instant::now());
        }
    }
}

/// A hash of the configuration: when it changes, clients load the configuration again.
fn config_hash(config: &Config) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, format!("{config:?}").as_bytes());
    digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

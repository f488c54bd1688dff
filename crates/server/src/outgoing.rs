//! Requests to the addresses of integrations: bounded in time, size and number, and never to a private network that the
//! configuration does not allow.
//!
//! The addresses come from people, and some from strangers, so each connection is checked where it is made: when a name is
//! resolved, and for an address that is written as one, also after a redirection.

mod targets;

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, ClientBuilder, RequestBuilder};
use tokio::sync::{OnceCell, Semaphore};
use url::Url;

use crate::bounds::{ANSWER_BYTES, CALLS_AT_ONCE};
use crate::config::Service;
use crate::model::{Channel, Post, User};
use targets::Targets;

/// The most redirections that are followed.
const REDIRECTIONS: usize = 5;

/// A post of which outgoing webhooks may be told.
#[derive(Debug, Clone)]
pub(crate) struct Occasion {
    pub(crate) post: Post,
    pub(crate) channel: Channel,
    pub(crate) sender: User,
}

/// Where a request may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Not to private networks: people choose the address.
    Public,
    /// Anywhere: the configuration names the address. No redirection is followed.
    Anywhere,
}

/// Sends requests to the addresses of integrations.
pub(crate) struct Outgoing {
    targets: Arc<Targets>,
    timeout: Duration,
    /// Accept any certificate (`ServiceSettings.EnableInsecureOutgoingConnections`).
    insecure: bool,
    /// Made when it is needed: a machine without certificates of authorities has none.
    client: OnceCell<Client>,
    trusting: OnceCell<Client>,
    /// Those of slash commands, for which somebody waits.
    pub(crate) urgent: Semaphore,
    /// Those of outgoing webhooks.
    pub(crate) background: Arc<Semaphore>,
}

/// What an address answered.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answered {
    /// Whether the answer says that it is JSON.
    pub(crate) fn is_json(&self) -> bool {
        let kind = self.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        kind.is_some_and(|kind| kind.trim().to_ascii_lowercase().starts_with("application/json"))
    }
}

/// Why there is no answer. It goes to the log and not to clients, which could learn what is in a private network.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("the address {0:?} is not one of http or https")]
    Address(String),
    #[error(
        "{host} is in a private network; ServiceSettings.AllowedUntrustedInternalConnections lists those that may be called"
    )]
    Private { host: String },
    #[error("{0}")]
    Failed(String),
    #[error("the answer is larger than {ANSWER_BYTES} bytes")]
    TooLarge,
}

impl Outgoing {
    pub(crate) fn new(service: &Service) -> Outgoing {
        Outgoing {
            targets: Arc::new(Targets::parse(&service.allowed_untrusted_internal_connections)),
            timeout: Duration::from_secs(service.outgoing_integration_requests_timeout.unsigned_abs()),
            insecure: service.enable_insecure_outgoing_connections,
            client: OnceCell::new(),
            trusting: OnceCell::new(),
            urgent: Semaphore::new(CALLS_AT_ONCE),
            background: Arc::new(Semaphore::new(CALLS_AT_ONCE)),
        }
    }

    /// Sends what `request` makes of `address`, and returns the whole answer.
    pub(crate) async fn call(
        &self,
        reach: Reach,
        address: &str,
        request: impl FnOnce(&Client, Url) -> RequestBuilder,
    ) -> Result<Answered, CallError> {
        let url = Url::parse(address).ok().filter(is_web);
        let url = url.ok_or_else(|| CallError::Address(address.chars().take(200).collect()))?;
        let client = match reach {
            Reach::Public => {
                self.targets.check(&url).map_err(|host| CallError::Private { host })?;
                self.client.get_or_try_init(|| async { self.checking() }).await?
            }
            Reach::Anywhere => {
                let trusting = || async { self.plain().redirect(Policy::none()).build().map_err(failed) };
                self.trusting.get_or_try_init(trusting).await?
            }
        };
        let mut answer = request(client, url).send().await.map_err(failed)?;
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > ANSWER_BYTES {
                return Err(CallError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answered { status: answer.status(), headers: answer.headers().clone(), body: body.freeze() })
    }

    /// What both clients have.
    fn plain(&self) -> ClientBuilder {
        Client::builder()
            // A proxy would resolve names itself, and could be asked for any.
            .no_proxy()
            .timeout(self.timeout)
            .tls_danger_accept_invalid_certs(self.insecure)
            .user_agent(concat!("Mattermost-Mainstay/", env!("CARGO_PKG_VERSION")))
    }

    /// The client that calls no private network.
    fn checking(&self) -> Result<Client, CallError> {
        let targets = Arc::clone(&self.targets);
        let follow = move |attempt: Attempt<'_>| {
            if attempt.previous().len() > REDIRECTIONS {
                return attempt.error("too many redirections");
            }
            match targets.check(attempt.url()) {
                Ok(()) if is_web(attempt.url()) => attempt.follow(),
                Ok(()) => attempt.error("a redirection to something else than http or https"),
                Err(host) => attempt.error(CallError::Private { host }),
            }
        };
        let resolver = Arc::new(Checked(Arc::clone(&self.targets)));
        self.plain().redirect(Policy::custom(follow)).dns_resolver(resolver).build().map_err(failed)
    }
}

/// Whether requests can be sent to `url`.
pub(crate) fn is_web(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.has_host()
}

/// The error with its causes: the outermost one says only that a request failed. Without the address, which may have a secret.
fn failed(error: reqwest::Error) -> CallError {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    CallError::Failed(text)
}

/// Resolves names to the addresses that may be called.
struct Checked(Arc<Targets>);

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let targets = Arc::clone(&self.0);
        Box::pin(async move {
            let host = name.as_str();
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host, 0)).await?.collect();
            let allowed: Vec<SocketAddr> =
                found.into_iter().filter(|address| targets.allow(host, address.ip())).collect();
            if allowed.is_empty() {
                return Err(CallError::Private { host: host.to_owned() }.into());
            }
            let addresses: Addrs = Box::new(allowed.into_iter());
            Ok(addresses)
        })
    }
}

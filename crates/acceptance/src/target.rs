//! What to test, and how.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::secret::Secret;

/// One deployment to test.
#[derive(Debug, Clone)]
pub struct Target {
    /// The site URL: what people type into their browser, with its subpath.
    pub url: Url,
    /// Connect to this address with plain HTTP, and send `url` as Host, Origin and X-Forwarded-Proto. For a machine whose public
    /// name leads to a load balancer that it cannot reach.
    pub via: Option<SocketAddr>,
    /// The server has no SiteURL on purpose, and is used by any address.
    pub any_address: bool,
    /// Whether the settings open the websocket to the pages of every site (AllowCorsFrom is `*`).
    pub any_origin: bool,
    /// An administrator, for deployments with closed sign-up, and for a complete clean-up.
    pub admin: Admin,
    /// The password of the standing accounts, so that it need not be set anew for each test.
    pub password: Option<Secret>,
    /// A file that marks that the test has switched a setting on which it must switch off again; see [`Admin::Local`].
    pub marker: Option<PathBuf>,
    /// A file that names what the test has made and not removed yet, so that the next test removes what a killed one has left.
    pub left: Option<PathBuf>,
    /// The word that lets requests through where the edge lets others wait.
    pub pass: Option<Secret>,
    /// Keep the accounts and the team, and name them in the report.
    pub keep: bool,
    /// Leave the websockets silent for this long, to find what cuts them.
    pub idle: Option<Duration>,
    /// Run the test in a browser too.
    pub browser: Option<Browser>,
    /// Time limit of each request, and of the wait for each event.
    pub timeout: Duration,
}

impl Target {
    /// A target with the defaults: no administrator, no browser, a clean-up, 10 s for a request.
    pub fn new(url: Url) -> Self {
        Self {
            url,
            via: None,
            any_address: false,
            any_origin: false,
            admin: Admin::None,
            password: None,
            marker: None,
            left: None,
            pass: None,
            keep: false,
            idle: None,
            browser: None,
            timeout: Duration::from_secs(10),
        }
    }
}

/// The administrator's credentials.
#[derive(Debug, Clone, Default)]
pub enum Admin {
    /// None: sign-up must be open.
    #[default]
    None,
    /// The server's local channel: a Unix socket that needs no sign-in (`ServiceSettings.LocalModeSocketLocation`, since 5.24).
    ///
    /// Where nobody signs in with a password, the test's users need personal access tokens, which are switched on for the test and off
    /// again. `Target::marker` is there in between, so that a test after a kill switches them off first.
    Local(PathBuf),
    /// A session token or personal access token of a system administrator.
    Token(Secret),
    /// A system administrator's user name or e-mail address, and password.
    Login {
        /// User name or e-mail address.
        name: String,
        /// The password.
        secret: Secret,
    },
}

/// How to drive the web client.
#[derive(Debug, Clone)]
pub struct Browser {
    /// The Chromium to run; without it, one is searched by its usual names.
    pub chromium: Option<PathBuf>,
    /// The directory for screenshots. It is created if it does not exist.
    pub screenshots: PathBuf,
}

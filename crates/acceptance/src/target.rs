//! What is to be tested, and how.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::Secret;

/// One deployment to test.
#[derive(Debug, Clone)]
pub struct Target {
    /// The site URL: what people type into their browser, subpath included.
    pub url: Url,
    /// Connect here in plain HTTP while speaking as `url` (Host, Origin, X-Forwarded-Proto). For a
    /// machine whose public name points at a load balancer that it cannot reach itself.
    pub via: Option<SocketAddr>,
    /// That the server has no SiteURL is meant: it is the address that matters then, whichever is typed.
    pub any_address: bool,
    /// An administrator, for deployments whose sign-up is closed, and for a complete clean-up.
    pub admin: Admin,
    /// Leave the accounts and the team behind, and name them in the report.
    pub keep: bool,
    /// Walk through the web client as well.
    pub browser: Option<Browser>,
    /// Limit for each request, and for each event waited for.
    pub timeout: Duration,
}

impl Target {
    /// A target with the usual limits: no administrator, no browser, everything cleaned up, 10 s a
    /// request.
    pub fn new(url: Url) -> Self {
        Self {
            url,
            via: None,
            any_address: false,
            admin: Admin::None,
            keep: false,
            browser: None,
            timeout: Duration::from_secs(10),
        }
    }
}

/// Who may do what an ordinary account may not.
#[derive(Debug, Clone, Default)]
pub enum Admin {
    /// Nobody: the deployment must be open to sign-up.
    #[default]
    None,
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
    /// The Chromium to run; found by its usual names when absent.
    pub chromium: Option<PathBuf>,
    /// Where the screenshots go. Made if it does not exist.
    pub screenshots: PathBuf,
}

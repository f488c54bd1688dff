//! An app that is to run on this machine, and how.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use apps::About;

/// A bundle that is to run here.
#[derive(Debug, Clone)]
pub struct NewApp {
    /// The app's id.
    pub app_id: String,
    /// The version of the bundle.
    pub version: String,
    /// Whose app it is.
    pub about: About,
    /// The directory with the files `bundle.zip` and, if there are variables, `environment`.
    pub source: PathBuf,
    /// The SHA-256 of the bundle.
    pub sha256: String,
    /// Names bundle and variables together: the same for the same bytes.
    pub key: String,
    /// Whether one of its functions answers `/ping`, and is asked to.
    pub ping: bool,
    /// Where it is to answer; `None` = where it does, or at a free port of loopback.
    pub listen: Option<SocketAddr>,
    /// Who may connect besides this machine; `None` = as it is.
    pub from: Option<Vec<IpAddr>>,
    /// Where Mattermost reaches it; `None` = as it is.
    pub root_url: Option<String>,
    /// MiB of memory; `None` = as it is.
    pub memory: Option<u64>,
    /// Seconds that a call may take; `None` = as it is.
    pub timeout: Option<u64>,
    /// Calls at a time; `None` = as it is.
    pub concurrency: Option<u32>,
}

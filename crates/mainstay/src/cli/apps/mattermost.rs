//! What is asked of a Mattermost with the Apps plugin.

use std::path::PathBuf;

use clap::Args;
use url::Url;

use super::bundle::BundleSource;
use crate::cli::verify::site_address;

/// Which Mattermost, and who asks.
#[derive(Debug, Args)]
pub(crate) struct Server {
    /// Any Mattermost's site URL [default: this deployment; MM_SERVICESETTINGS_SITEURL, where MM_ADMIN_TOKEN is set too]
    #[arg(long, value_name = "URL", value_parser = site_address)]
    pub url: Option<Url>,
    /// A file with a system administrator's access token ("-" reads it from stdin) [default: MM_ADMIN_TOKEN; for this deployment, its
    /// first administrator's password]
    #[arg(long, value_name = "FILE")]
    pub token: Option<PathBuf>,
    /// Print the calls that would be made, and make none that changes something
    #[arg(long)]
    pub plan: bool,
}

#[derive(Debug, Args)]
#[command(override_usage = "mainstay apps install [OPTIONS] <ID|--bundle <BUNDLE>>")]
pub(crate) struct InstallApp {
    /// The app: it must be listed, or its bundle must be named
    #[arg(value_name = "ID", required_unless_present = "bundle")]
    pub id: Option<String>,
    /// Put the app of this bundle into the server's list first
    #[arg(long, value_name = "BUNDLE")]
    pub bundle: Option<String>,
    #[command(flatten)]
    pub source: BundleSource,
    /// How it is deployed, where its manifest names more than one way: aws_lambda, http, open_faas, plugin
    #[arg(long, value_name = "TYPE")]
    pub deploy_type: Option<String>,
    /// Install it once more if this version is installed; its webhooks get new addresses
    #[arg(long)]
    pub again: bool,
    #[command(flatten)]
    pub server: Server,
}

#[derive(Debug, Args)]
pub(crate) struct SwitchApp {
    /// The app
    #[arg(value_name = "ID")]
    pub id: String,
    #[command(flatten)]
    pub server: Server,
}

#[derive(Debug, Args)]
pub(crate) struct UninstallApp {
    /// The app
    #[arg(value_name = "ID")]
    pub id: String,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    #[command(flatten)]
    pub server: Server,
}

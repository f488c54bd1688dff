//! What runs an app on this machine.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::Args;

/// How functions run here.
#[derive(Debug, Clone, Args)]
pub(crate) struct Functions {
    /// MiB of memory that a process of a function may use
    #[arg(long, value_name = "MIB", default_value_t = 512, allow_negative_numbers = true, value_parser = clap::value_parser!(u64).range(32..=10_240))]
    pub memory: u64,
    /// How long a call may take
    #[arg(long, value_name = "SECONDS", default_value_t = 30, allow_negative_numbers = true, value_parser = clap::value_parser!(u64).range(1..=900))]
    pub timeout: u64,
    /// How many calls a function answers at a time
    #[arg(long, value_name = "N", default_value_t = 4, allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=50))]
    pub concurrency: u32,
    /// A file with variables for the functions, NAME=VALUE a line
    #[arg(long, value_name = "FILE")]
    pub env_file: Option<PathBuf>,
}

/// Where an app that is deployed to this machine answers.
#[derive(Debug, Clone, Args)]
pub(crate) struct Address {
    /// With `--to local`: where to answer; another address than one of loopback needs --from [default: as it is; a free port of 127.0.0.1]
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<SocketAddr>,
    /// With `--to local`: take connections from this address alone, beside this machine: the Mattermost server's
    #[arg(long, value_name = "ADDR")]
    pub from: Vec<IpAddr>,
    /// With `--to local`: where Mattermost reaches the app [default: as it is; http:// and the address of --listen]
    #[arg(long, value_name = "URL")]
    pub root_url: Option<String>,
    /// With `--to local`: how many calls a function answers at a time [default: as it is; 4]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=50))]
    pub concurrency: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The app's bundle
    #[arg(value_name = "BUNDLE")]
    pub bundle: PathBuf,
    /// Where to answer: an address of loopback
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    #[command(flatten)]
    pub functions: Functions,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The app's bundle
    #[arg(value_name = "BUNDLE")]
    pub bundle: PathBuf,
    /// Where to answer; another address than one of loopback needs --from
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Take connections from this address alone, beside this machine: the Mattermost server's. May be given several times
    #[arg(long, value_name = "ADDR")]
    pub from: Vec<IpAddr>,
    /// Where Mattermost reaches the app, for its manifest [default: http:// and the address of --listen]
    #[arg(long, value_name = "URL")]
    pub root_url: Option<String>,
    /// The file with the secret with which Mattermost signs its calls [default: one that is generated in DIR/apps/ID/secret]
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
    /// Let this shell command answer the calls instead of the bundle's functions: it listens on 127.0.0.1 and the port in PORT
    #[arg(long, value_name = "COMMAND")]
    pub command: Option<String>,
    /// Print a systemd unit that runs this, and do nothing
    #[arg(long)]
    pub unit: bool,
    #[command(flatten)]
    pub functions: Functions,
}

#[derive(Debug, Args)]
pub(crate) struct Call {
    /// The id of an app that runs here, or a bundle, which is started for this one call
    #[arg(value_name = "ID|BUNDLE")]
    pub app: PathBuf,
    /// The path of the call
    #[arg(value_name = "PATH", default_value = "/ping")]
    pub path: String,
    /// The call's values, a JSON object
    #[arg(long, value_name = "JSON", conflicts_with = "body")]
    pub values: Option<String>,
    /// The whole call as JSON, in place of one with these values ("-" reads it from stdin)
    #[arg(long, value_name = "JSON")]
    pub body: Option<String>,
    #[command(flatten)]
    pub functions: Functions,
}

#[derive(Debug, Args)]
pub(crate) struct AppLogs {
    /// The app's id, or its bundle
    #[arg(value_name = "ID|BUNDLE")]
    pub app: PathBuf,
    /// Only this function
    #[arg(long, value_name = "NAME")]
    pub function: Option<String>,
    /// Go on as lines are written
    #[arg(short, long)]
    pub follow: bool,
    /// How many lines of each function to begin with
    #[arg(short = 'n', long, value_name = "N", default_value_t = 50, allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(0..))]
    pub lines: u32,
}

//! `mainstay security`, as data.

use clap::{Args, Subcommand};

use super::Change;

#[derive(Debug, Subcommand)]
pub(crate) enum Security {
    /// Say which security fixes are missing, when they are due, and how old that knowledge is; asks nobody
    Status(SecurityStatus),
    /// Read the makers' advisories and releases, say what is missing, and tell what is new by mail, webhook and hooks/tell
    Watch(SecurityWatch),
    /// Install now what `[updates]` in mainstay.toml lets begin by itself; the agent runs it in the window
    Update(SecurityUpdate),
    /// Let the release whose update failed be tried again
    Resume,
}

#[derive(Debug, Args)]
pub(crate) struct SecurityStatus {
    /// End with 5 if a fix is over-due, an update by itself failed, or the release line gets no fixes any more
    #[arg(long)]
    pub check: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SecurityWatch {
    /// Look once and end; otherwise again and again, until stopped
    #[arg(long)]
    pub once: bool,
    /// How many hours lie between two looks
    #[arg(long, value_name = "HOURS", default_value_t = 6, conflicts_with = "once", allow_negative_numbers = true, value_parser = clap::value_parser!(u64).range(1..=168))]
    pub every: u64,
}

#[derive(Debug, Args)]
pub(crate) struct SecurityUpdate {
    #[command(flatten)]
    pub change: Change,
}

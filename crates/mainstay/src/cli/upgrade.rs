//! The command line of `upgrade` and `rollback`.

use std::path::PathBuf;

use clap::Args;

use super::Change;

#[derive(Debug, Args)]
pub(crate) struct Upgrade {
    /// Where to: esr, latest, a line such as 11.7, or a version [default: `version` in mainstay.toml, or esr; the built-in server: this
    /// Mainstay's]
    #[arg(long, value_name = "RELEASE")]
    pub to: Option<String>,
    /// Change to this edition: team, entry or enterprise
    #[arg(long, value_name = "EDITION")]
    pub edition: Option<::release::Edition>,
    /// Take the release at the end of the way from this tarball [default: the cache, or the makers' site]
    #[arg(long, value_name = "FILE")]
    pub release: Option<PathBuf>,
    /// Do it on a copy: restore the newest snapshot into a scratch deployment, bring that to the next release of the way, test it, say what
    /// was measured, and remove it. The running deployment is not touched
    #[arg(long, conflicts_with = "without_copy")]
    pub rehearse: bool,
    /// Begin although Mainstay keeps no copy of a database that it does not run; make a backup of it first
    #[arg(long)]
    pub without_copy: bool,
    /// Go on without a snapshot although backups are set up
    #[arg(long)]
    pub without_snapshot: bool,
    /// Stop at each extended support release on the way: its makers test the way from each to the next
    #[arg(long)]
    pub every_esr: bool,
    /// Where the way has stops: people wait until the end, and whatever fails goes back to the release before the first stop
    #[arg(long)]
    pub all_or_nothing: bool,
    /// Change to an edition that can do less
    #[arg(long)]
    pub accept_loss: bool,
    /// The release may remove this table or column (TABLE.COLUMN) with what people have in it; can be repeated
    #[arg(long, value_name = "NAME")]
    pub may_lose: Vec<String>,
    /// How long to wait for a database server that does not answer yet
    #[arg(long, value_name = "SECONDS", default_value_t = 10, allow_negative_numbers = true, value_parser = clap::value_parser!(u64).range(0..))]
    pub wait: u64,
    #[command(flatten)]
    pub change: Change,
}

#[derive(Debug, Args)]
pub(crate) struct Rollback {
    /// The release to go back to, as `mainstay release list` names it, or its version [default: the one before the last upgrade]
    #[arg(long, value_name = "RELEASE")]
    pub to: Option<String>,
    /// Go on without a snapshot of the present state although backups are set up
    #[arg(long)]
    pub without_snapshot: bool,
    /// How long to wait for a database server that does not answer yet
    #[arg(long, value_name = "SECONDS", default_value_t = 10, allow_negative_numbers = true, value_parser = clap::value_parser!(u64).range(0..))]
    pub wait: u64,
    #[command(flatten)]
    pub change: Change,
}

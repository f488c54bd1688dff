//! The arguments of `self-update`, and of what the agent begins.

use clap::Args;

use super::Change;

#[derive(Debug, Args)]
pub(crate) struct SelfUpdate {
    /// The version [default: the newest at `self_update.source` in mainstay.toml]
    #[arg(long, value_name = "VERSION")]
    pub to: Option<String>,
    /// The program: a file or an http(s) address, with its signature beside it under the same name and `.sig`
    #[arg(long, value_name = "FILE|URL")]
    pub from: Option<String>,
    /// Go back to the program before the last update
    #[arg(long, conflicts_with_all = ["to", "from"])]
    pub back: bool,
    #[command(flatten)]
    pub change: Change,
}

#[derive(Debug, Args)]
pub(crate) struct Recover {
    #[command(flatten)]
    pub change: Change,
}

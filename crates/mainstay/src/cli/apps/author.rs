//! What the author of an app does with it, on one machine and without a network.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Validate {
    /// A manifest (.json), a bundle (.zip), or a directory that holds manifest.json
    #[arg(value_name = "FILE|DIR")]
    pub path: PathBuf,
}

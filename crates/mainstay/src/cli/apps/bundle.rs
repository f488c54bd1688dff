//! How a bundle is named and brought here.

use clap::Args;

/// How a bundle is brought here.
#[derive(Debug, Args)]
pub(crate) struct BundleSource {
    /// The SHA-256 that the file must have
    #[arg(long, value_name = "HEX")]
    pub sha256: Option<String>,
}

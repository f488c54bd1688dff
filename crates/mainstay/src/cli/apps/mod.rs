//! The arguments of `apps`: a file for each group of commands.

mod author;

use clap::Subcommand;

pub(crate) use author::Validate;

#[derive(Debug, Subcommand)]
pub(crate) enum Apps {
    /// Check a manifest or a bundle without a network: every mistake at once
    Validate(Validate),
}

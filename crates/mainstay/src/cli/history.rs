//! `mainstay history`, as data.

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct History {
    /// The run to show in full
    #[arg(value_name = "RUN")]
    pub run: Option<plan::RunId>,
    /// How many runs to list, newest first
    #[arg(short = 'n', long, default_value_t = 20, value_name = "N", conflicts_with = "run", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
}

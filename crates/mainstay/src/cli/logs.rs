//! `mainstay logs`, as data.

use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// Which part
    #[arg(value_enum, default_value_t = Part::Server)]
    pub part: Part,
    /// Go on as lines are written
    #[arg(short, long)]
    pub follow: bool,
    /// How many lines to begin with [default: 50, or with --since all]
    #[arg(short = 'n', long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(0..))]
    pub lines: Option<u32>,
    /// Begin at this time: 10m, 2h or 3d ago, 14:30, 2026-11-27, 2026-11-27T14:30
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    Server,
    Database,
    Edge,
    Agent,
    Schedule,
    Apps,
}

//! Runs other programs, for `cargo xtask` and the benchmarks.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a developer's tool talks to its developer")]

pub mod run;

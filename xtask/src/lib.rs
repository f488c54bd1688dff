//! How the developer's tools run other programs; `cargo xtask` itself and the benchmarks share it.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a developer's tool talks to its developer")]

pub mod run;

//! What needs programs other than our own: `cargo xtask test --quick` skips it.

mod clients;
mod hostile;
mod local;
mod runtimes;
mod stage;
mod templates;
mod terraform;

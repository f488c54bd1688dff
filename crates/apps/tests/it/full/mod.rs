//! What needs programs other than our own: `cargo xtask test --quick` skips it.

mod hostile;
mod local;
mod stage;
mod templates;
mod terraform;

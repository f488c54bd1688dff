//! What needs programs other than our own: `cargo xtask test --quick` skips it.

mod templates;
mod terraform;

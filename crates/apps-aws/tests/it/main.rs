//! Deployments to an emulator of AWS over the wire, with a proxy between that counts calls and injects faults.

#![allow(
    clippy::unwrap_used,
    clippy::large_futures,
    reason = "in a test, a panic is the report, and the stack is large"
)]

mod app;

/// What needs programs other than our own: `cargo xtask test --quick` skips it.
mod full {
    mod account;
    mod bundles;
    mod bytes;
    mod calls;
    mod faults;
    mod foreign;
    mod lifecycle;
    mod permissions;
    mod refusals;
    mod together;
}

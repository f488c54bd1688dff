//! The acceptance test against servers that work and servers that do not.

mod builtin;
mod miniature;
mod mutation;
mod proxy;
mod standing;
mod walk;

/// What needs root or programs other than our own, or takes long: `cargo xtask test --quick` skips it.
mod full {
    mod browser;
    mod web_client;
}

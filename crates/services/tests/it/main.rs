//! The checks against real servers on loopback (aiosmtpd, oauth2-mock-server, nginx), and against scripted ones for failures
//! that a real server cannot be made to have.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod authority;
mod child;
mod scripted;

/// What needs root or programs other than our own, or takes long: `cargo xtask test --quick` skips it.
mod full {
    mod front;
    mod gitlab;
    mod mail;
}

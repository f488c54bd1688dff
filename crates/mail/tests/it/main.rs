//! Mails to a real mail server on loopback (aiosmtpd).
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

/// What needs programs other than our own: `cargo xtask test --quick` skips it.
mod full {
    mod sent;
}

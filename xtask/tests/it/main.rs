//! Promises of the repository itself: links of the documentation, lints.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod links;
mod lints;

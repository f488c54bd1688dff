//! The table at work, through the crate's public face alone.
#![allow(clippy::disallowed_methods, reason = "golden files are read, and written on request")]

mod golden;
mod ownership;
mod properties;
mod said;

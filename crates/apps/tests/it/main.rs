//! The crate from outside.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod actor;
mod bundle;
mod deployer;
mod front;
mod full;
mod manifest;
mod mattermost;
mod memory_bucket;
mod pack;
mod plugin_host;
mod source;
mod zips;

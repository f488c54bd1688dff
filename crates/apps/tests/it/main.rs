//! The crate from outside.

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

//! The crate from outside.

mod bundle;
mod deployer;
mod full;
mod manifest;
mod mattermost;
mod memory_bucket;
mod pack;
mod plugin_host;
mod source;
mod zips;

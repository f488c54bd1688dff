//! The crate from outside.

mod deployer;
mod mattermost;
mod memory_bucket;
mod plugin_host;
mod source;

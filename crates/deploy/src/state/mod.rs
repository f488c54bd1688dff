//! What is wanted, and what config.json says.

pub(crate) mod config_file;
pub(crate) mod creation;
pub(crate) mod database_failure;
pub(crate) mod desired;
pub(crate) mod location;
pub(crate) mod report;
pub(crate) mod settled;
pub(crate) mod wanted;

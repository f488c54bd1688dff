//! What is wanted, and what config.json says.

pub(crate) mod access;
pub(crate) mod apps;
pub(crate) mod blank;
pub(crate) mod config_file;
pub(crate) mod creation;
pub(crate) mod database_failure;
pub(crate) mod deleted;
pub(crate) mod desired;
pub(crate) mod ended_runs;
pub(crate) mod exposed;
pub(crate) mod full_disk;
pub(crate) mod half_deleted;
pub(crate) mod identity;
pub(crate) mod installed;
pub(crate) mod left_behind;
pub(crate) mod location;
pub(crate) mod lost_journal;
pub(crate) mod proof;
pub(crate) mod report;
pub(crate) mod restarts;
pub(crate) mod server_user;
pub(crate) mod settled;
pub(crate) mod taken;
pub(crate) mod wanted;
pub(crate) mod which_release;
pub(crate) mod words;

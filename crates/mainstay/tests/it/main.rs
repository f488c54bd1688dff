//! The real binary, in real directories, on real ports. One executable: one link step.

mod access;
mod accounts;
mod backups;
mod bad_input;
mod capability;
mod foreign;
mod golden;
mod heads;
mod lifecycle;
mod one_server;
mod ownership;
mod place;
#[path = "../../../apps/tests/it/plugin_host.rs"]
#[allow(clippy::unwrap_used, dead_code, reason = "shared with the tests of another crate")]
mod plugin_host;
mod presence;
mod promises;
mod releases;
mod samples;
mod seam;
mod security;
mod session;
mod shown;
mod unusable;

/// What needs root or programs other than our own, or takes long: `cargo xtask test --quick` skips it.
mod full {
    mod alive;
    mod apps_cloud;
    mod apps_deployed;
    mod apps_killed;
    mod apps_local;
    mod apps_mattermost;
    mod apps_same;
    mod backups_killed;
    mod backups_s3;
    mod boot;
    mod browser;
    mod builds;
    mod clients;
    mod container;
    mod crash;
    mod docker;
    pub(crate) mod external;
    mod fetch;
    mod flood;
    mod found;
    mod handover;
    mod history;
    mod hold;
    pub(crate) mod image;
    mod managed;
    mod managed_checks;
    mod managed_killed;
    mod managed_recovery;
    mod managed_undo;
    mod moves;
    mod official;
    mod pages;
    mod pooler;
    mod postgres_image;
    mod rehearse;
    mod removal;
    mod restore;
    mod restore_faults;
    mod schedule;
    mod self_update;
    mod sweep;
    mod system_users;
    mod updates;
    mod upgrade;
    mod upgrade_faults;
    mod upgrade_releases;
    mod web_client;
}

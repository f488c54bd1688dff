//! The commands that change or look at a deployment.

pub(crate) mod accounts;
pub(crate) mod admin;
pub(crate) mod apps;
pub(crate) mod boot;
pub(crate) mod container;
pub(crate) mod database_status;
pub(crate) mod down;
mod halt;
pub(crate) mod history;
pub(crate) mod in_force;
pub(crate) mod migrate;
mod outcome;
pub(crate) mod planned;
pub(crate) mod prune;
mod record;
pub(crate) mod removing;
pub(crate) mod repair;
pub(crate) mod restart;
pub(crate) mod rotation;
pub(crate) mod runner;
pub(crate) mod site;
pub(crate) mod start_empty;
pub(crate) mod status;
pub(crate) mod uninstall;
pub(crate) mod up;
pub(crate) mod up_report;
pub(crate) mod verify;

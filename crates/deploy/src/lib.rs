//! The operations: install, start, verify, stop, remove - each a plan - and the agent that the plans speak to; beside them [`image`] and
//! [`compose`], which make no deployment, but what one in a container is made of.
//!
//! Promise: an operation looks ([`up`] has `observe`), decides (a function from data to a [`plan::Plan`]) and lets the engine do. What is
//! refused is refused before the first change, with the cause and the way out; what fails after it is undone; what a `kill -9` leaves
//! half-way is brought to its end by the next changing command.
//!
//! A database on a server is never deleted: what an undo takes out of it is moved aside, and only what a run created and nobody
//! has used is dropped.
//!
//! Refused: decisions by edition (a release's capabilities come from its version), printing, reading the process environment.
//!
//! Rejected designs:
//! - An agent that converges by itself: two minds, one plan. The agent does what it is told and remembers nothing.
//! - A daemon that the command line asks to run operations: then the operation dies with the thing it replaces.
//! - Installing into `/opt/mattermost` in place: undoing an upgrade needs the old tree.

mod action;
mod agent;
pub mod compose;
mod config_file;
pub mod container;
mod datasource;
mod deployment;
mod desired;
mod down;
mod error;
pub mod image;
mod layout;
mod leaning;
mod machine;
mod migrate;
mod observed;
mod preflight;
mod rotation;
mod settled;
mod status;
mod uninstall;
mod up;
mod verify;
mod world;

pub use action::Action;
pub use agent::{EdgeSpec, EdgeStatus, ServerStatus, Status as AgentStatus, run as run_agent};
pub use datasource::{
    ADMINISTRATORS, Creation, DatabaseStatus, Reached, address as database_address, database_status,
    sql_script,
};
pub use deployment::{Caller, repair_journal, wanted_file};
pub use desired::{DEFAULT_USER, Desired, Machine};
pub use down::{down, planned as planned_down};
pub use error::{Error, Kind};
pub use layout::{Layout, LogPart, VOLUME};
pub use leaning::InForce;
pub use migrate::{migrate, planned as planned_migration};
pub use rotation::{broken_by, planned as planned_rotation, rotate};
pub use settled::{drift, present_release, settings_of};
pub use status::{Status, status, stay};
pub use uninstall::{Uninstalled, planned as planned_uninstall, uninstall};
pub use up::{Request, Up, planned as planned_up, up};
pub use verify::{Verification, verify, write_report};
pub use world::World;

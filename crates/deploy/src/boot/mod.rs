//! How a deployment starts when its machine does: as a service of systemd.
//!
//! The unit runs the agent, and after it `mainstay up --at-boot`, the ordinary `up`: it finishes what a power cut has interrupted, starts
//! every part, and tests the deployment. So the unit is active when the deployment is verified, and what keeps no memory (the agent)
//! needs none.
//!
//! Rejected designs:
//! - A unit that runs `up --foreground`: systemd would watch the command and not the agent, and a killed command would be a dead service.
//! - An agent that remembers its parts: what is remembered and what is wanted could differ, and a start at boot would not be tested.
//! - A template (`mainstay@.service`): one deployment's drop-ins and hardening would be every deployment's, and the directory of a
//!   deployment does not fit in an instance's name without escapes that nobody can read.

pub(crate) mod attempt;
mod elsewhere;
pub(crate) mod service;
pub(crate) mod standing;
mod unit;
mod words;

pub use attempt::{Attempt, attempt, attempt_ended};
pub use elsewhere::OtherInit;
pub use unit::BOOT_ID;
pub use words::Boot;

pub(crate) use standing::{File, Found, Standing, look, present, unit_of};
pub(crate) use unit::unit_text;
pub(crate) use words::boot;

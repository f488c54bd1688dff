//! Which security fixes a version of Mattermost lacks, by when the Deployment Solutions Program wants them there, and whether an
//! update may begin now.
//!
//! Two texts are read: the makers' [advisories](advisories) and their [releases](releases). [`Exposure`] says what of them a version
//! lacks, [`target`] which release a [`Policy`] leads to, [`decide`] whether it may be installed now.
//!
//! # Promises
//! - Everything here is a function from data to data: no network, no disk, no clock.
//! - A text of strangers costs bounded memory, and nothing of it that is kept can move a terminal's cursor.
//! - A row that cannot be read is counted, and takes no other with it. A text without a single row that can be read is an error: it would
//!   look like "nothing is missing".
//! - A fix counts from the day of the release that has it: details follow 30 days later, and the program's ten days begin before that.
//!
//! # Refuses
//! - To guess. Where the makers' rows do not say whether a line of releases is affected, the fix is listed as one that may be missing.
//! - To cross from one line of releases to another, unless the policy says so.
//!
//! # Rejected designs
//! - The advisories alone: their rows come 30 days after the fix, and the program allows ten.
//! - Asking the makers' service that Mattermost's server asks: it is told how many people use the installation.
//! - `regex` for the sentence about severity: one sentence, four words.
#![forbid(unsafe_code)]

pub mod advisories;
mod bearing;
mod calendar;
mod exposure;
mod policy;
pub mod releases;
mod severity;
mod text;
mod window;

pub use advisories::{Advisory, Product};
pub use bearing::{Bearing, bearing};
pub use calendar::{Freeze, days};
pub use exposure::{Exposure, Missing, PROGRAM_DAYS, Source, Support};
pub use policy::{Decision, Line, Policy, Rules, Target, decide, target};
pub use releases::Published;
pub use severity::Severity;
pub use window::Windows;

//! Mattermost's version numbers.
//!
//! A [`Version`] names one build of the server: `11.7.15`, or `11.6.0+0.1.0` for the built-in server. A [`Series`] is its
//! major and minor number: patch releases never move, add or remove a setting, so that tables of settings are written
//! in series.
//!
//! # Promises
//! - What is read and written again is the same text.
//! - Versions are ordered by their numbers: 11.7.2 comes before 11.7.15.
//!
//! # Rejected designs
//! - The `semver` crate: Mattermost does not follow semantic versioning, and a leading `v` or a missing patch number needs
//!   code of our own either way.
//! - One type with an optional patch number: 11.7 and 11.7.0 would be neither equal nor different.
#![forbid(unsafe_code)]

mod error;
mod series;
mod span;
mod whole;

pub use error::VersionError;
pub use series::Series;
pub use span::Span;
pub use whole::Version;

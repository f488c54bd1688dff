//! What went wrong, said once and in the same form everywhere.
//!
//! # Promises
//! - [`Exit`] is the only table of exit codes: the command line ends with them, and the reference page is generated from it.
//!
//! # Refuses
//! - To depend on another crate of the workspace, a network stack or a runtime: every crate may use this one.
#![forbid(unsafe_code)]

mod exit;

pub use exit::Exit;

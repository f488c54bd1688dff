//! Runs a program to its end: a tool of the machine or of a release, not a service.
//!
//! Every run has a limit of time and of memory. It gets a process group of its own, which is killed when the limit is
//! reached, when the caller loses interest, and when the program ends and leaves children behind.
//!
//! Secrets are given in the environment ([`Tool::secret`]) or on standard input ([`Tool::input`]). They are never
//! arguments, which every user of the machine can read, and they are masked in errors and progress lines.

mod builder;
mod error;
mod feed;
mod output;
mod run;

pub use builder::{NO_LIMIT, Tool};
pub use error::{End, ToolError};
pub use output::Output;

//! The access log: who asked for what, and what came of it.
//!
//! A request leaves a [line](entry) in the book of its worker, which costs a lock that nobody else holds. A few times a second
//! [the log](log) takes the lines out of the books, decides with the [digest](digest) which are written one by one and which are
//! only counted, and hands them to `tracing` under the target `edge::access`. So a flood of requests makes a few lines a minute,
//! and what was written before it stays.

mod digest;
mod entry;
mod log;
mod path;

pub(crate) use entry::{Book, Entry};
pub(crate) use log::Log;

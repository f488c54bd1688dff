//! AWS for tests: moto over the wire, and a proxy before it.
//!
//! It promises what `testbed` promises: the emulator ends with the test, and nothing is skipped; if moto is missing, the test fails and says
//! how it is installed.
//!
//! Rejected designs: to be a part of `testbed`, whose users need no HTTP; and fakes of AWS's library, which no wrong request reaches.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod emulator;
mod proxy;

use std::path::Path;

pub use emulator::{Check, Emulator};
pub use proxy::{Fault, Proxy, Refusal};

/// The program that runs one invocation of a function's code as AWS's image does: `lambda.py CODE_DIRECTORY HANDLER < EVENTS`.
pub fn lambda_program() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/moto/lambda.py"))
}

//! The `mainstay` binary: faces only, no decisions.
//!
//! It wears three: the command line, the agent (`mainstay agent`, started by `up`), and the built-in server, when it is called as
//! `mattermost` - a release's `bin/mattermost` is a copy of this file.

mod builtin;
mod cli;
mod commands;
#[cfg(test)]
mod documented;
mod log_line;
mod printer;
#[cfg(test)]
#[path = "../tests/it/shown.rs"]
mod shown;
mod since;
mod terminal;

use std::path::Path;
use std::process::ExitCode;

/// This program's version. A build may be given another number, as the tests' second build is.
const VERSION: &str = match option_env!("MAINSTAY_VERSION") {
    Some(version) => version,
    None => env!("CARGO_PKG_VERSION"),
};

fn main() -> ExitCode {
    host::limits::repair_umask();
    // One crypto provider for the whole process, before anything can ask for another.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let called_as = std::env::args_os().next().unwrap_or_default();
    if Path::new(&called_as).file_name().is_some_and(|name| name == "mattermost") {
        return builtin::main();
    }
    commands::main()
}

//! The plan engine against real files, real processes and real kills.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod case;
mod damage;
mod job;
mod kills;
mod lock;
mod runs;
mod world;

use job::Job;
use std::process::{Command, Stdio};

/// A victim with its errand, not yet started.
fn victim(job: &Job) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plan-victim"));
    command.arg(serde_json::to_string(job).expect("a job is JSON")).stdin(Stdio::null());
    command
}

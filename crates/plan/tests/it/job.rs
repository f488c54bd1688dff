//! What a test asks of a victim, and how it is started.

use crate::world::Work;
use plan::{Plan, Recovery};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// One errand of the victim, its only argument, as JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Job {
    /// Runs `plan` in `root`.
    Run { root: PathBuf, plan: Plan<Work>, kill_at: Option<u32>, cancel_at: Option<u32> },
    /// Recovers what is unfinished in `root`.
    Recover { root: PathBuf, recovery: Recovery, healed: bool, kill_at: Option<u32> },
    /// Takes the lock at `path`, says so in one line, and keeps it until killed.
    Hold { path: PathBuf, who: String, operation: String, why: String },
}

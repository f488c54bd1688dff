//! Processes, users, ports and disk: what a deployment needs from the machine it stands on.
//!
//! Facts come as functions (`port::holders`, `disk::free`, `User::named`), effects are thin
//! (`disk::atomic_write`, `account::create`), and every error says what was found and the way out.
//!
//! # Promises
//! - A supervised program never outlives its supervisor: not after `kill -9`, and what a killed
//!   supervisor could not reach (grandchildren) is ended at the next start. A recycled process id is never
//!   signalled.
//! - A supervisor can be replaced by a newer program in place, and what it supervises does not notice: [`Handover`].
//! - A full disk costs log lines, counted and noted; it never costs the supervised program.
//! - `atomic_write` and `symlink_flip` leave the old state or the new one, also after a power cut.
//! - `remove_tree` never leaves the tree it was given, whoever else is writing into it.
//!
//! # Refuses
//! - To pass the environment on: a child gets what the caller lists, and `PATH`, `LANG`, `TZ`.
//! - To read the user database through libc (NSS): `/etc/passwd` and `/etc/group` only. A directory user is
//!   named by number.
//!
//! # Rejected designs
//! - `pre_exec` to set the death signal in the child: `unsafe`. A shim does it after the fork: [`shim`].
//! - Supervising on the caller's runtime: the death signal follows the *thread* that forked, and a runtime
//!   may end a worker thread at any time. A [`Spawner`] is a thread that lives as long as anything is supervised.
//! - A thread for each supervised program: an exec ends all threads but one, and with them the programs.
//! - Descriptors inherited by number: making a number into a descriptor is `unsafe`. See [`handover`].
//! - TERM to the whole group: the official unit stops with `KillMode=mixed`, since a server whose plugins die
//!   first tries to restart them. TERM goes to the leader, KILL to what is left.
//! - `inotify` for `logs -f`: another descriptor to run out of, for a tenth of a second.
#![forbid(unsafe_code)]

pub mod account;
pub mod daemon;
pub mod disk;
pub mod follow;
pub mod handover;
pub mod identity;
pub mod init;
pub mod leftover;
pub mod limits;
pub mod log;
mod ownership;
pub mod port;
pub mod process;
mod procfs;
pub mod shim;
mod sockets;
pub mod spawner;
pub mod supervisor;
pub mod tool;
mod tree;
pub mod user;

pub use disk::DiskError;
pub use follow::{Follow, follow, tail};
pub use handover::Handover;
pub use log::{Log, Rotating};
pub use ownership::own_tree;
pub use port::{Listen, PortError};
pub use process::{Command, Exit};
pub use shim::Shim;
pub use spawner::Spawner;
pub use supervisor::{Held, HeldState, Policy, State, Status, Supervisor};
pub use tool::{Tool, ToolError};
pub use user::User;

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since the epoch.
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

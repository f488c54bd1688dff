//! Processes, users, ports and disks: what a deployment needs from its machine.
//!
//! Functions look something up (`port::holders`, `disk::free`, `User::named`) or change one thing (`disk::atomic_write`,
//! `account::create`). [`Tool`] runs a program to its end, [`Supervisor`] keeps one running. Every error says what was found
//! and what to do.
//!
//! # Promises
//! - A supervised program never outlives its supervisor: not after `kill -9`, and what a killed
//!   supervisor could not reach (grandchildren) is ended at the next start. A recycled process id is never
//!   signalled.
//! - A supervisor can be replaced by a newer program in place, and what it supervises does not notice: [`Handover`].
//! - A supervised program that repeats itself does not push out of its log what was there before: such lines are counted.
//! - When a disk is full, log lines are lost, counted and noted; the supervised program goes on.
//! - `atomic_write` and `symlink_flip` leave the old state or the new one, also after a power cut.
//! - `remove_tree` removes nothing outside its tree, whatever other processes do in it.
//! - A guest (the program of a stranger) reaches the network and the paths that it was given; what it started ends with it.
//! - A tool has limits of time and output, and nothing that it starts in its process group outlives it.
//!
//! # Refuses
//! - To pass the environment on unasked: a child gets what the caller lists, and `PATH`, `LANG`, `TZ`.
//! - To read the user database through libc (NSS): `/etc/passwd` and `/etc/group` only. A user of a
//!   directory service is named by number.
//!
//! # Rejected designs
//! - `pre_exec` to set the death signal in the child: `unsafe`. A shim does it after the fork: [`shim`].
//! - Supervising on the caller's runtime: the death signal follows the *thread* that forked, and a runtime
//!   may end a worker thread at any time. A [`Spawner`] is a thread that lives as long as anything is supervised.
//! - A thread for each supervised program: an exec ends all threads but one, and with them the programs.
//! - Descriptors inherited by number: making a number into a descriptor is `unsafe`. See [`handover`].
//! - TERM to the whole group: the official unit stops with `KillMode=mixed`, since a server whose plugins die
//!   first tries to restart them. TERM goes to the leader, KILL to what is left.
//! - `inotify` for `logs -f`: one more limited resource, to show lines a tenth of a second earlier.
#![forbid(unsafe_code)]

pub mod account;
pub mod build;
pub mod confine;
pub mod daemon;
pub mod directory;
pub mod disk;
pub mod follow;
pub mod guest;
pub mod handover;
pub mod here;
pub mod identity;
pub mod init;
pub mod leftover;
mod libc;
pub mod limits;
pub mod log;
mod ownership;
pub mod port;
pub mod process;
mod procfs;
pub mod running;
pub mod shim;
mod sockets;
pub mod spawner;
pub mod supervisor;
pub mod systemd;
pub mod tool;
mod tree;
pub mod user;

pub use disk::DiskError;
pub use follow::{Follow, follow, tail};
pub use guest::Guest;
pub use handover::Handover;
pub use libc::glibc;
pub use log::{Log, Rotating};
pub use ownership::{is_owned, own_tree, pass_one, pass_tree};
pub use port::{Listen, PortError};
pub use process::{Command, Exit, StopSignal};
pub use shim::Shim;
pub use spawner::Spawner;
pub use supervisor::{End, Held, HeldState, Policy, State, Status, Supervisor};
pub use tool::{Tool, ToolError};
pub use user::User;

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since the epoch.
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

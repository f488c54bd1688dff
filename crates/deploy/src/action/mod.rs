//! Everything that a plan can do, one file a noun, each with its undo and with the step that it makes of itself.
//!
//! An action is data: what it needs to know is in it when the plan is made, so that the journal can bring it back after a kill. Secrets
//! are never in it; a step that needs one reads `secrets.toml` when it runs. Journals outlive a version, so fields are only ever added,
//! with a default; `tests/golden/actions` has every form that an action ever had.

mod acceptance_test;
mod access;
mod account;
mod activation;
mod administrator;
mod agent;
mod apps;
mod backup_key;
mod backup_repository;
mod before_removal;
mod census;
mod closing;
mod cluster;
mod cluster_copy;
mod cluster_exchange;
mod configuration;
mod create_database;
mod database;
mod database_aside;
mod directories;
mod exchange;
mod fetched_copy;
mod fetching;
mod file;
mod furnish;
mod handover;
mod hold;
mod hook;
mod identity;
mod kept_copy;
mod kept_dump;
mod kept_state;
mod loading;
mod mending;
mod moving;
mod old_databases;
mod ownership;
mod packages;
mod pending;
mod postgres;
mod postgres_start;
mod program;
mod program_agent;
mod pruning;
mod rehearsal;
mod removal;
mod replacement;
mod return_state;
mod revival;
mod scratch;
mod set_aside;
mod snapshot;
mod snapshot_files;
mod snapshot_release;
mod snapshot_settings;
mod system_user;
mod taken;
mod thinning;
mod unit;
mod unpacking;
mod volume_version;
mod watched;

use std::time::Duration;

use plan::{Failure, Progress, Step, Undo};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use acceptance_test::{AcceptanceTest, standing_password, target};
pub(crate) use access::{Access, Closed};
pub use account::AccountChange;
pub(crate) use account::{Account, channel};
pub(crate) use activation::Activation;
pub(crate) use administrator::{Administrator, accepted_address, signs_in_by_name, verifier_login};
pub(crate) use agent::{Agent, Edge, Schedule, Server, Switch};
pub(crate) use apps::{AppFiles, AppRecord, AppRemoval, Apps, Check};
pub(crate) use backup_key::BackupKey;
pub(crate) use backup_repository::BackupRepository;
pub(crate) use before_removal::BeforeRemoval;
pub(crate) use census::{Census, Comparison, let_go};
pub(crate) use closing::{Closing, Entry};
pub(crate) use cluster::{Cluster, ClusterSettings, fitting};
pub(crate) use cluster_copy::{ClusterCopy, refuse_uncopied};
pub(crate) use cluster_exchange::ClusterExchange;
pub(crate) use configuration::Configuration;
pub(crate) use create_database::CreateDatabase;
pub(crate) use database::Database;
pub(crate) use database_aside::DatabaseAside;
pub(crate) use directories::Directories;
pub(crate) use exchange::Exchange;
pub(crate) use fetched_copy::FetchedCopy;
pub(crate) use fetching::Fetching;
pub use fetching::told as not_fetched;
pub(crate) use file::{Keeps, Rotation, Secrets, WantedFile};
pub(crate) use furnish::{DatabasePassword, Furnish, RolePassword};
pub(crate) use handover::HandOver;
pub(crate) use hold::Hold;
pub(crate) use hook::{HOOK_STEP, Hook};
pub(crate) use identity::Identity;
pub(crate) use kept_copy::{Kept, KeptCopy};
pub(crate) use kept_dump::KeptDump;
pub(crate) use kept_state::KeepState;
pub(crate) use loading::Loading;
pub use mending::{LostSnapshot, Mended};
pub(crate) use mending::{MENDED, Mending};
pub(crate) use moving::Moving;
pub(crate) use old_databases::OldDatabases;
pub(crate) use ownership::{Owned, Ownership};
pub(crate) use packages::{Manager, Packages};
pub(crate) use pending::Pending;
pub(crate) use postgres::Postgres;
pub(crate) use program::{KeptProgram, NewProgram, ProgramFile, kept as kept_program};
pub(crate) use program_agent::ProgramAgent;
pub(crate) use pruning::Pruning;
pub(crate) use rehearsal::{Rehearsal, unreadable};
pub(crate) use removal::Removal;
pub(crate) use replacement::Replacement;
pub(crate) use return_state::ReturnState;
pub(crate) use revival::RanBefore;
pub(crate) use scratch::{Scratch, ScratchComparison, ScratchRemoval};
pub(crate) use set_aside::SetAside;
pub(crate) use snapshot::Snapshot;
pub(crate) use snapshot_files::{SnapshotFiles, size};
pub(crate) use snapshot_release::SnapshotRelease;
pub(crate) use snapshot_settings::{SnapshotSettings, forget_empty};
pub(crate) use system_user::SystemUser;
pub(crate) use taken::{TakenConfig, TakenFiles};
pub(crate) use thinning::{FREED, Forgetting, Freeing, RepositoryLock};
pub(crate) use unit::{FileChange, Unit, environment_text};
pub(crate) use unpacking::Unpacking;
pub(crate) use volume_version::VolumeVersion;

use crate::error::{Error, Exit};
use crate::world::World;

macro_rules! actions {
    ($($name:ident),* $(,)?) => {
        /// One thing that a plan does.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "action", rename_all = "kebab-case")]
        pub enum Action {
            $(#[doc = concat!("See [`", stringify!($name), "`].")] $name($name)),*
        }

        $(impl From<$name> for Action {
            fn from(action: $name) -> Self {
                Self::$name(action)
            }
        })*

        impl plan::Action for Action {
            type World = World;

            async fn apply(&self, world: &World, progress: &Progress) -> Result<Value, Failure> {
                match self {
                    // Boxed: a run is as large as its largest step otherwise.
                    $(Self::$name(action) => Box::pin(action.apply(world, progress)).await.map_err(failure)),*
                }
            }

            async fn undo(&self, world: &World, output: Option<&Value>, _: &Progress) -> Result<(), Failure> {
                match self {
                    $(Self::$name(action) => action.undo(world, output).await.map_err(failure)),*
                }
            }
        }
    };
}

actions! {
    AcceptanceTest, Access, Account, Activation, Administrator, Agent, AppFiles, AppRecord, AppRemoval, Apps,
    BackupKey, BackupRepository, BeforeRemoval, Census, Closing, Cluster, ClusterCopy, ClusterExchange, ClusterSettings, Comparison, Configuration, CreateDatabase, Database,
    DatabaseAside, DatabasePassword, Directories, Edge, Exchange, FetchedCopy, Fetching, Forgetting, Freeing,
    Furnish, HandOver, Hold, Hook, Identity, KeepState, KeptCopy, KeptDump, KeptProgram, Loading, Mending, Moving, NewProgram, OldDatabases,
    Ownership, Packages, Pending, Postgres, ProgramAgent, ProgramFile, Pruning, Rehearsal, Removal, Replacement, RepositoryLock,
    ReturnState, RolePassword, Rotation, Schedule, Scratch, ScratchComparison, ScratchRemoval,
    Secrets, Server, SetAside, Snapshot, SnapshotFiles, SnapshotRelease, SnapshotSettings, SystemUser,
    TakenConfig, TakenFiles, Unit, Unpacking, VolumeVersion, WantedFile,
}

/// A step that takes this action. `ms` is how long it is thought to take, in milliseconds.
fn step(
    name: &str,
    title: impl Into<String>,
    undo: Undo,
    ms: u64,
    action: impl Into<Action>,
) -> Step<Action> {
    let (name, title, estimate) = (name.to_owned(), title.into(), Duration::from_millis(ms));
    Step { name, title, undo, snapshot: false, checkpoint: false, estimate, action: action.into() }
}

/// An operation's error as the engine keeps it.
fn failure(error: Error) -> Failure {
    Failure {
        message: error.what,
        hint: error.hint.map(Into::into),
        detail: error.detail.unwrap_or_default(),
        code: [Exit::NotVerified, Exit::Busy].contains(&error.exit).then(|| error.exit.code()),
    }
}

/// Runs blocking work on a thread of its own, so that the step's progress still shows.
///
/// The work cannot be interrupted. When the future is dropped, it waits for the work to end: an undo never runs beside the step that
/// it undoes.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let (answer, answered) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new().name("step".to_owned()).spawn(move || {
        // Nobody listens any more when the future was dropped.
        let _ = answer.send(work());
    });
    let thread = thread.map_err(|error| {
        Error::not_ready(format!("cannot start a thread: {}", crate::error::reason(&error)))
    })?;
    let _joined = Joined(Some(thread));
    answered.await.unwrap_or_else(|_| Err(Error::new(Exit::Bug, "the work of a step panicked")))
}

/// The same for work that can be told to end: `end` is called before a dropped future waits for it.
async fn endable<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    end: impl FnOnce(),
) -> Result<T, Error> {
    let mut work = std::pin::pin!(blocking(work));
    // Dropped before the work, which was made before it.
    let _end = OnDrop(Some(end));
    work.as_mut().await
}

/// Calls something when it is dropped.
struct OnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(call) = self.0.take() {
            call();
        }
    }
}

/// A thread that has ended when this is gone.
struct Joined(Option<std::thread::JoinHandle<()>>);

impl Drop for Joined {
    fn drop(&mut self) {
        // A panic in it has been told already: nothing came through the channel.
        let _ = self.0.take().map(std::thread::JoinHandle::join);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::{Context, Waker};
    use std::time::Duration;

    use super::*;

    #[test]
    fn dropped_work_has_ended() {
        let ended = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&ended);
        let mut work = Box::pin(blocking(move || {
            std::thread::sleep(Duration::from_millis(100));
            end.store(true, Ordering::Release);
            Ok(())
        }));
        let begun = work.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(begun.is_pending());
        drop(work);
        assert!(ended.load(Ordering::Acquire), "the work went on beside whoever dropped it");
    }

    #[tokio::test]
    async fn work_that_panics_is_a_bug_and_not_a_hang() {
        let panicked = blocking::<()>(|| panic!("on purpose")).await;
        assert_eq!(panicked.expect_err("an error").exit, Exit::Bug);
    }
}

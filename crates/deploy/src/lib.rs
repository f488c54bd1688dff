//! The operations: install, start, verify, stop, remove - each a plan - and the agent that the plans speak to.
//!
//! Promise: an operation looks ([`up`] has `observe`), decides (a function from data to a [`plan::Plan`]) and lets the engine do. What is
//! refused is refused before the first change, with the cause and the way out; what fails after it is undone; what a `kill -9` leaves
//! half-way is brought to its end by the next changing command.
//!
//! A database on a server is never deleted: what an undo takes out of it is moved aside, and only what a run created and nobody
//! has used is dropped.
//!
//! Refused: decisions by edition (a release's capabilities come from its version), printing, reading the process environment.
//!
//! Rejected designs:
//! - An agent that converges by itself: agent and command could decide differently. The agent does what it is told and remembers
//!   nothing.
//! - A daemon that the command line asks to run operations: then the operation dies with the thing it replaces.
//! - Installing into `/opt/mattermost` in place: undoing an upgrade needs the old tree.

mod action;
mod agent;
mod boot;
mod control;
mod error;
mod hooks;
mod local;
mod operation;
mod part;
mod place;
mod state;
mod whereabouts;
mod world;

pub use ::database::transfer::Way as MoveWay;
pub use action::{AccountChange, Action, LostSnapshot, Mended, not_fetched};
pub use agent::run as run_agent;
pub use boot::{Attempt, BOOT_ID, Boot, OtherInit, attempt, attempt_ended};
pub use control::app::AppSpec;
pub use control::protocol::{
    AppStatus, EdgeSpec, EdgeStatus, LastRestart, LastRun, PartSpec, PartStatus, PostgresSpec,
    PostgresStatus, ScheduleEntry, Scheduled, ServerStatus, Status as AgentStatus,
};
pub use database::{Changed as ChangedShape, SchemaDifference};
pub use error::Error;
pub use local::{Account, AccountLock};
pub use operation::accounts::{Accounts, ListedAccount, accounts};
pub use operation::admin::{ChangeAccount, Changed};
pub use operation::apps::{AppChanged, DeployApp, RollBackApp, UndeployApp, replaced_app};
pub use operation::backup::check::{CheckBackups, CheckedBackups, check_backups};
pub use operation::backup::create::{CreateBackup, CreatedBackup, failed_backup};
pub use operation::backup::drill::{Drill, Drilled, drill};
pub use operation::backup::key::{CreateKey, CreatedKey, backup_key, key_exported, refuse_own_place};
pub use operation::backup::last::{Backups, FailingBackup};
pub use operation::backup::look::{
    ListedBackups, ListedSnapshot, ShownBackup, ShownPart, list_backups, show_backup,
};
pub use operation::backup::prune::{PruneBackups, PrunedBackups};
pub use operation::backup::repair::{RepairBackups, RepairedBackups};
pub use operation::boot::{Unit, unit};
pub use operation::caller::{Caller, Consent, Question};
pub use operation::container::{reach_volume, secrets_of_root, take_volume};
pub use operation::database_shell::{DatabaseShell, database_shell};
pub use operation::database_status::{
    DatabaseStatus, ManagedStatus, Need, Reached, SlowStatement, address as database_address,
    database_status, sql_script,
};
pub use operation::down::{Down, Stopped, down};
pub use operation::extract::{Extracted, Only, extract};
pub use operation::history::{
    Event, Restarts, RunOutcome, RunSummary, ScheduledRuns, StepSummary, history, run_of_history,
};
pub use operation::hooked::Hooked;
pub use operation::in_force::{InForce, Probe};
pub use operation::local_apps::{AppTrouble, LocalApp, LocalApps, deployed_apps, local_apps};
pub use operation::migrate::Migrate;
pub use operation::move_database::{MoveDatabase, MovedDatabase, with_database_address};
pub use operation::new_app::NewApp;
pub use operation::planned::Planned;
pub use operation::prune::{Prune, Pruned};
pub use operation::prune_databases::{PruneDatabases, PrunedDatabases};
pub use operation::record::Unfinished;
pub use operation::recover::{Recover, RecoveredRun};
pub use operation::rehearse::{Rehearse, rehearse};
pub use operation::removing::uninstall;
pub use operation::repair::{Repair, repair_journal};
pub use operation::restart::{Restart, Restarted};
pub use operation::restore::{Restore, Restored};
pub use operation::rollback::{Loss, Rollback, RolledBack};
pub use operation::rotation::{Rotate, broken_by};
pub use operation::runner::{Looking, Operation, planned, run};
pub use operation::security::look::{Known, KnownSource, Security, security};
pub use operation::security::update::{
    Due, after_failed_update, resume_updates, update_begins, update_due, update_ended,
};
pub use operation::security::watch::{Watched, watch};
pub use operation::self_update::{SelfUpdate, SelfUpdated};
pub use operation::site::{Site, site};
pub use operation::start_empty::StartEmpty;
pub use operation::status::{Problem, Refusal, SecurityLine, State, Status, Subject, status, stay};
pub use operation::uninstall::{Uninstall, Uninstalled, backups_that_go};
pub use operation::up::{Request, Up};
pub use operation::up_report::{Report as UpReport, Resumed};
pub use operation::upgrade::{Upgrade, Upgraded};
pub use operation::upgrade_database::{UpgradeDatabase, UpgradedDatabase};
pub use operation::verify::{Verification, refuse_not_installed, verify, write_report};
pub use part::identity::refuse_gone_settings;
pub use place::commands::Commands;
pub use place::ground::{check_directory, refuse_unreadable};
pub use place::layout::{Layout, LogPart};
pub use place::machine::host_name;
pub use place::{Place, container};
pub use state::apps::Deployed;
pub use state::backups::access::Elsewhere;
pub use state::backups::cross_check::CrossCheck;
pub use state::backups::key::WITHOUT_THE_KEY;
pub use state::backups::objects::Objects;
pub use state::backups::record::{
    Attempt as BackupAttempt, Record as BackupRecord, Results as BackupResults, Taken, Work as BackupWork,
};
pub use state::census::Compared;
pub use state::creation::{ADMINISTRATORS, Creation};
pub use state::deleted::{DeletedDatabase, deleted_database};
pub use state::desired::{Desired, Machine, default_site_url};
pub use state::exposed::{Exposed, warnings};
pub use state::kept_database::{LeftDatabase, MovedTable, OldDatabase};
pub use state::location::is_managed;
pub use state::lost_journal::lost_journal;
pub use state::published::{offered, sources};
pub use state::rehearsal::{FailedRehearsal, PluginTrouble, Rehearsals, Rehearsed};
pub use state::report::LastTest;
pub use state::restoring::Scratch;
pub use state::returning::{KeptDatabase, KeptState};
pub use state::server_user::default_user;
pub use state::settled::{check_settings, deployed_settings, settings_of};
pub use state::updates::knowledge::{FailedReading, Reading};
pub use state::updates::record::{FailedUpdate, UpdateAttempt};
pub use state::wanted::wanted_file;
pub use state::which_release::present_release;
pub use world::{OpenObjects, ReadConfig, Unreadable, World};

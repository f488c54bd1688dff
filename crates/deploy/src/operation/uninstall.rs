//! `uninstall`: take a deployment away.
//!
//! The plan stops it and moves it aside, which can be undone. Deleting cannot, so it comes after the plan. If it is interrupted, `up` is
//! refused, and the next `uninstall` has an empty plan and deletes the rest.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use plan::{Plan, Recovery};
use serde::Serialize;

use super::runner::{Looking, Operation};
use crate::action::{Action, Removal, Unit};
use crate::control::protocol::Status;
use crate::error::Error;
use crate::part::{boot, stopping};
use crate::place::ground::{Ground, ground};
use crate::place::layout::Layout;
use crate::state::cluster::refuse_to_take_away;
use crate::state::location;
use crate::state::server_user::{made_for, made_for_database, other_deployments};
use crate::state::words::UNINSTALL;
use crate::world::World;

/// What stays with `--keep-data`: everything that a later `up` in the same directory goes on with.
const DATA: [&str; 15] = [
    "apps",
    "mainstay.toml",
    "secrets.toml",
    "declared.json",
    "deployment.json",
    "set-aside",
    "config",
    "data",
    "database",
    "plugins",
    "client-plugins",
    "postgres",
    "backups",
    Layout::BACKUP_KEY,
    Layout::BACKUP_RECORD,
];

/// What a database on a server is of no use without.
const SECRETS: &str = "secrets.toml";

/// What is beside an open journal while a run goes on: it goes by itself.
const BESIDE_JOURNAL: [&str; 3] = ["state.db-wal", "state.db-shm", "state.db-room"];

/// What went and what stayed.
#[derive(Debug, Clone, Serialize)]
pub struct Uninstalled {
    /// The deployment's directory.
    pub dir: PathBuf,
    /// Names that went.
    pub removed: Vec<String>,
    /// Names that are still there.
    pub kept: Vec<String>,
    /// Names that are still there because they are not Mainstay's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub foreign: Vec<String>,
    /// The system user that `up` made for the deployment and that stays.
    pub user: Option<String>,
    /// Why it stays.
    pub user_stays: Option<String>,
    /// The system user that was deleted.
    pub user_removed: Option<String>,
    /// The system user of the managed database, which was deleted with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_user_removed: Option<String>,
    /// The same where it stays, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_user_stays: Option<(String, String)>,
    /// The database on a server that it used, the password masked: never deleted.
    pub database: Option<String>,
    /// Whether an earlier `uninstall` had begun to delete and was interrupted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub resumed: bool,
    /// Why the removal could not be recorded; `None` = it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unrecorded: Option<String>,
}

/// Stops the deployment and removes it.
#[derive(Debug, Clone, Copy)]
pub struct Uninstall {
    /// Whether its data stays.
    pub keep_data: bool,
}

/// What becomes of the system user.
enum Fate {
    /// It is deleted.
    Goes,
    /// It is not, for this reason.
    Stays(String),
}

/// What an uninstall decides from.
pub struct Seen {
    running: Option<Status>,
    /// What goes.
    names: Vec<String>,
    user: Option<(host::User, Fate)>,
    /// The system user of the managed database, where it goes.
    database_user: Option<host::User>,
    database: Option<String>,
    /// Whether there may be a database on a server that is of no use without secrets.toml.
    needs_secrets: bool,
    /// The unit that starts it at boot.
    unit: Option<Unit>,
    /// What an earlier `uninstall` had begun to delete.
    left: Option<Vec<String>>,
}

impl Seen {
    /// What goes.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// The step that removes the unit.
    pub(super) fn unit(&self) -> Option<Action> {
        self.unit.clone().map(Action::Unit)
    }
}

impl Operation for Uninstall {
    const NAME: &'static str = UNINSTALL;
    type Seen = Seen;
    type Report = Uninstalled;

    async fn look(&self, world: &World, _: Looking<'_>) -> Result<Seen, Error> {
        let layout = &world.layout;
        if ground(layout)? == Ground::Free {
            return Err(not_there(layout));
        }
        if !self.keep_data {
            refuse_to_take_away(layout, "mainstay uninstall")?;
        }
        // The managed database is in the directory, and goes or stays with it.
        let elsewhere = !location::is_managed(layout);
        let database = location::of_config(world).ok().filter(|_| elsewhere).map(|server| server.to_string());
        let left = left(layout);
        let needs_secrets = match &left {
            // Decided by the one that was interrupted: it has left them in their place.
            Some(_) => layout.secrets().exists(),
            // Without a config.json nobody can say that no database needs them.
            None => database.is_some() || !layout.config().exists(),
        };
        let names = removable(layout, |name| self.stays(name, needs_secrets))?;
        // Only root makes users.
        let user = made_for(layout.root()).filter(|_| rustix::process::geteuid().is_root());
        let user = user.map(|user| {
            let fate = self.fate(layout, &user, needs_secrets);
            (user, fate)
        });
        let unit = boot::removal(world).await?;
        let goes = |_: &host::User| !self.keep_data && rustix::process::geteuid().is_root();
        let database_user = made_for_database(layout).filter(goes);
        let running = world.agent.status().await?;
        Ok(Seen { running, unit, names, needs_secrets, user, database_user, database, left })
    }

    fn plan(&self, world: &World, seen: &Seen) -> Result<Plan<Action>, Error> {
        let mut steps = stopping(seen.running.as_ref());
        steps.extend(seen.unit.clone().map(Unit::step));
        if !seen.names.is_empty() {
            let goes = seen.user.as_ref().filter(|(_, fate)| matches!(fate, Fate::Goes));
            let users = goes.map(|(user, _)| user.name.as_str()).into_iter();
            let users: Vec<_> =
                users.chain(seen.database_user.as_ref().map(|user| user.name.as_str())).collect();
            steps.push(Removal::of(seen.names.clone(), self.keep_data).step(&users));
        }
        Ok(Plan::new(Self::NAME, format!("Uninstall {}", world.layout.root().display()), steps))
    }

    /// Deletes. It cannot be undone, so it comes after the plan.
    async fn report(&self, world: &World, seen: Seen, _: bool) -> Result<Uninstalled, Error> {
        let layout = &world.layout;
        let Seen { names: removed, mut user, mut database_user, database, needs_secrets, left, .. } = seen;
        let mut database_user_stays = None;
        if self.keep_data {
            host::disk::remove_tree(&layout.unneeded())?;
            remove_but_data(&layout.aside())?;
            // It was of what is gone.
            host::disk::remove_file(&layout.report())?;
        } else {
            // The directory itself stays until the end: by it an interrupted deletion is known.
            for name in names_in(&layout.deleting()) {
                host::disk::remove_tree(&layout.deleting().join(name))?;
            }
            host::disk::remove_tree(&layout.aside())?;
            // The lock is in `run` and goes last: until then no other operation begins.
            let goes = |name: &String| name != "run" && !self.stays(name, needs_secrets);
            for name in names(layout)?.iter().filter(|name| goes(name)) {
                host::disk::remove_tree(&layout.root().join(name))?;
            }
            // A short directory elsewhere has the socket where this one's path is too long.
            if let Some(elsewhere) =
                layout.local_socket().parent().filter(|dir| !dir.starts_with(layout.root()))
            {
                host::disk::remove_tree(elsewhere)?;
            }
            let socket = layout.postgres_socket();
            if !socket.starts_with(layout.root()) {
                host::disk::remove_tree(&socket)?;
            }
            if let Some((user, fate @ Fate::Goes)) = &mut user {
                *fate = deleted(user)?;
            }
            if let Some(user) = database_user.take() {
                match deleted(&user)? {
                    Fate::Goes => database_user = Some(user),
                    Fate::Stays(why) => database_user_stays = Some((user.name, why)),
                }
            }
            host::disk::remove_tree(&layout.run())?;
            // The directory itself may be a mount point, or made by the operator: an empty one does no harm.
            let _ = std::fs::remove_dir(layout.root());
        }
        let kept = if layout.root().exists() { names(layout)? } else { Vec::new() };
        let kept = kept.into_iter().filter(|name| !BESIDE_JOURNAL.contains(&name.as_str())).collect();
        let resumed = left.is_some();
        let mut removed = removed;
        removed.extend(left.unwrap_or_default());
        removed.sort();
        let mut gone = Uninstalled {
            dir: layout.root().to_owned(),
            removed,
            kept,
            foreign: foreign(layout),
            resumed,
            unrecorded: None,
            user: None,
            user_stays: None,
            user_removed: None,
            database_user_removed: database_user.map(|user| user.name),
            database_user_stays,
            database,
        };
        match user {
            Some((user, Fate::Goes)) => gone.user_removed = Some(user.name),
            Some((user, Fate::Stays(why))) => (gone.user, gone.user_stays) = (Some(user.name), Some(why)),
            None => {}
        }
        Ok(gone)
    }

    /// What is to be removed is not installed first. Data that people may have written meanwhile is kept only by a finished run; but a
    /// removal is taken back, because it may be one that keeps no data.
    fn recovery(&self, interrupted: &str) -> Recovery {
        match self.keep_data && interrupted != UNINSTALL {
            true => Recovery::Resume,
            false => Recovery::Undo,
        }
    }

    fn remarks(&self, seen: &Seen) -> Vec<String> {
        let finished = |left: &Vec<String>| {
            let left = if left.is_empty() { "the history".to_owned() } else { left.join(", ") };
            format!(
                "an `uninstall` that was interrupted while it deleted is finished; left to delete: {left}"
            )
        };
        seen.left.iter().map(finished).collect()
    }

    fn may_follow_a_deletion(&self) -> bool {
        !self.keep_data
    }

    fn works_on_a_full_disk(&self) -> bool {
        true
    }

    fn may_lose_a_deleted_database(&self) -> bool {
        !self.keep_data
    }

    fn may_follow_another_build(&self) -> bool {
        true
    }

    fn outranks_a_stuck_run(&self) -> bool {
        true
    }

    fn finishes_without_steps(&self) -> bool {
        true
    }
}

/// What goes of the backups where no data is kept, in words; `None` = nothing.
pub fn backups_that_go(world: &World) -> Option<&'static str> {
    let layout = &world.layout;
    match (layout.root().join(Layout::REPOSITORY).exists(), layout.backup_key().exists()) {
        (true, _) => Some("the backups in it and their key"),
        (false, true) => Some("the key of its backups, without which nobody restores them"),
        (false, false) => None,
    }
}

/// Deletes a user that nothing runs as.
fn deleted(user: &host::User) -> Result<Fate, Error> {
    if let Some(pid) = user.process() {
        return Ok(Fate::Stays(format!("process {pid} runs as it")));
    }
    match host::account::delete(&user.name) {
        // The tool sees more than we do, such as processes that have ended and that nobody took notice of.
        Err(error) if host::User::named(&user.name).is_ok() => Ok(Fate::Stays(error.to_string())),
        deleted => Ok(deleted.map(|()| Fate::Goes)?),
    }
}

fn not_there(layout: &Layout) -> Error {
    Error::not_ready(format!("there is no deployment in {}", layout.root().display()))
        .hint("name its directory with `--dir`")
}

impl Uninstall {
    /// Whether a name at the top of the directory is still there at the end. A database that stays on a server can be used again with
    /// its secrets alone.
    fn stays(self, name: &str, needs_secrets: bool) -> bool {
        (self.keep_data && DATA.contains(&name)) || (needs_secrets && name == SECRETS)
    }

    /// Whether the user goes too.
    fn fate(self, layout: &Layout, user: &host::User, needs_secrets: bool) -> Fate {
        if self.keep_data {
            return Fate::Stays("the data that stays is its".to_owned());
        }
        if needs_secrets {
            return Fate::Stays("a database on a server may stay, which it used".to_owned());
        }
        let of_another = |dir: PathBuf| {
            let files = Layout::new(&dir).server_dirs().map(|name| dir.join(name)).collect::<Vec<_>>();
            files.into_iter().find(|path| path.symlink_metadata().is_ok_and(|meta| meta.uid() == user.uid))
        };
        if let Some(file) = other_deployments(layout.root()).into_iter().find_map(of_another) {
            return Fate::Stays(format!("{} of another deployment is its", file.display()));
        }
        let mut foreign = foreign(layout).into_iter();
        match foreign.find_map(|name| user.file_in(&layout.root().join(name))) {
            Some(file) => Fate::Stays(format!("{} stays, and is its", file.display())),
            None => Fate::Goes,
        }
    }
}

/// The names at the top of the directory that are not Mainstay's.
fn foreign(layout: &Layout) -> Vec<String> {
    let mut names = names_in(layout.root());
    names.retain(|name| !Layout::is_ours(name));
    names.sort();
    names
}

/// What an `uninstall` that was interrupted while it deleted has not deleted yet; `None` = none was.
fn left(layout: &Layout) -> Option<Vec<String>> {
    let deleting = layout.deleting();
    deleting.symlink_metadata().ok()?;
    let below = |name: String| match Layout::is_ours(&name) {
        // Moved here without a record.
        true => vec![name],
        false => names_in(&deleting.join(name)),
    };
    Some(names_in(&deleting).into_iter().flat_map(below).collect())
}

fn names_in(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Deletes what removals that were given up have moved aside, but for data: who keeps the data keeps that, too.
fn remove_but_data(aside: &Path) -> Result<(), Error> {
    for dir in names_in(aside).iter().map(|name| aside.join(name)) {
        for name in names_in(&dir).iter().filter(|name| !DATA.contains(&name.as_str())) {
            host::disk::remove_tree(&dir.join(name))?;
        }
        // Only where it is empty.
        let _ = std::fs::remove_dir(&dir);
    }
    let _ = std::fs::remove_dir(aside);
    Ok(())
}

/// What the plan moves aside: the journal and its lock watch over that, and go after it.
fn removable(layout: &Layout, stays: impl Fn(&str) -> bool) -> Result<Vec<String>, Error> {
    let waits = |name: &str| name == "run" || name.starts_with("state.db");
    Ok(names(layout)?.into_iter().filter(|name| !waits(name) && !stays(name)).collect())
}

fn names(layout: &Layout) -> Result<Vec<String>, Error> {
    let entries =
        std::fs::read_dir(layout.root()).map_err(|error| Error::path("read", layout.root(), &error))?;
    let names = entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()));
    let mut names =
        names.collect::<Result<Vec<_>, _>>().map_err(|error| Error::path("read", layout.root(), &error))?;
    // What somebody else has put there stays.
    names.retain(|name| Layout::is_ours(name));
    names.sort();
    Ok(names)
}

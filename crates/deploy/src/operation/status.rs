//! `status`: how a deployment is, without touching it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use finding::Hint;
use plan::{Faults, Holder, Lock};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::backup::last::{Backups, backups};
use super::boot;
use super::caller::{Caller, Consent};
use super::down::down;
use super::local_apps::{AppTrouble, in_trouble};
use super::record::{Unfinished, unfinished};
use super::security::look::security;
use crate::boot::Boot;
use crate::control::presence::{lives, moved, moved_to};
use crate::control::{health, protocol};
use crate::error::{Error, Exit};
use crate::local;
use crate::part;
use crate::part::identity::refuse_gone_files;
use crate::part::preflight::check_directories;
use crate::place::ground::{ground, refuse_unreadable};
use crate::place::holder::told_elsewhere;
use crate::place::layout::Layout;
use crate::state::config_file;
use crate::state::deleted::deleted_database;
use crate::state::exposed::warnings;
use crate::state::full_disk::full_disks;
use crate::state::half_deleted::half_deleted;
use crate::state::installed::{check_release, is_installed};
use crate::state::lost_journal::lost_journal;
use crate::state::proof::prove_next;
use crate::state::rehearsal::Rehearsals;
use crate::state::report::{LastTest, last_test};
use crate::state::server_user::check_usable;
use crate::state::settled::{published_keys, settle};
use crate::state::wanted::wanted_file;
use crate::state::which_release::Source;
use crate::state::words::{UNINSTALL, works_beside};
use crate::whereabouts::{in_words, is_stopped, way_on};
use crate::world::World;

/// How long the server may take to say that it is well: whoever looks wants to know now.
const PATIENCE: Duration = Duration::from_secs(1);

/// How a deployment is.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// Its directory.
    pub dir: PathBuf,
    /// Whether anything is installed there.
    pub installed: bool,
    /// The active release.
    pub release: Option<String>,
    /// The address people type.
    pub url: Option<String>,
    /// Where the data is, the password masked.
    pub database: Option<String>,
    /// The running parts, if any.
    pub agent: Option<protocol::Status>,
    /// Why `mainstay up` would be refused, although everything may run: something is gone, broken or damaged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refusal>,
    /// What is wrong with the server, if it runs and is not healthy.
    pub trouble: Option<String>,
    /// The apps that are deployed to this machine and do not work.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub apps_in_trouble: Vec<AppTrouble>,
    /// When the acceptance test last passed, in ms since the epoch.
    pub verified_at: Option<i64>,
    /// How the newest acceptance test ended.
    pub last_test: Option<LastTest>,
    /// The operation that changes the deployment right now.
    pub busy: Option<Holder>,
    /// The operation that runs beside it and changes nothing that people use: a backup, a drill.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beside: Option<Holder>,
    /// The file systems without room that something of it is on, each with what to do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub full_disks: Vec<String>,
    /// What is not as it should be, each with what to do.
    pub warnings: Vec<String>,
    /// Whether it starts at boot; `None` where nothing is installed, or something outside decides that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot: Option<Boot>,
    /// What is known of missing security fixes; `None` where nothing is installed, or it cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security: Option<SecurityLine>,
    /// How the last backup, check and drill ended; `None` where there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backups: Option<Backups>,
    /// How the last rehearsal of an upgrade ended; `None` where there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rehearsals: Option<Rehearsals>,
    /// The run that was interrupted, or that needs somebody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unfinished: Option<Unfinished>,
    /// What keeps this from being the whole truth, or the next command from working.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
}

/// What is known of missing security fixes, in a line.
#[derive(Debug, Clone, Serialize)]
pub struct SecurityLine {
    /// In words.
    pub line: String,
    /// Whether something is over-due, an update failed, or the line gets no fixes any more.
    pub bad: bool,
    /// Whether `status --check` fails for that.
    pub watched: bool,
}

impl SecurityLine {
    /// Of a deployment. What cannot be read is left out: the command that needs it says why.
    fn of(world: &World) -> Option<Self> {
        let security = security(world).ok()?;
        Some(Self { line: security.line()?, bad: security.is_bad(), watched: security.watched })
    }
}

/// Why the next command would be refused.
#[derive(Debug, Clone, Serialize)]
pub struct Refusal {
    /// What is wrong.
    pub what: String,
    /// What to do next.
    pub hint: Option<Hint>,
}

/// Something that could not be looked at.
#[derive(Debug, Clone, Serialize)]
pub struct Problem {
    /// What it is about.
    pub about: Subject,
    /// What is wrong.
    pub what: String,
    /// What to do next.
    pub hint: Option<Hint>,
}

/// What could not be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// The deployment's directory.
    Directory,
    /// The agent: it does not answer, or may not be asked.
    Agent,
    /// A settings file.
    Settings,
    /// The journal.
    Journal,
    /// The release: it is not where it should be.
    Release,
    /// The history, which is lost.
    History,
}

/// What is the matter with a deployment. What `status` says first and what `status --check` ends with both follow from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// An operation is changing it.
    Busy,
    /// It cannot be found out.
    NotKnown,
    /// An undo failed.
    NeedsYou,
    /// A run that did not install it did not end.
    Interrupted,
    /// Its installation did not end.
    HalfInstalled,
    /// Its removal did not end, and can be taken back.
    HalfRemoved,
    /// `mainstay up` would be refused.
    Refused,
    /// There is none.
    NotInstalled,
    /// It is stopped.
    Down,
    /// A part does not run, the server is not healthy, or an app does not work.
    Degraded,
    /// Everything runs, and the newest test did not pass.
    NotVerified,
    /// Everything runs and is verified.
    Up,
}

impl State {
    /// What `status --check` ends with: done only for a deployment that is up, verified, and not being changed.
    pub fn exit(self) -> Exit {
        match self {
            Self::Busy => Exit::Busy,
            Self::NeedsYou | Self::Interrupted | Self::HalfInstalled | Self::HalfRemoved | Self::Refused => {
                Exit::NeedsYou
            }
            Self::NotKnown | Self::NotInstalled | Self::Down | Self::Degraded => Exit::NotReady,
            Self::NotVerified => Exit::NotVerified,
            Self::Up => Exit::Done,
        }
    }
}

impl Status {
    /// What `status --check` ends with. With `watch = true` in `[backup]` it also fails for backups, in `[updates]` for security fixes.
    pub fn exit(&self) -> Exit {
        let failing =
            self.backups.as_ref().is_some_and(|backups| backups.watched && !backups.failing.is_empty());
        let insecure = self.security.as_ref().is_some_and(|security| security.watched && security.bad);
        match self.state().exit() {
            Exit::Done if failing || insecure => Exit::NotVerified,
            exit => exit,
        }
    }

    /// Whether everything runs and is well.
    pub fn is_up(&self) -> bool {
        self.serves() && self.apps_in_trouble.is_empty()
    }

    /// Whether Mattermost runs and is well, whatever its apps do.
    pub fn serves(&self) -> bool {
        let agent = self.agent.as_ref();
        agent.is_some_and(|agent| {
            agent.edge().is_some()
                && agent.server().is_some_and(|server| server.pid.is_some())
                && agent.postgres().is_none_or(|postgres| postgres.pid.is_some())
        }) && self.trouble.is_none()
    }

    /// What is the matter.
    pub fn state(&self) -> State {
        if self.busy.is_some() {
            return State::Busy;
        }
        if self.unknown().is_some() {
            return State::NotKnown;
        }
        if let Some(run) = self.unfinished.as_ref().filter(|run| run.matters()) {
            return match (run.needs_you.is_some(), self.installed) {
                (true, _) => State::NeedsYou,
                _ if run.operation == UNINSTALL => State::HalfRemoved,
                (_, true) => State::Interrupted,
                (_, false) => State::HalfInstalled,
            };
        }
        match &self.agent {
            // Whatever else is wrong: `mainstay up` is no way out.
            _ if self.is_refused() => State::Refused,
            None if !self.installed => State::NotInstalled,
            None => State::Down,
            Some(_) if !self.is_up() => State::Degraded,
            Some(_) if self.verified_at.is_none() => State::NotVerified,
            Some(_) => State::Up,
        }
    }

    /// Whether `mainstay up` would be refused.
    fn is_refused(&self) -> bool {
        let unreadable = [Subject::Settings, Subject::Journal];
        self.refused.is_some() || unreadable.into_iter().any(|about| self.problem(about).is_some())
    }

    /// Why it is not known whether the deployment runs.
    pub fn unknown(&self) -> Option<&Problem> {
        let directory = self.problem(Subject::Directory).filter(|_| self.agent.is_none());
        directory.or_else(|| self.problem(Subject::Agent))
    }

    /// The operation that changes it, in words, with the way on where its process is stopped.
    pub fn busy_in_words(&self) -> Option<String> {
        let holder = self.busy.as_ref()?;
        let said = in_words(holder);
        Some(if is_stopped(holder) { format!("{said}. {}", way_on(holder)) } else { said })
    }

    /// What is wrong with one subject.
    pub fn problem(&self, about: Subject) -> Option<&Problem> {
        self.problems.iter().find(|problem| problem.about == about)
    }
}

/// Looks, at as much as can be seen.
pub async fn status(world: &World) -> Status {
    let layout = &world.layout;
    let mut problems = Vec::new();
    let mut note = |about: Subject, error: Error| {
        problems.push(Problem { about, what: error.what, hint: error.hint });
    };
    let mut fine = |about: Subject, outcome: Result<(), Error>| {
        let _ = outcome.map_err(|error| note(about, error));
    };
    let directory = refuse_unreadable(layout).and_then(|()| ground(layout).map(drop));
    let may_not_look = refuse_unreadable(layout).err().and_then(|error| error.hint);
    fine(Subject::Directory, directory);
    let installed = is_installed(layout);
    fine(Subject::Release, check_release(layout));
    let agent = world.agent.status().await.unwrap_or_else(|error| {
        fine(
            Subject::Agent,
            Err(match (&error.hint, &may_not_look) {
                (None, Some(hint)) => error.hint(hint.clone()),
                _ => error,
            }),
        );
        None
    });
    let trouble = match agent.as_ref().and_then(|agent| agent.server()) {
        Some(server) => match health::client(&server.spec, PATIENCE) {
            Ok(client) => health::ask(&client, &server.spec).await.err(),
            Err(error) => Some(error.what),
        },
        None => None,
    };
    let url = url(world).unwrap_or_else(|error| {
        fine(Subject::Settings, Err(error));
        url_in_force(layout)
    });
    let unfinished = unfinished(layout).await.unwrap_or_else(|error| {
        fine(Subject::Journal, Err(error));
        None
    });
    if let Some(lost) = lost_journal(layout) {
        fine(Subject::History, Err(Error::not_ready(lost)));
    }
    let holder = Lock::present_holder(&layout.lock()).unwrap_or_default();
    // While an operation runs, its run is not finished either.
    let unfinished = unfinished.filter(|_| holder.is_none());
    let (beside, busy) = match holder {
        Some(holder) if works_beside(&holder.operation) => (Some(holder), None),
        holder => (None, holder),
    };
    let trouble = match trouble {
        // An operation may be starting the server.
        None if busy.is_none() && agent.as_ref().is_some_and(|agent| agent.server().is_some()) => {
            shut_channel(layout).await
        }
        trouble => trouble,
    };
    let apps_in_trouble = match agent.as_ref().filter(|_| busy.is_none()) {
        Some(agent) => in_trouble(layout, agent).await,
        None => Vec::new(),
    };
    let boot = if installed { boot::of_file(world).await } else { None };
    let published = if installed { published_keys(world) } else { Vec::new() };
    Status {
        dir: layout.root().to_owned(),
        installed,
        release: release::current(&layout.current()).map(|release| release.to_string()),
        url,
        database: if installed { crate::database_address(world) } else { None },
        agent,
        refused: match &unfinished {
            Some(_) if !installed => None,
            _ => refused(world, installed).await,
        },
        trouble,
        apps_in_trouble,
        verified_at: if installed { crate::state::report::last_pass(layout) } else { None },
        last_test: if installed { last_test(layout) } else { None },
        unfinished,
        busy,
        beside,
        full_disks: full_disks(layout),
        boot,
        security: if installed { SecurityLine::of(world) } else { None },
        backups: if installed { backups(world) } else { None },
        rehearsals: Some(Rehearsals::read(layout)).filter(|found| *found != Rehearsals::default()),
        warnings: told_elsewhere(layout)
            .into_iter()
            .chain(gone_to(layout))
            .chain(warnings(layout))
            .chain(published)
            .collect(),
        problems,
    }
}

/// That the server opens a local channel and does not answer there.
async fn shut_channel(layout: &Layout) -> Option<String> {
    let is_shut = local::is_shut(layout, PATIENCE).await;
    is_shut.then(|| format!("it does not answer on its local channel, {}", layout.local_socket().display()))
}

/// What `up` would be refused for, as far as it can be told without asking a database.
async fn refused(world: &World, installed: bool) -> Option<Refusal> {
    let layout = &world.layout;
    if !installed {
        let why = half_deleted(layout).or_else(|| check_directories(layout).err());
        return why.map(|Error { what, hint, .. }| Refusal { what, hint });
    }
    let lost = match (moved(layout), deleted_database(layout)) {
        (Some(moved), _) => Err(moved.refusal(layout)),
        (None, Some(deleted)) => Err(deleted.refusal()),
        (None, None) => refuse_gone_files(layout).await,
    };
    let error = lost.and_then(|()| check_files(world)).err()?;
    // Whoever may not read the files learns nothing about them from that.
    may_read(layout).then_some(Refusal { what: error.what, hint: error.hint })
}

/// What the settings, config.json and the release would have `up` refused for.
fn check_files(world: &World) -> Result<(), Error> {
    let settled = settle(world, &BTreeMap::new(), Source::default())?;
    check_usable(settled.file.as_ref().and_then(|wanted| wanted.get("user")))?;
    prove_next(world, &settled.release, Some(&settled.config), &settled.resolved)?;
    part::release::observe(&world.layout, &settled).map(drop)
}

/// That the deployment of this name was moved away while it ran.
fn gone_to(layout: &Layout) -> Option<String> {
    let now = moved_to(layout)?;
    let (was, now) = (layout.root().display(), now.display());
    Some(format!(
        "the deployment that ran in {was} was moved to {now} and still runs: `mainstay --dir {now} down` stops it"
    ))
}

/// Whether this user may read every settings file that is there.
fn may_read(layout: &Layout) -> bool {
    use rustix::fs::{Access, AtFlags, CWD, accessat};
    use rustix::io::Errno;
    let files = [layout.wanted(), layout.secrets(), layout.config(), layout.declared()];
    files.iter().all(|file| accessat(CWD, file, Access::READ_OK, AtFlags::EACCESS) != Err(Errno::ACCESS))
}

/// The address people type; in a container no file says it.
fn url(world: &World) -> Result<Option<String>, Error> {
    if !world.layout.place().keeps_decisions() && world.layout.root().exists() {
        let settled = settle(world, &BTreeMap::new(), Source::default())?;
        return Ok(Some(settled.desired.site_url_text().to_owned()));
    }
    Ok(wanted_file(&world.layout)?.get("site_url").map(str::to_owned))
}

/// The address that the server knows, where what is wanted cannot be read.
fn url_in_force(layout: &Layout) -> Option<String> {
    let config = config_file::deployed(layout).ok().flatten()?;
    let url = config["ServiceSettings"]["SiteURL"].as_str().filter(|url| !url.is_empty());
    url.map(str::to_owned)
}

/// Stays until the agent has been stopped by somebody, or stops everything itself when the caller cancels.
///
/// # Errors
/// The agent ended without being told; a part does not stop.
pub async fn stay(world: &World, mut caller: Caller<'_>) -> Result<(), Error> {
    const LOOK: Duration = Duration::from_millis(500);
    let layout = &world.layout;
    // Its stop is not to be cancelled in its turn.
    let told = std::mem::take(&mut caller.cancel);
    loop {
        if told.is_cancelled() {
            let Caller { who, why, reader, .. } = &mut caller;
            let (who, why, cancel) = (who.clone(), why.clone(), CancellationToken::new());
            let (reader, faults, consent) = (&mut **reader, Faults::default(), Consent::Given);
            let stopper = Caller { who, why, reader, faults, cancel, consent };
            match down(world, stopper, false).await {
                // Another operation is running; wait until it is done.
                Err(error) if error.exit == Exit::Busy => tokio::time::sleep(LOOK).await,
                stopped => return stopped.map(|_| ()),
            }
        }
        if !lives(layout)? {
            // An agent that ends in order takes its socket with it.
            return if layout.socket().exists() {
                Err(Error::not_ready("the agent has ended without being told to")
                    .hint("`mainstay logs agent` has its last words; `mainstay up` starts everything again"))
            } else {
                Ok(())
            };
        }
        let _ = tokio::time::timeout(LOOK, told.cancelled()).await;
    }
}

//! `backup drill`: whether a snapshot can be restored, found out by restoring it: into a scratch deployment on loopback, which is started,
//! tested, compared with the snapshot, and removed.

use std::net::TcpListener;
use std::time::Duration;

use jiff::Timestamp;
use plan::{Journal, Plan};
use serde::Serialize;
use serde_json::{Value, json};

use crate::action::{Action, Scratch, ScratchComparison, ScratchRemoval};
use crate::error::{Error, Exit};
use crate::operation::caller::Caller;
use crate::operation::runner::{Looking, Operation, run_for};
use crate::operation::verify::refuse_not_installed;
use crate::state::backups::access::{Access, Elsewhere, apart};
use crate::state::backups::choice::{self, Choice};
use crate::state::backups::record::{Begun, Success, Work};
use crate::state::backups::set::Subject;
use crate::state::restoring::{CONFIG, Restoring, Scratch as Isolated, short};
use crate::state::words::DRILL;
use crate::world::World;

/// How long the database may take to say which messages it has.
const PATIENCE: Duration = Duration::from_secs(30);

/// Restores a snapshot into a scratch deployment, and removes that.
#[derive(Debug, Clone)]
pub struct Drill {
    /// The snapshot: the beginning of its id, `latest`, or a moment.
    pub snapshot: String,
}

/// What it decides from.
pub struct Seen {
    scratch: Scratch,
    comparison: ScratchComparison,
    taken: Timestamp,
    rows: u64,
    release: String,
    bytes: u64,
    began: Timestamp,
}

/// What a drill came to.
#[derive(Debug, Clone, Serialize)]
pub struct Drilled {
    /// The snapshot's id, in full.
    pub snapshot: String,
    /// When it was taken.
    pub taken: Timestamp,
    /// The release that was started.
    pub release: String,
    /// What would have been lost, had the machine been lost when the drill began: what came after this moment (RPO). It is when the
    /// snapshot was taken, or when its newest message was written, where the deployment has one from before that which is not in it.
    pub lost_since: Timestamp,
    /// How long before the drill that was, in seconds.
    pub lost_seconds: i64,
    /// When the newest message in the snapshot was written, in ms since the epoch; `None` = it has none.
    pub newest_message: Option<i64>,
    /// Messages that the deployment has and the snapshot has not; `None` = its database could not be asked.
    pub messages_since: Option<u64>,
    /// How long it took from nothing to a verified deployment, in ms (RTO).
    pub recovered_ms: u64,
    /// Rows of the database, which are those of the snapshot.
    pub rows: u64,
    /// Files that were compared by their hashes.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Operation for Drill {
    const NAME: &'static str = DRILL;
    type Seen = Seen;
    type Report = Drilled;

    async fn look(&self, world: &World, _: Looking<'_>) -> Result<Seen, Error> {
        refuse_not_installed(&world.layout)?;
        let (this, here) = (self.clone(), world.clone());
        apart(move || this.seen(&here)).await
    }

    fn plan(&self, world: &World, seen: &Seen) -> Result<Plan<Action>, Error> {
        // 50 MB/s, and what an installation takes.
        let ms = 5000 + seen.bytes / 50_000;
        let steps = vec![
            seen.scratch.clone().step(ms),
            seen.comparison.clone().step(100 + seen.bytes / 500_000),
            ScratchRemoval::step(),
        ];
        let title = format!(
            "Drill: restore snapshot {} beside {}",
            short(&seen.scratch.snapshot),
            world.layout.root().display()
        );
        Ok(Plan::new(DRILL, title, steps))
    }

    async fn report(&self, world: &World, seen: Seen, _: bool) -> Result<Drilled, Error> {
        let journal = Journal::open_read_only(&world.layout.journal()).await?;
        let run = journal.runs(1).await?.into_iter().next();
        let outputs = run.map(|run| run.state.outputs).unwrap_or_default();
        let number = |step: usize, key: &str| {
            outputs.get(step).and_then(|output: &Value| output[key].as_u64()).unwrap_or(0)
        };
        let newest = outputs.get(1).and_then(|output: &Value| output["newest"].as_i64());
        let lost = Lost::of(world, seen.taken, newest).await;
        Ok(Drilled {
            snapshot: seen.scratch.snapshot,
            taken: seen.taken,
            release: seen.release,
            lost_since: lost.since,
            lost_seconds: seen.began.duration_since(lost.since).as_secs(),
            newest_message: lost.newest,
            messages_since: lost.messages,
            recovered_ms: number(0, "ms"),
            rows: seen.rows,
            files: number(1, "files"),
            bytes: number(1, "bytes"),
        })
    }

    fn may_follow_another_build(&self) -> bool {
        true
    }

    /// The deployment itself is not touched.
    fn may_lose_a_deleted_database(&self) -> bool {
        true
    }
}

impl Drill {
    fn seen(&self, world: &World) -> Result<Seen, Error> {
        let began = Timestamp::now();
        let layout = &world.layout;
        let own = Elsewhere::default();
        let access = Access::of(world, &own)?;
        let (repository, key_file) = (access.location(), access.key_file.clone());
        let opened = access.open()?;
        let scratch = crate::place::layout::Layout::new(layout.drill());
        let restoring = Restoring::look(&scratch, &opened, (&own, &self.snapshot), Some(Isolated), None)?;
        let manifest = &restoring.manifest;
        if manifest.database.engine == "mysql" {
            let what = "a drill of a snapshot of MySQL needs an empty MySQL database, and Mainstay runs none";
            return Err(Error::new(Exit::Refused, what).hint(
                "restore it on another machine: `mainstay restore --repository REPOSITORY --key-file FILE`",
            ));
        }
        let release = &restoring.release;
        let shares_releases = release.edition != release::Edition::Builtin
            && layout.releases().join(release.to_string()).is_dir();
        // config.json gets the addresses of the scratch deployment.
        let compared = restoring.directories.iter().filter(|(folder, _)| *folder != CONFIG);
        let folders = compared.map(|(folder, called)| ((*folder).to_owned(), (*called).to_owned())).collect();
        let snapshot = restoring.snapshot.clone();
        Ok(Seen {
            taken: manifest.taken,
            rows: manifest.database.rows.values().sum(),
            release: release.to_string(),
            bytes: restoring.bytes,
            began,
            comparison: ScratchComparison {
                repository: repository.clone(),
                key_file: key_file.clone(),
                snapshot: snapshot.clone(),
                folders,
                taken: manifest.taken.as_millisecond(),
            },
            scratch: Scratch {
                repository,
                key_file,
                snapshot,
                port: free_port()?,
                user: server_user(world)?,
                managed: manifest.database.engine == "postgres",
                shares_releases,
                release: None,
                edition: None,
                may_lose: Vec::new(),
                rehearses: None,
                place: choice::scratch_place(world)?,
            },
        })
    }
}

/// What would have been lost.
struct Lost {
    since: Timestamp,
    newest: Option<i64>,
    messages: Option<u64>,
}

impl Lost {
    /// Asks the deployment which messages it has that are newer than the newest of the snapshot. One that does not answer is no reason
    /// against a drill: the snapshot may be all that is left.
    async fn of(world: &World, taken: Timestamp, newest: Option<i64>) -> Self {
        let here = world.clone();
        let source = apart(move || Ok(Subject::of(&here)?.source)).await.ok();
        let times = match &source {
            Some(source) => {
                let (until, after) = (taken.as_millisecond(), newest.unwrap_or(0));
                database::post_times(source, until, after, PATIENCE).await.ok()
            }
            None => None,
        };
        let is_behind = times.is_some_and(|times| times.between > 0);
        let since = newest.filter(|_| is_behind).and_then(|ms| Timestamp::from_millisecond(ms).ok());
        Self { since: since.unwrap_or(taken), newest, messages: times.map(|times| times.later) }
    }
}

/// A port of loopback that nobody uses now.
pub(in crate::operation) fn free_port() -> Result<u16, Error> {
    let bound = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    bound
        .map(|address| address.port())
        .map_err(|error| Error::not_ready(format!("no port of 127.0.0.1 is free: {error}")))
}

/// The user that the server runs as, where this may become another one: who owns its config.json.
pub(in crate::operation) fn server_user(world: &World) -> Result<Option<String>, Error> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    Ok(Some(crate::state::server_user::default_user(&world.layout)))
}

/// Runs a drill, and writes down how it ended.
///
/// # Errors
/// The snapshot cannot be restored; the deployment made of it does not work, or is not what the snapshot has; the rest of it cannot be
/// removed.
pub async fn drill(
    world: &World,
    operation: &Drill,
    mut caller: Caller<'_>,
) -> Result<Option<Drilled>, Error> {
    let location = Choice::of(world, None).map(|choice| choice.place.location()).unwrap_or_default();
    let begun = match world.layout.run().is_dir() {
        true => Some(Begun::new(&world.layout, Work::Drill, &location)?),
        false => None,
    };
    let ran = run_for(operation, world, &mut caller).await;
    if let Some(begun) = begun {
        match &ran {
            Ok(Some(drilled)) => {
                let snapshot = Some(drilled.snapshot.clone());
                begun.end(Ok(Success { snapshot, report: json!(drilled) }))?;
            }
            Ok(None) => begun.forget()?,
            Err(error) => begun.end(Err(error))?,
        }
    }
    ran
}

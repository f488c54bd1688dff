//! `upgrade --rehearse`: the next stop of an upgrade, on a copy of the data: the newest snapshot is restored into a scratch deployment on
//! loopback with the target release, which migrates it, starts on it and is tested; what was measured is kept, and the copy is removed.

use std::path::PathBuf;

use database::Held;
use jiff::Timestamp;
use plan::{Journal, Plan};
use serde_json::Value;

use super::backup::create::CreateBackup;
use super::backup::drill::{free_port, server_user};
use super::caller::Caller;
use super::outputs::output;
use super::prediction::downtime;
use super::runner::{Looking, Operation, run_for};
use super::upgrade::{Seen as Upgrading, Upgrade};
use crate::action::{Action, Rehearsal, Scratch, ScratchRemoval, unreadable};
use crate::error::{Error, Exit};
use crate::state::backups::access::{Access, Elsewhere, apart};
use crate::state::backups::choice::scratch_place;
use crate::state::census::Compared;
use crate::state::rehearsal::{Rehearsals, Rehearsed};
use crate::state::restoring::{Restoring, Scratch as Isolated};
use crate::state::words::REHEARSE;
use crate::world::World;

/// Rehearses an upgrade.
#[derive(Debug, Clone, Default)]
pub struct Rehearse {
    /// The upgrade.
    pub upgrade: Upgrade,
}

/// What it decides from.
pub struct Seen {
    upgrading: Upgrading,
    copy: Option<Copy>,
}

/// The copy that it works on.
struct Copy {
    scratch: Scratch,
    taken: Timestamp,
    bytes: u64,
    /// The steps that make the snapshot, where the plan is only shown and there is none.
    makes: Vec<plan::Step<Action>>,
}

impl Operation for Rehearse {
    const NAME: &'static str = REHEARSE;
    type Seen = Seen;
    type Report = Option<Rehearsed>;

    async fn look(&self, world: &World, looking: Looking<'_>) -> Result<Seen, Error> {
        let only_shown = looking.only_shown;
        let upgrading = self.upgrade.look(world, looking).await?;
        refuse_move(&upgrading)?;
        let copy = match upgrading.stop() {
            None => None,
            Some(_) => Some(self.copy(world, &upgrading, only_shown).await?),
        };
        Ok(Seen { upgrading, copy })
    }

    fn plan(&self, world: &World, seen: &Seen) -> Result<Plan<Action>, Error> {
        let (Some(copy), Some(release)) = (&seen.copy, seen.upgrading.stop()) else {
            return Ok(Plan::new(REHEARSE, "Rehearse an upgrade", Vec::new()));
        };
        // What an upgrade would be refused for is found out now.
        let upgrade = self.upgrade.plan(world, &seen.upgrading)?;
        let fetches = |step: &plan::Step<Action>| matches!(&step.action, Action::Fetching(fetching) if fetching.wish.release == *release);
        let mut steps: Vec<_> = upgrade.steps.into_iter().filter(fetches).collect();
        steps.extend(copy.makes.iter().cloned());
        // 50 MB/s, what an installation takes, and the migration.
        steps.push(copy.scratch.clone().step(8000 + copy.bytes / 50_000));
        steps.push(Rehearsal { release: release.clone() }.step());
        steps.push(ScratchRemoval::step());
        let dir = world.layout.root().display();
        let title = format!("Rehearse the upgrade of {dir} from {} to {release}", seen.upgrading.from());
        Ok(Plan::new(REHEARSE, title, steps))
    }

    async fn report(&self, world: &World, seen: Seen, _: bool) -> Result<Option<Rehearsed>, Error> {
        let (Some(copy), Some(release)) = (&seen.copy, seen.upgrading.stop()) else { return Ok(None) };
        let journal = Journal::open_read_only(&world.layout.journal()).await?;
        let runs = journal.runs(1).await?;
        let measured = runs.first().and_then(|run| output(run, Rehearsal::STEP)).ok_or_else(unreadable)?;
        let mut rehearsed = read(measured)?;
        (rehearsed.from, rehearsed.to) = (seen.upgrading.from().to_string(), release.to_string());
        (rehearsed.at, rehearsed.taken) = (Timestamp::now(), copy.taken);
        rehearsed.snapshot.clone_from(&copy.scratch.snapshot);
        rehearsed.notices = settings::in_lines(seen.upgrading.notices());
        Rehearsals::note(&world.layout, Ok(&rehearsed))?;
        // With what was measured just now.
        let mut nobody = ();
        let again = Looking::at_rest(&mut nobody);
        if let Ok(upgrading) = self.upgrade.look(world, again).await {
            let plan = self.upgrade.plan(world, &upgrading);
            rehearsed.predicted_ms = plan.ok().and_then(|plan| downtime(&plan.steps));
        }
        Rehearsals::note(&world.layout, Ok(&rehearsed))?;
        Ok(Some(rehearsed))
    }

    fn may_follow_another_build(&self) -> bool {
        true
    }

    /// The deployment itself is not touched.
    fn may_lose_a_deleted_database(&self) -> bool {
        true
    }

    fn remarks(&self, seen: &Seen) -> Vec<String> {
        let mut remarks = Vec::new();
        if let Some(copy) = &seen.copy {
            remarks.push(match copy.makes.is_empty() {
                true => format!(
                    "it works on snapshot {} of {:.0}; nothing of the running deployment is touched",
                    crate::state::restoring::short(&copy.scratch.snapshot),
                    copy.taken
                ),
                false => format!(
                    "{} has written no snapshot yet, so `mainstay backup create` runs first; nothing else of the running deployment is touched",
                    seen.upgrading.from()
                ),
            });
        }
        remarks
    }

    fn wait(&self) -> std::time::Duration {
        self.upgrade.wait()
    }
}

impl Rehearse {
    async fn copy(&self, world: &World, upgrading: &Upgrading, only_shown: bool) -> Result<Copy, Error> {
        let here = world.clone();
        let found = apart(move || newest(&here)).await?;
        let found = found.filter(|(_, restoring)| restoring.release == *upgrading.from());
        let (repository, key_file) = match &found {
            Some(((repository, key_file), _)) => (repository.clone(), key_file.clone()),
            None => (String::new(), PathBuf::new()),
        };
        let engine = found.as_ref().map(|(_, restoring)| restoring.manifest.database.engine.clone());
        if engine.as_deref() == Some("mysql") {
            let what =
                "the rehearsal of an upgrade on MySQL needs an empty MySQL database, and Mainstay runs none";
            return Err(Error::new(Exit::Refused, what)
                .hint("restore a backup on another machine, and upgrade that one first"));
        }
        let makes = match (&found, only_shown) {
            (Some(_), _) => Vec::new(),
            (None, true) => {
                let create = create();
                let seen = create.look(world, Looking::at_rest(&mut ())).await?;
                create.plan(world, &seen)?.steps
            }
            (None, false) => {
                return Err(Error::not_ready(
                    "the newest snapshot was written by another release than the one that runs",
                )
                .hint("`mainstay backup create`, and again"));
            }
        };
        let (tarball, edition) = upgrading.tarball();
        let snapshot = found.as_ref().map_or("latest", |(_, restoring)| &restoring.snapshot).to_owned();
        Ok(Copy {
            taken: found.as_ref().map(|(_, restoring)| restoring.manifest.taken).unwrap_or_default(),
            bytes: found.as_ref().map_or(0, |(_, restoring)| restoring.bytes),
            makes,
            scratch: Scratch {
                repository,
                key_file,
                snapshot,
                port: free_port()?,
                user: server_user(world)?,
                managed: engine.map_or_else(|| upgrading.is_on_a_server(), |engine| engine == "postgres"),
                shares_releases: false,
                release: tarball,
                edition,
                may_lose: self.upgrade.may_lose.clone(),
                rehearses: upgrading.stop().map(ToString::to_string),
                place: scratch_place(world)?,
            },
        })
    }
}

/// Refuses an upgrade that moves the data to another database on its way: a snapshot is restored into one of its own kind.
fn refuse_move(upgrading: &Upgrading) -> Result<(), Error> {
    let Some(from) = upgrading.moves_from() else { return Ok(()) };
    let what =
        format!("this upgrade moves the data from {from} to PostgreSQL, and a rehearsal cannot do that");
    Err(Error::new(Exit::Refused, what).hint(
        "move the data first with `mainstay database move --to managed`, then rehearse; or upgrade without: whatever fails is undone. Nothing has been changed",
    ))
}

/// Repository and key of the deployment's newest snapshot, and that.
type Newest = ((String, PathBuf), Restoring);

/// The newest snapshot, if there is one.
fn newest(world: &World) -> Result<Option<Newest>, Error> {
    let own = Elsewhere::default();
    let access = Access::of(world, &own)?;
    let at = (access.location(), access.key_file.clone());
    if !access.exists()? {
        return Ok(None);
    }
    let opened = access.open()?;
    if opened.snapshot("latest").is_err() {
        return Ok(None);
    }
    let scratch = crate::place::layout::Layout::new(world.layout.drill());
    Restoring::look(&scratch, &opened, (&own, "latest"), Some(Isolated), None).map(|found| Some((at, found)))
}

fn create() -> CreateBackup {
    CreateBackup { why: "to rehearse an upgrade".to_owned(), ..CreateBackup::default() }
}

/// What the step `measure` says. What belongs to the deployment is filled in by the caller.
fn read(measured: &Value) -> Result<Rehearsed, Error> {
    let wrong = |_| unreadable();
    let list = |key: &str| measured[key].as_array().cloned().unwrap_or_default();
    let held = list("migrations").into_iter().filter_map(|migration| {
        serde_json::from_value::<Option<Held>>(migration["longest_lock"].clone()).ok().flatten()
    });
    let migrations = list("migrations");
    let compared: Vec<Compared> = list("comparisons")
        .into_iter()
        .filter_map(|compared| serde_json::from_value(compared).ok())
        .collect();
    let steps: std::collections::BTreeMap<String, u64> =
        serde_json::from_value(measured["steps"].clone()).map_err(wrong)?;
    let ms = |step: &str| steps.get(step).copied().unwrap_or(0);
    let tests = list("tests");
    Ok(Rehearsed {
        from: String::new(),
        to: String::new(),
        at: Timestamp::UNIX_EPOCH,
        snapshot: String::new(),
        taken: Timestamp::UNIX_EPOCH,
        migration_ms: ms("migration"),
        start_ms: ms("server"),
        longest_lock: held.max_by_key(|held| held.ms),
        locks_watched: migrations.iter().any(|migration| migration["watched"] == true),
        schema: compared.last().map(|compared| compared.schema.clone()).unwrap_or_default(),
        compared: compared.last().map(Compared::in_lines).unwrap_or_default(),
        plugins: serde_json::from_value(measured["plugins"].clone()).map_err(wrong)?,
        checks: tests.last().and_then(|test| test["checks"].as_u64()).unwrap_or(0),
        notices: Vec::new(),
        predicted_ms: None,
        steps,
    })
}

/// Runs a rehearsal, and writes down how it ended. Where the present release has written no snapshot, one is made first.
///
/// # Errors
/// The upgrade would be refused; the snapshot cannot be restored; the release does not migrate it, does not start on it, does not pass the
/// acceptance test, or loses what people have.
pub async fn rehearse(
    world: &World,
    operation: &Rehearse,
    mut caller: Caller<'_>,
) -> Result<Option<Rehearsed>, Error> {
    let ran = Box::pin(run_all(world, operation, &mut caller)).await;
    if let Err(error) = &ran
        && world.layout.run().is_dir()
    {
        Rehearsals::note(&world.layout, Err(error))?;
    }
    ran
}

async fn run_all(
    world: &World,
    operation: &Rehearse,
    caller: &mut Caller<'_>,
) -> Result<Option<Rehearsed>, Error> {
    // What would be refused is refused before a snapshot is made.
    let upgrading = operation.upgrade.look(world, Looking::at_rest(&mut *caller.reader)).await?;
    if upgrading.stop().is_none() {
        return Ok(None);
    }
    refuse_move(&upgrading)?;
    let here = world.clone();
    let found = apart(move || newest(&here)).await?;
    if found.is_none_or(|(_, restoring)| restoring.release != *upgrading.from()) {
        run_for(&create(), world, caller).await?;
    }
    Ok(Box::pin(run_for(operation, world, caller)).await?.flatten())
}

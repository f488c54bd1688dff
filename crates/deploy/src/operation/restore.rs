//! `restore`: a deployment made of a snapshot, in the place of what is there, in an empty directory, or on a new machine.
//!
//! It is the plan of an `up` whose files, database and settings come from the snapshot: fetched beside what runs, exchanged while the
//! server is stopped, and proven by the acceptance test. What was there moves aside, and comes back where the test fails.

use std::path::PathBuf;
use std::time::Duration;

use plan::Plan;
use serde::Serialize;

use super::hooked::Hooked;
use super::runner::{Looking, Operation, Recovered};
use super::up::Request;
use crate::action::{Action, DatabaseAside, FetchedCopy, forget_empty, let_go, size};
use crate::error::{Error, Exit};
use crate::part::configuration::ConfigChange;
use crate::part::{Observed, View, converging, database, observe, preflight};
use crate::place::ground::ground;
use crate::place::layout::Layout;
use crate::state::backups::access::{Access, Elsewhere, apart};
use crate::state::blank::is_there;
use crate::state::location::Location;
use crate::state::report::last_pass;
use crate::state::restoring::{Restoring, Scratch};
use crate::state::settled::{Settled, settle};
use crate::state::wanted::read_wanted;
use crate::state::which_release::Source;
use crate::state::words::RESTORE;
use crate::state::{access, config_file, published};
use crate::world::World;

/// Makes a deployment of a snapshot.
#[derive(Debug, Clone, Default)]
pub struct Restore {
    /// The snapshot: the beginning of its id, `latest`, or a moment.
    pub snapshot: String,
    /// Where it is, if not in the deployment's own repository.
    pub from: Elsewhere,
    /// What an `up` would be asked for: where there is no deployment yet, its flags count.
    pub request: Request,
    /// A copy that lets nothing out of the machine.
    pub scratch: Option<Scratch>,
    /// Tables and columns (`table.column`) that another release may remove with what people have in them.
    pub may_lose: Vec<String>,
}

/// What it decides from.
pub struct Seen {
    settled: Settled,
    observed: Observed,
    origin: Option<release::Origin>,
    /// The interrupted run that did the same, and was finished just before.
    resumed: Option<Recovered>,
}

/// What it came to.
#[derive(Debug, Clone, Serialize)]
pub struct Restored {
    /// The snapshot's id, in full.
    pub snapshot: String,
    /// When it was taken: what was acknowledged before is back.
    pub taken: jiff::Timestamp,
    /// The release that wrote it.
    pub written_by: String,
    /// The release that runs now.
    pub release: String,
    /// The deployment's directory.
    pub dir: PathBuf,
    /// The address people type.
    pub url: String,
    /// Rows of the database.
    pub rows: u64,
    /// Files of the snapshot.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What the database is: `sqlite`, `postgres` or `mysql`.
    pub engine: String,
    /// Where what was there is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_aside: Option<PathBuf>,
    /// The schema that the tables that were there are in now; on MySQL a database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema_set_aside: Option<String>,
    /// Where this machine's mainstay.toml, which stayed, differs from the snapshot's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<String>,
    /// What is to be known of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// When the acceptance test passed, in ms since the epoch.
    pub verified_at: Option<i64>,
    /// Whether an interrupted run was finished.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub resumed: bool,
}

impl Operation for Restore {
    const NAME: &'static str = RESTORE;
    type Seen = Seen;
    type Report = Restored;

    async fn look(&self, world: &World, mut looking: Looking<'_>) -> Result<Seen, Error> {
        let layout = &world.layout;
        ground(layout)?;
        let me = host::User::current()?;
        if !me.is_root() {
            access::check(layout, &me)?;
        }
        let restoring = self.look_at_snapshot(world).await?;
        let title = title(layout, &restoring);
        let is_same =
            |run: &&Recovered| run.finished && run.plan.operation == RESTORE && run.plan.title == title;
        let resumed = looking.recovered.filter(is_same).cloned();
        // What was asked for a new deployment was done by the run that was interrupted.
        let done = Request::default();
        let request = if resumed.is_some() { &done } else { &self.request };
        let source = Source { restoring: Some(&restoring), ..request.source(looking.only_shown) };
        let is_new = restoring.wanted.is_some();
        if !is_new && let Some(flag) = request.flags.keys().next() {
            return Err(Error::new(
                Exit::Usage,
                format!("`--{}` is for a new deployment, and {} holds one", flag.replace('_', "-"), layout.root().display()),
            )
            .hint("its own mainstay.toml stays as it is; change it there, and run `mainstay up` after the restore"));
        }
        let settled = settle(world, &request.flags, source)?;
        let keeps_boot = !is_new || self.scratch.is_some() || request.keeps_boot;
        let creation = request.creation.as_ref();
        let mut observed = observe(world, &settled, creation, keeps_boot, &mut looking.patience).await?;
        // The snapshot brings them.
        observed.directory.secrets |= restoring.secrets;
        if resumed.is_none() {
            refuse_unsuited(&settled, &observed, &restoring, is_new)?;
            preflight::check(layout, &settled, &observed)?;
            refuse_mounted(layout)?;
            refuse_without_room(layout, &settled, &restoring)?;
        }
        // What the server reads is another file, whether it says the same or not.
        observed.config = match restoring.config {
            Some(_) => ConfigChange::Changes,
            None => observed.config,
        };
        let release = (&settled.release, &*observed.release.installed);
        let origin = published::origin(world, request.origin.as_ref(), &settled.desired.wanted, release)?;
        Ok(Seen { settled, observed, origin, resumed })
    }

    fn plan(&self, world: &World, seen: &Seen) -> Result<Plan<Action>, Error> {
        let Seen { settled, observed, origin, resumed } = seen;
        let layout = &world.layout;
        let Some(restoring) = &settled.restoring else {
            return Err(Error::new(Exit::Bug, "a restore without a snapshot"));
        };
        let title = title(layout, restoring);
        if resumed.is_some() {
            return Ok(Plan::new(RESTORE, title, Vec::new()));
        }
        let (creation, origin) =
            (self.request.creation.as_ref(), origin.as_ref().unwrap_or(&release::Origin::Builtin));
        let mut steps = converging(&View { layout, settled, observed, creation, origin });
        let_go(&mut steps, &self.may_lose);
        steps.push(FetchedCopy { into: restoring.into.clone() }.step());
        Ok(Plan::new(RESTORE, title, steps))
    }

    async fn report(&self, world: &World, seen: Seen, _: bool) -> Result<Restored, Error> {
        let Seen { settled, observed, resumed, .. } = seen;
        let Some(restoring) = settled.restoring else {
            return Err(Error::new(Exit::Bug, "a restore without a snapshot"));
        };
        let (into, schema) = match &resumed {
            Some(run) => moved_by(&run.plan),
            None => {
                let is_moved = settled.location != Location::File && observed.database.exists;
                (Some(restoring.into.clone()), is_moved.then(|| restoring.schema()))
            }
        };
        let set_aside = into.map(|into| world.layout.set_aside().join(into));
        if let Some(path) = &set_aside {
            // An empty directory is nothing that anybody had.
            forget_empty(path);
        }
        let set_aside = set_aside.filter(|path| path.exists());
        let manifest = &restoring.manifest;
        Ok(Restored {
            taken: manifest.taken,
            written_by: manifest.release.id.clone(),
            release: settled.release.to_string(),
            dir: world.layout.root().to_owned(),
            url: settled.desired.site_url_text().to_owned(),
            engine: manifest.database.engine.clone(),
            rows: manifest.database.rows.values().sum(),
            files: manifest.files,
            bytes: manifest.bytes,
            set_aside,
            schema_set_aside: schema,
            differences: restoring.differences,
            warnings: settled.remarks,
            verified_at: last_pass(&world.layout),
            resumed: resumed.is_some(),
            snapshot: restoring.snapshot,
        })
    }

    fn hooked(&self, seen: &Seen) -> Option<Hooked> {
        let old = seen.observed.release.current.as_ref().map(ToString::to_string);
        Some(Hooked { old: old.unwrap_or_default(), new: seen.settled.release.to_string() })
    }

    fn may_follow_another_build(&self) -> bool {
        true
    }

    fn remarks(&self, seen: &Seen) -> Vec<String> {
        let differences = seen.settled.restoring.iter().flat_map(|restoring| restoring.differences.iter());
        differences
            .map(|difference| format!("mainstay.toml stays as it is: {difference}"))
            .chain(seen.settled.remarks.iter().cloned())
            .collect()
    }

    fn wait(&self) -> Duration {
        self.request.wait()
    }
}

/// Where a run has moved what was there: the directory below `set-aside`, and the schema.
fn moved_by(plan: &Plan<Action>) -> (Option<String>, Option<String>) {
    let actions = || plan.steps.iter().map(|step| &step.action);
    let into = actions().find_map(|action| match action {
        Action::FetchedCopy(FetchedCopy { into }) => Some(into.clone()),
        _ => None,
    });
    let schema = actions().find_map(|action| match action {
        Action::DatabaseAside(DatabaseAside { schema }) => Some(schema.clone()),
        _ => None,
    });
    (into, schema)
}

/// What the run is for. The same restore has the same title.
fn title(layout: &Layout, restoring: &Restoring) -> String {
    let (short, taken) = (restoring.short(), restoring.manifest.taken);
    format!("Restore snapshot {short} of {taken:.0} in {}", layout.root().display())
}

impl Restore {
    async fn look_at_snapshot(&self, world: &World) -> Result<Restoring, Error> {
        let (this, world) = (self.clone(), world.clone());
        apart(move || {
            let layout = &world.layout;
            // What is not readable is replaced as if it were not there.
            let config = config_file::deployed(layout).ok().flatten();
            let present = match is_there(&layout.wanted()) || !layout.place().keeps_decisions() {
                true => Some((read_wanted(layout)?.map(|(wanted, _)| wanted).unwrap_or_default(), config)),
                false => None,
            };
            let repository = Access::of(&world, &this.from)?.open()?;
            let snapshot = if this.snapshot.is_empty() { "latest" } else { &this.snapshot };
            Restoring::look(layout, &repository, (&this.from, snapshot), this.scratch, present.as_ref())
        })
        .await
    }
}

/// Refuses a snapshot that this deployment cannot be made of.
fn refuse_unsuited(
    settled: &Settled,
    observed: &Observed,
    restoring: &Restoring,
    is_new: bool,
) -> Result<(), Error> {
    let refused = |what: String, hint: &str| {
        Err(Error::new(Exit::Refused, what).hint(format!("{hint}; nothing has been changed")))
    };
    let (short, manifest) = (restoring.short(), &restoring.manifest);
    if release::path(&restoring.release.version, &settled.release.version) == release::Path::Older {
        let (theirs, ours) = (&restoring.release, &settled.release);
        return refused(
            format!(
                "snapshot {short} was written by {theirs}, and {ours} is older: it cannot use the database of a newer one"
            ),
            "restore it with the same release, or a newer one",
        );
    }
    let engine = manifest.database.engine.as_str();
    let here = match &settled.location {
        Location::File => "sqlite",
        Location::Server(server) if server.engine == dsn::Engine::MySql => "mysql",
        Location::Managed(_) | Location::Server(_) => "postgres",
    };
    let engine_in_words = in_words(engine);
    if engine != here {
        return refused(
            format!(
                "snapshot {short} holds a database of {engine_in_words}, and this deployment's is {}",
                settled.location
            ),
            &format!(
                "restore it in a directory of its own with `--dir`, with a database of {engine_in_words}"
            ),
        );
    }
    let seen = &observed.database;
    let Location::Server(server) = &settled.location else { return Ok(()) };
    let is_others = match (&seen.deployment, &observed.identity.record) {
        (Some(marked), Some(record)) => *marked != record.id,
        (Some(_), None) => true,
        (None, _) => false,
    };
    if !seen.exists || (!is_new && !is_others) {
        return refuse_immovable(server, seen);
    }
    let why = match is_others && !is_new {
        true => "belongs to another deployment",
        false => "holds the tables of a Mattermost",
    };
    refused(
        format!("{server} {why}, and a restore deletes nothing"),
        "make an empty database and name it (DB_HOST, DB_NAME, DB_USER and DB_PASS, or [mattermost.SqlSettings] in mainstay.toml)",
    )
}

/// Refuses a database from which neither what is there nor what a failed restore has loaded could be moved aside.
fn refuse_immovable(server: &dsn::Server, seen: &database::Observed) -> Result<(), Error> {
    let by_hand = "or load the dump by hand: `mainstay restore --only database --into DIR` writes it; nothing has been changed";
    let refused = |what: &str, fix: &str| {
        Err(Error::new(Exit::Refused, format!("{what}, and a restore deletes nothing"))
            .hint(format!("{fix}; {by_hand}")))
    };
    match (&seen.immovable, seen.lacking) {
        (Some(obstacle), _) => refused(&obstacle.what, &obstacle.fix),
        (None, Some(_)) if server.engine == dsn::Engine::MySql => refused(
            &format!(
                "the user that is created for {server} may not create another database, into which its tables would be moved"
            ),
            "create user and database without `--create-database`, and give the user that right as docs/restore.md says",
        ),
        (None, _) => Ok(()),
    }
}

fn in_words(engine: &str) -> &str {
    match engine {
        "sqlite" => "SQLite",
        "postgres" => "PostgreSQL",
        "mysql" => "MySQL",
        other => other,
    }
}

/// Refuses a directory that cannot be moved aside.
fn refuse_mounted(layout: &Layout) -> Result<(), Error> {
    use std::os::unix::fs::MetadataExt as _;
    let device = |path: &std::path::Path| path.symlink_metadata().ok().map(|meta| meta.dev());
    let root = device(layout.root());
    let names = layout.server_dirs().filter(|name| !name.starts_with("logs"));
    let mut mounted = names
        .map(|name| layout.root().join(name))
        .filter(|path| device(path).is_some_and(|of| Some(of) != root));
    match mounted.next() {
        None => Ok(()),
        Some(path) => Err(Error::new(
            Exit::Refused,
            format!("{} is a file system of its own, which cannot be moved aside", path.display()),
        )
        .hint("restore into a directory of its own with `--dir`, or a part of the snapshot with `--only`; nothing has been changed")),
    }
}

/// Refuses what would fill the disk: what is fetched lies beside what is there, and a dump beside its tables.
fn refuse_without_room(layout: &Layout, settled: &Settled, restoring: &Restoring) -> Result<(), Error> {
    const MARGIN: u64 = 64 << 20;
    // Tables with their indexes take about twice their dump.
    let tables = if let Location::Managed(_) = settled.location { restoring.dump * 2 } else { 0 };
    let fetched = host::directory::size(&layout.restoring()).unwrap_or(0);
    let needed = (restoring.bytes + tables + MARGIN).saturating_sub(fetched);
    let free = host::disk::free(layout.root())?.bytes;
    if free >= needed {
        return Ok(());
    }
    Err(Error::not_ready(format!(
        "snapshot {} needs {} in {}, and {} are free",
        restoring.short(),
        size(needed),
        layout.root().display(),
        size(free)
    ))
    .hint("free some space there; nothing has been changed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_nothing_can_be_moved_out_of_is_refused_with_what_to_do() {
        let on = |engine| dsn::Server::new(engine, dsn::Host::Name("db".to_owned()));
        let (mysql, postgres) = (on(dsn::Engine::MySql), on(dsn::Engine::Postgres));
        let (what, fix) = ("user \"mm\" may not create a database".to_owned(), "as root: GRANT".to_owned());
        let obstacle = Some(::database::Obstacle { what, fix });
        let immovable = database::Observed { immovable: obstacle, ..database::Observed::default() };
        let missing = Some(::database::Lacking { user: true, database: true });
        let missing = database::Observed { lacking: missing, ..database::Observed::default() };
        for server in [&mysql, &postgres] {
            let refused = refuse_immovable(server, &immovable).expect_err("refused");
            assert_eq!(refused.exit, Exit::Refused);
            let hint = refused.hint.as_deref().unwrap_or_default();
            assert!(hint.starts_with("as root: GRANT; ") && hint.contains("--only database"), "{hint}");
            refuse_immovable(server, &database::Observed::default()).expect("nothing is in the way");
        }
        assert_eq!(refuse_immovable(&mysql, &missing).expect_err("refused").exit, Exit::Refused);
        refuse_immovable(&postgres, &missing).expect("it will own its database");
    }
}

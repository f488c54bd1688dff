//! `database move`: the data of a deployment goes from SQLite, MySQL or MariaDB to PostgreSQL; the release stays.
//!
//! The steps are those of `up` with another database, and between "create the tables" and "start the server" the rows are moved. Requests
//! wait at the edge meanwhile. The old database is not changed, so every undo is a return to it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use database::transfer::{self, Way};
use dsn::{DataSource, Engine};
use plan::Plan;
use release::ReleaseId;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use settings::Origin;

use super::runner::{Looking, Operation};
use super::verify::refuse_not_installed;
use crate::action::{Action, size};
use crate::error::{Error, Exit};
use crate::part::identity::{refuse_gone_files, refuse_strangers};
use crate::part::{Observed, View, converging, observe, preflight};
use crate::place::ground::ground;
use crate::place::layout::Layout;
use crate::place::machine::read_secret_file;
use crate::state::creation::Creation;
use crate::state::kept_database::LeftDatabase;
use crate::state::location::{Location, MANAGED, SECTION};
use crate::state::moving::Moving;
use crate::state::report::last_pass;
use crate::state::settled::{Settled, settle};
use crate::state::which_release::Source;
use crate::state::words::MOVE_DATABASE;
use crate::world::World;

/// How long one question to a database may take.
const QUESTION: Duration = Duration::from_secs(30);

/// Moves the data into the database that is declared, or into the managed one.
#[derive(Debug, Clone, Default)]
pub struct MoveDatabase {
    /// Whether it goes into a PostgreSQL that Mainstay runs; otherwise into the one that is declared.
    pub to_managed: bool,
    /// Whether the one that is declared was named for this move alone, with [`with_database_address`].
    pub to_address: bool,
    /// How its rows are treated.
    pub way: Way,
    /// How long to wait for a database server; `None` = 10 s.
    pub wait: Option<Duration>,
    /// Create user and database if they are missing, as the administrator whose login is there.
    pub creation: Option<Creation>,
    /// Whether packages of the distribution may be installed.
    pub install_packages: bool,
}

/// What it decides from.
pub struct Seen {
    settled: Settled,
    /// `None` where the data is there already.
    observed: Option<Observed>,
}

/// What it came to.
#[derive(Debug, Clone, Serialize)]
pub struct MovedDatabase {
    /// Whether anything was moved.
    pub changed: bool,
    /// Where the data is now.
    pub to: String,
    /// What was moved, and from where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved: Option<LeftDatabase>,
    /// Where the old database is kept, where it was in the deployment's own directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<PathBuf>,
    /// When the acceptance test last passed, in ms since the epoch.
    pub verified_at: Option<i64>,
    /// What works and yet is not as it should be.
    pub warnings: Vec<String>,
}

impl Operation for MoveDatabase {
    const NAME: &'static str = MOVE_DATABASE;
    type Seen = Seen;
    type Report = MovedDatabase;

    async fn look(&self, world: &World, mut looking: Looking<'_>) -> Result<Seen, Error> {
        let layout = &world.layout;
        ground(layout)?;
        refuse_not_installed(layout)?;
        if layout.place().image_decides_release() {
            let what = "in a container, Mainstay does not move data from one database to another";
            return Err(Error::new(Exit::Refused, what)
                .hint("move the volume to a machine with Mainstay, move the data there, and name the new database to the container"));
        }
        refuse_gone_files(layout).await?;
        let flags: BTreeMap<_, _> =
            self.to_managed.then(|| ("database", MANAGED.to_owned())).into_iter().collect();
        let source = Source {
            only_shown: looking.only_shown,
            installs_packages: self.install_packages,
            ..Source::default()
        };
        let mut settled = settle(world, &flags, source)?;
        let installed = release::current(&layout.current())
            .ok_or_else(|| Error::not_ready("the link to the active release leads to none"))?;
        if let Some(other) = said_elsewhere(&settled).filter(|_| self.to_address) {
            return Err(named_twice(&other));
        }
        prepare(layout, &mut settled, &self.way, &installed).await?;
        if settled.moving.is_none() {
            if !self.to_managed && matches!(settled.location, Location::File) {
                return Err(Error::new(Exit::Usage, "nothing says where the data is to go")
                    .hint("`--to managed`: a PostgreSQL that Mainstay runs; `--to FILE`: the address in a file; or declare it (docs/databases.md)"));
            }
            return Ok(Seen { settled, observed: None });
        }
        let observed = observe(world, &settled, self.creation.as_ref(), true, &mut looking.patience).await?;
        refuse_filled(&settled.location, &observed)?;
        refuse_strangers(layout, &settled, &observed)?;
        preflight::check(layout, &settled, &observed)?;
        Ok(Seen { settled, observed: Some(observed) })
    }

    fn plan(&self, world: &World, seen: &Seen) -> Result<Plan<Action>, Error> {
        let (layout, settled) = (&world.layout, &seen.settled);
        let title = format!("Move the data of {} into {}", layout.root().display(), settled.location);
        let Some(observed) = &seen.observed else { return Ok(Plan::new(Self::NAME, title, Vec::new())) };
        let (creation, origin) = (self.creation.as_ref(), &release::Origin::Builtin);
        let steps = converging(&View { layout, settled, observed, creation, origin });
        Ok(Plan::new(Self::NAME, title, steps))
    }

    async fn report(&self, world: &World, seen: Seen, changed: bool) -> Result<MovedDatabase, Error> {
        let layout = &world.layout;
        let Seen { settled, observed } = seen;
        let into = settled.moving.as_ref().map(|moving| moving.into.clone());
        let moved = into.as_deref().map(|into| LeftDatabase::read(layout, into)).transpose()?.flatten();
        let is_file = settled.moving.as_ref().is_some_and(|moving| moving.from == Location::File);
        let warnings = observed.map(|observed| observed.database.warnings).unwrap_or_default();
        Ok(MovedDatabase {
            changed,
            to: settled.location.to_string(),
            moved,
            kept: into.filter(|_| is_file).map(|into| layout.set_aside().join(into)),
            verified_at: last_pass(layout),
            warnings: settled.remarks.into_iter().chain(warnings).collect(),
        })
    }

    fn tests_after_undo(&self) -> bool {
        true
    }

    fn remarks(&self, seen: &Seen) -> Vec<String> {
        seen.settled.remarks.clone()
    }

    fn wait(&self) -> Duration {
        self.wait.unwrap_or(Duration::from_secs(10))
    }
}

/// The same deployment, whose database is declared to be the one that the address in a file names.
///
/// # Errors
/// The file cannot be read, or holds no address of a PostgreSQL.
pub fn with_database_address(world: &World, file: &Path) -> Result<World, Error> {
    let text = read_secret_file(file).map_err(|error| Error::path("read the address in", file, &error))?;
    // No sentence about it repeats it.
    let text = SecretString::from(text);
    let address = text.expose_secret().trim();
    let place = file.display();
    let wrong = |what: String| {
        Err(Error::new(Exit::Usage, format!("{place}: {what}"))
            .hint("it holds one line, such as postgres://USER:PASSWORD@HOST:5432/NAME?sslmode=require"))
    };
    match address.parse::<DataSource>() {
        Ok(DataSource::Server(server)) if server.engine == Engine::Postgres => {}
        Ok(_) => return wrong("it is no address of a PostgreSQL".to_owned()),
        Err(error) => return wrong(error.to_string()),
    }
    if world.variables.contains_key(ADDRESS) {
        return Err(named_twice(&format!("the environment variable {ADDRESS}")));
    }
    let mut world = world.clone();
    world.variables.insert(DRIVER.to_owned(), Engine::Postgres.driver_name().to_owned());
    world.variables.insert(ADDRESS.to_owned(), address.to_owned());
    Ok(world)
}

/// Mattermost's own variables for the database.
const DRIVER: &str = "MM_SQLSETTINGS_DRIVERNAME";
const ADDRESS: &str = "MM_SQLSETTINGS_DATASOURCE";

fn named_twice(other: &str) -> Error {
    let what = format!(
        "`--to` names a database, and {other} names one as well, which the next `mainstay up` would use"
    );
    Error::new(Exit::Usage, what).hint(
        "name the new one there, and run `mainstay database move` without `--to`; nothing has been changed",
    )
}

/// Who else says which database it is.
fn said_elsewhere(settled: &Settled) -> Option<String> {
    let setting = settled.resolved.setting(SECTION, "DataSource")?;
    let is_ours = |origin: &Origin| matches!(origin, Origin::ServerVariable { name, .. } if name == ADDRESS);
    let mut others = setting.layers().iter().map(|layer| &layer.origin);
    others.find(|origin| origin.is_given() && !is_ours(origin)).map(ToString::to_string)
}

/// Settles what is moved, where the data is not yet in the database that is settled.
///
/// # Errors
/// It cannot be moved, or not be counted; there is no room for it.
pub(super) async fn prepare(
    layout: &Layout,
    settled: &mut Settled,
    way: &Way,
    installed: &ReleaseId,
) -> Result<(), Error> {
    let moving = Moving::of(settled.before.as_ref(), &settled.location, way, installed)?;
    if let Some(mut moving) = moving {
        let from = moving.source(layout).ok_or_else(|| Error::new(Exit::Bug, "there is no source"))?;
        let counted = transfer::survey(&from, QUESTION).await;
        moving.rows = counted.map_err(|error| Error::not_ready(error.to_string()))?.values().sum();
        settled.moving = Some(moving);
    }
    refuse_without_room(layout, settled)
}

/// Refuses a new database in which something is: nothing in it is overwritten.
pub(super) fn refuse_filled(to: &Location, observed: &Observed) -> Result<(), Error> {
    if !observed.database.exists {
        return Ok(());
    }
    let what = format!("{to} holds a Mattermost already, and data is moved only into an empty database");
    let hint = match to {
        Location::Managed(_) => {
            "`mainstay uninstall` of the deployment that made it removes it; or move its directory `postgres` away"
        }
        _ => "name an empty database; if the data in it is the right one, `mainstay up` uses it",
    };
    Err(Error::new(Exit::Refused, what).hint(format!("{hint}; nothing has been changed")))
}

/// Refuses what would fill the disk.
fn refuse_without_room(layout: &Layout, settled: &Settled) -> Result<(), Error> {
    /// What an empty cluster and its log take.
    const CLUSTER: u64 = 160 << 20;
    let (Location::Managed(_), Some(moving)) = (&settled.location, &settled.moving) else { return Ok(()) };
    if moving.from != Location::File {
        return Ok(());
    }
    let file = layout.sqlite().metadata().map_or(0, |meta| meta.len());
    // PostgreSQL's rows and indexes are larger, and what is written is in its log as well.
    let needed = file * 3 + CLUSTER;
    let free = host::disk::free(layout.root())?.bytes;
    if free >= needed {
        return Ok(());
    }
    let what = format!(
        "the move needs about {} in {}, and {} are free",
        size(needed),
        layout.root().display(),
        size(free)
    );
    Err(Error::not_ready(what).hint("free some space there; nothing has been changed"))
}

//! `upgrade`: from the installed release to a newer one, one stop of the way at a time.
//!
//! The steps are those of `up` with another release. Requests wait at the edge from before the old server stops until the new one is
//! proven, and a copy of what a migration changes is kept meanwhile: so whatever goes wrong before people are let in is undone, and
//! nothing that they did is lost with it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use database::transfer::Way;
use plan::{Plan, PlanError};
use release::{
    Arch, Bearing, Cache, Catalogue, Channel, Circumstances, Edition, Leg, NoWay, Origin, ReleaseId, Store,
    Wish,
};
use serde::Serialize;

use super::edition_change::{lost, refuse_loss};
use super::hooked::Hooked;
use super::move_database::{prepare, refuse_filled};
use super::no_way::no_way;
use super::runner::{Looking, Operation};
use super::snapshot_first::{NONE, snapshot_first, with_snapshot};
use super::stops::{Stop, after, can_go_on, in_one, names};
use super::up::refuse_lost;
use super::verify::refuse_not_installed;
use crate::action::{Action, Snapshot, let_go, size};
use crate::error::{Error, Exit};
use crate::operation::outputs::compared;
use crate::operation::prediction::{Measured, downtime, in_words};
use crate::part::database::readiness;
use crate::part::{observe, preflight};
use crate::place::ground::ground;
use crate::place::postgres::installations;
use crate::state::census::Compared;
use crate::state::cluster::Record;
use crate::state::location::Location;
use crate::state::published::{offered, sources};
use crate::state::report::last_pass;
use crate::state::returning::{KeptState, kept_states};
use crate::state::settled::{Settled, settle};
use crate::state::wanted::wanted_file;
use crate::state::which_release::Source;
use crate::state::words::UPGRADE;
use crate::world::World;

/// Brings a deployment to a newer release.
#[derive(Debug, Clone, Default)]
pub struct Upgrade {
    /// Where to: a version, a line, or a channel; `None` = what mainstay.toml says, otherwise the release that is mended the longest.
    pub to: Option<String>,
    /// The edition, where it is to be another.
    pub edition: Option<Edition>,
    /// The tarball of the release at the end of the way.
    pub release: Option<PathBuf>,
    /// How long to wait for a database server; `None` = 10 s.
    pub wait: Option<Duration>,
    /// Whether it may begin where no copy of the database can be kept.
    pub without_copy: bool,
    /// Whether it goes on without a snapshot although backups are set up.
    pub without_snapshot: bool,
    /// Whether each extended support release on the way is a stop.
    pub every_extended: bool,
    /// Whether a failure at a later stop goes back to the beginning.
    pub all_or_nothing: bool,
    /// Whether an edition that can do less is accepted.
    pub accepts_loss: bool,
    /// Tables and columns (`table.column`) that the release may remove with what people have in them.
    pub may_lose: Vec<String>,
}

/// What an upgrade decides from.
pub struct Seen {
    from: ReleaseId,
    /// The end of the way.
    to: ReleaseId,
    /// The releases on the way that are planned at once; none where nothing is to be done.
    stops: Vec<Stop>,
    snapshot: Option<(Snapshot, u64)>,
    /// The makers' notes that concern this deployment.
    notes: Vec<String>,
    /// What was measured of this upgrade, or of another one.
    measured: Option<Measured>,
    /// How long people will wait, in words.
    wait: Option<String>,
}

impl Seen {
    /// The release that runs.
    pub(super) fn from(&self) -> &ReleaseId {
        &self.from
    }

    /// The next stop; `None` where nothing is to be done.
    pub(super) fn stop(&self) -> Option<&ReleaseId> {
        self.stops.first().map(|stop| &stop.settled.release)
    }

    /// Where the tarball of the next stop is, or will be; `None` = the built-in release of this Mainstay. And its edition, where it is
    /// another than the one that runs.
    pub(super) fn tarball(&self) -> (Option<PathBuf>, Option<String>) {
        let Some(stop) = self.stops.first() else { return (None, None) };
        let tarball = match &stop.origin {
            Origin::File { path } => Some(path.clone()),
            Origin::Published { wish, cache } => Some(Cache::at(cache).tarball(&wish.file())),
            Origin::Builtin | Origin::Download { .. } => None,
        };
        let edition = stop.settled.release.edition;
        (tarball, (edition != self.from.edition).then(|| edition.to_string()))
    }

    /// Whether the data is in a database on a server, managed or not.
    pub(super) fn is_on_a_server(&self) -> bool {
        self.stops.first().is_some_and(|stop| stop.settled.location != Location::File)
    }

    /// Where the data is, if the next stop moves it to another database.
    pub(super) fn moves_from(&self) -> Option<&Location> {
        self.stops.first()?.settled.moving.as_ref().map(|moving| &moving.from)
    }

    /// Settings that are right and do not do what they say with the release of the next stop.
    pub(super) fn notices(&self) -> &[settings::Notice] {
        self.stops.first().map(|stop| stop.settled.resolved.notices()).unwrap_or_default()
    }
}

/// What an upgrade came to.
#[derive(Debug, Clone, Serialize)]
pub struct Upgraded {
    /// The release before.
    pub from: String,
    /// The release now.
    pub release: String,
    /// The end of the way; the same, unless there are more stops.
    pub to: String,
    /// Whether anything had to be changed.
    pub changed: bool,
    /// What is kept of the release before, for `rollback`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<KeptState>,
    /// Where the old database is kept, where the data was moved out of one in the deployment's own directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left: Option<PathBuf>,
    /// What was compared with before, and what of it the release removed on purpose; `None` where nothing was changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compared: Option<Compared>,
    /// When the acceptance test last passed, in ms since the epoch.
    pub verified_at: Option<i64>,
    /// Settings that are right and do not do what they say with the new release.
    pub notices: Vec<settings::Notice>,
    /// What works and yet is not as it should be.
    pub warnings: Vec<String>,
}

impl Operation for Upgrade {
    const NAME: &'static str = UPGRADE;
    type Seen = Seen;
    type Report = Upgraded;

    async fn look(&self, world: &World, mut looking: Looking<'_>) -> Result<Seen, Error> {
        let layout = &world.layout;
        ground(layout)?;
        refuse_not_installed(layout)?;
        if layout.place().image_decides_release() {
            return Err(Error::new(Exit::Refused, "in a container the image decides the release").hint(
                "replace the container by one of a newer image, with the same volume: its start migrates the database",
            ));
        }
        let from = release::current(&layout.current())
            .ok_or_else(|| Error::not_ready("the link to the active release leads to none"))?;
        let origin = self.origin(world, &from)?;
        let settled = self.settle(world, &origin, looking.only_shown)?;
        let to = settled.release.clone();
        let store = store(world, &settled.location).await?;
        let catalogue = Catalogue::known(&Cache::at(&world.cache));
        refuse_loss(&from, &to, self.accepts_loss)?;
        let way = match release::journey(&from, &to, store, self.every_extended, &catalogue) {
            // Nobody has asked for that release.
            Err(NoWay::Older { .. }) if self.release.is_none() && self.stays(&from) => Vec::new(),
            way => way.map_err(|none| no_way(world, &to, &none))?,
        };
        let notes = notes(&from, &to, store, &settled);
        let mut end = Some((settled, origin));
        let mut stops: Vec<Stop> = Vec::new();
        for leg in way {
            let (version, why) = match stop(leg) {
                Ok(stop) => stop,
                // What has to be done by hand comes after the stops that are planned now.
                Err(_) if !stops.is_empty() => break,
                Err(refused) => return Err(refused),
            };
            let is_end = version.numbers() == to.version.numbers();
            let (settled, origin) = match end.take_if(|_| is_end) {
                Some(end) => end,
                None => {
                    let release = ReleaseId { version, edition: to.edition };
                    let origin = published(world, &release)?;
                    (self.settle(world, &origin, looking.only_shown)?, origin)
                }
            };
            let mut settled = settled;
            prepare(layout, &mut settled, &Way::default(), &from).await?;
            let mut observed = observe(world, &settled, None, false, &mut looking.patience).await?;
            match settled.moving {
                Some(_) => refuse_filled(&settled.location, &observed)?,
                None => refuse_lost(layout, &settled, &observed)?,
            }
            preflight::check(layout, &settled, &observed)?;
            if let Some(before) = stops.last() {
                observed = after(observed, before, layout);
            }
            // Once the data is elsewhere, the rest of the way is planned from there.
            let goes_on = can_go_on(&observed) && settled.moving.is_none();
            stops.push(Stop { settled, observed, origin, why });
            if !goes_on {
                break;
            }
        }
        let reaches = stops.last().is_none_or(|stop| stop.settled.release == to);
        if self.all_or_nothing && !reaches {
            return Err(Error::new(Exit::Refused, "the way cannot be gone all or nothing: a stop on it has to be reached first")
                .hint("start the deployment with `mainstay up` if it does not run; `mainstay release path FROM TO` has the whole way"));
        }
        let to = if stops.is_empty() { from.clone() } else { to };
        let takes_snapshot = !stops.is_empty() && !self.without_snapshot;
        let snapshot = match takes_snapshot {
            true => snapshot_first(world, format!("before the upgrade from {from} to {to}")).await?,
            false => None,
        };
        let measured = match stops.last() {
            Some(stop) => Measured::of(layout, &from.to_string(), &stop.settled.release.to_string()).await,
            None => None,
        };
        let mut seen = Seen { from, to, stops, snapshot, notes, measured, wait: None };
        let steps = self.plan(world, &seen).map(|plan| plan.steps).unwrap_or_default();
        seen.wait = downtime(&steps).map(|ms| in_words(ms, seen.measured.as_ref()));
        Ok(seen)
    }

    fn plan(&self, world: &World, seen: &Seen) -> Result<Plan<Action>, Error> {
        let Some(Stop { settled, observed, .. }) = seen.stops.last() else {
            return Ok(Plan::new(Self::NAME, format!("Upgrade from {}", seen.from), Vec::new()));
        };
        let layout = &world.layout;
        let steps = seen.stops.iter().map(|stop| stop.steps(layout)).collect();
        let mut steps = with_snapshot(in_one(steps, self.all_or_nothing), seen.snapshot.clone());
        let_go(&mut steps, &self.may_lose);
        if let Some(measured) = &seen.measured {
            measured.put_into(&mut steps);
        }
        let (from, to, dir) = (&seen.from, &settled.release, layout.root().display());
        let before_it = &names(&seen.stops)[..seen.stops.len() - 1];
        let by_way_of = match before_it.is_empty() {
            true => String::new(),
            false => format!(
                " by way of {}",
                before_it.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
            ),
        };
        let stop = if *to == seen.to { String::new() } else { format!(", a stop on the way to {}", seen.to) };
        let plan =
            Plan::new(Self::NAME, format!("Upgrade {dir} from {from} to {to}{by_way_of}{stop}"), steps);
        match plan.check() {
            Err(PlanError::NoSnapshot { .. }) if self.without_copy => {
                Ok(plan.without_snapshot("it was allowed to go without one"))
            }
            Err(PlanError::NoSnapshot { .. }) => {
                let otherwise =
                    "make a backup of the database, then say `--without-copy`; nothing has been changed";
                let (why, hint) = match &observed.database.immovable {
                    None => (String::new(), otherwise.to_owned()),
                    Some(found) => (format!(" ({})", found.what), format!("{}; or {otherwise}", found.fix)),
                };
                let what = format!(
                    "Mainstay does not run {}, and keeps no copy of it{why}, so this upgrade could not be undone",
                    settled.location
                );
                Err(Error::new(Exit::Refused, what).hint(hint))
            }
            _ => Ok(plan),
        }
    }

    async fn report(&self, world: &World, seen: Seen, changed: bool) -> Result<Upgraded, Error> {
        host::disk::remove_tree(&world.layout.unneeded())?;
        let Seen { from, to, mut stops, .. } = seen;
        let newest = kept_states(&world.layout)?.into_iter().next();
        let kept = newest.filter(|kept| {
            changed && kept.next == stops.last().map_or(&from, |stop| &stop.settled.release).clone()
        });
        let left = stops.iter().filter_map(|stop| stop.settled.moving.as_ref()).next_back();
        let left = left.filter(|moving| changed && moving.from == Location::File);
        let left = left.map(|moving| world.layout.set_aside().join(&moving.into));
        let (release, notices, warnings) = match stops.pop() {
            Some(Stop { settled, observed, .. }) => (
                settled.release,
                settled.resolved.notices().to_vec(),
                settled.remarks.into_iter().chain(observed.database.warnings).collect(),
            ),
            None => (from.clone(), Vec::new(), Vec::new()),
        };
        Ok(Upgraded {
            from: from.to_string(),
            release: release.to_string(),
            to: to.to_string(),
            changed,
            kept,
            left,
            compared: if changed { compared(&world.layout).await? } else { None },
            verified_at: last_pass(&world.layout),
            notices,
            warnings,
        })
    }

    fn tests_after_undo(&self) -> bool {
        true
    }

    fn hooked(&self, seen: &Seen) -> Option<Hooked> {
        let last = seen.stops.last()?;
        Some(Hooked { old: seen.from.to_string(), new: last.settled.release.to_string() })
    }

    /// It begins with the hand-over to this program.
    fn may_follow_another_build(&self) -> bool {
        true
    }

    fn remarks(&self, seen: &Seen) -> Vec<String> {
        let Some(last) = seen.stops.last() else { return Vec::new() };
        let why = seen.stops.iter().filter(|stop| !stop.why.is_empty()).map(|stop| {
            format!(
                "{} is a stop because it {}; the way goes on to {} after it",
                stop.settled.release, stop.why, seen.to
            )
        });
        let room = last.observed.database.to_keep.map(|bytes| {
            format!(
                "what is kept of the present state takes {}, and stays for `mainstay rollback` until the next upgrade",
                size(bytes)
            )
        });
        let moves = seen.moves_from().map(|from| {
            format!("the data moves from {from} on the way, and `mainstay rollback` does not go back over that: what the old database has is kept until `mainstay database prune`")
        });
        let without = (seen.snapshot.is_none() && !self.without_snapshot).then(|| NONE.to_owned());
        let lost = lost(seen.from.edition, seen.to.edition)
            .iter()
            .map(|line| format!("lost with this edition: {line}"));
        let notes = seen.notes.iter().cloned();
        last.settled
            .remarks
            .iter()
            .cloned()
            .chain(why)
            .chain(room)
            .chain(moves)
            .chain(without)
            .chain(lost)
            .chain(notes)
            .chain(seen.wait.clone())
            .collect()
    }

    fn wait(&self) -> Duration {
        self.wait.unwrap_or(Duration::from_secs(10))
    }
}

impl Upgrade {
    /// Where the release at the end of the way comes from.
    fn origin(&self, world: &World, from: &ReleaseId) -> Result<Origin, Error> {
        if let Some(path) = &self.release {
            return Ok(Origin::File { path: path.clone() });
        }
        let wanted = wanted_file(&world.layout)?;
        // One that the file was given since is what is wanted. Entry and Enterprise are one tarball.
        let in_file = wanted.get("edition").and_then(|text| text.parse::<Edition>().ok());
        let in_file = in_file.filter(|edition| *edition != Edition::Builtin);
        let edition = self.edition.or(in_file).unwrap_or(from.edition);
        if edition == Edition::Builtin {
            return self.builtin(from);
        }
        let text = self.to.as_deref().or_else(|| wanted.get("version"));
        let channel: Channel = match text {
            Some(text) => text
                .parse()
                .map_err(|error: release::ReleaseError| Error::new(Exit::Usage, error.to_string()))?,
            None => Channel::Extended,
        };
        published(world, &offered(&channel, edition, &Cache::at(&world.cache))?)
    }

    /// Whether what runs is what was asked for, or nothing was.
    fn stays(&self, from: &ReleaseId) -> bool {
        self.to.as_ref().is_none_or(|to| *to == from.version.to_string())
    }

    /// The built-in server of this Mainstay, where no other version was asked for.
    fn builtin(&self, from: &ReleaseId) -> Result<Origin, Error> {
        let own = release::builtin().version.to_string();
        let is_other = |to: &&String| {
            let names_version = to.starts_with(|first: char| first.is_ascii_digit());
            names_version && **to != own && !own.starts_with(&format!("{to}."))
        };
        let Some(to) = self.to.as_ref().filter(is_other).filter(|to| **to != from.version.to_string()) else {
            return Ok(Origin::Builtin);
        };
        Err(Error::new(Exit::Usage, format!("this Mainstay has the built-in server {own}, and not {to}")).hint(
            "name the tarball of another built-in server with `--release`; `--edition team` goes to an official release",
        ))
    }

    /// What the deployment is to be with that release.
    fn settle(&self, world: &World, origin: &Origin, only_shown: bool) -> Result<Settled, Error> {
        let mut flags = BTreeMap::new();
        flags.extend(self.edition.map(|edition| ("edition", edition.to_string())));
        if self.release.is_some() {
            flags.extend(self.to.clone().map(|to| ("version", to)));
        }
        settle(
            world,
            &flags,
            Source { origin: Some(origin), only_shown, upgrades: true, ..Source::default() },
        )
    }
}

/// A release that its makers publish: from the cache or their site.
fn published(world: &World, release: &ReleaseId) -> Result<Origin, Error> {
    let arch = Arch::here();
    release::check_machine(release, arch, host::glibc())
        .map_err(|unmet| Error::not_ready(unmet.to_string()).hint(unmet.hint()))?;
    let cache = Cache::at(&world.cache);
    let sources = sources(&wanted_file(&world.layout)?)?;
    let wish = arch.and_then(|arch| Wish::of(release, arch, &Catalogue::known(&cache), &sources));
    let wish =
        wish.ok_or_else(|| Error::not_ready(format!("nobody publishes {release} for this machine")))?;
    Ok(Origin::Published { wish, cache: world.cache.clone() })
}

/// The makers' notes that concern this deployment, a line each.
fn notes(from: &ReleaseId, to: &ReleaseId, store: Store, settled: &Settled) -> Vec<String> {
    let config = settled.config.config.as_ref();
    let circumstances = Circumstances { edition: to.edition, store, config };
    let applies = |bearing: &Bearing| *bearing == Bearing::Applies;
    let notes = release::notes(from, to, circumstances).into_iter().filter(|(_, bearing)| applies(bearing));
    notes
        .map(|(note, _)| {
            let stops = if note.stops_the_server { " (it does not start before that is done)" } else { "" };
            format!("from {} on: {}{stops}", note.since(), note.what)
        })
        .collect()
}

/// The release of the next leg, and why it is not the last one.
fn stop(leg: Leg) -> Result<(version::Version, String), Error> {
    let refused = |what: String, why: String, how: &str| {
        Error::new(Exit::Refused, format!("first {what}: {why}")).hint(format!(
            "{how}; `mainstay release path FROM TO` has the whole way; run this again after that"
        ))
    };
    match leg {
        Leg::Release { version, why } => Ok((version, why)),
        Leg::Postgres { to, why } => Err(refused(
            format!("bring PostgreSQL to {to}"),
            why,
            &format!("`mainstay database upgrade --to {to}` does it for one that Mainstay runs"),
        )),
        Leg::Mysql { to, why } => {
            Err(refused(format!("bring MySQL to {to}"), why, "its own manual says how"))
        }
        Leg::MoveToPostgres { to, why } => Err(refused(
            format!("move the data to PostgreSQL {to}"),
            why,
            "`mainstay database move` does it (docs/move-database.md)",
        )),
    }
}

/// Which database holds the data.
async fn store(world: &World, location: &Location) -> Result<Store, Error> {
    match location {
        Location::File => Ok(Store::Sqlite),
        // It need not run for that.
        Location::Managed(_) => {
            let path = world.env.get("PATH").map(String::as_str).unwrap_or_default();
            // One that is still to be made is made by the newest.
            let newest = || installations(path).first().map_or(0, |newest| newest.major);
            Ok(Store::Postgres(Record::read(&world.layout)?.map_or_else(newest, |record| record.major)))
        }
        Location::Server(server) => readiness::store(server).await,
    }
}

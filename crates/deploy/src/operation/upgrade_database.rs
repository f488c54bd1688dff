//! `database upgrade`: the managed PostgreSQL becomes one of another major version.
//!
//! A new cluster is made beside the old one, filled from it while the server is stopped and requests wait at the edge, compared, and
//! exchanged for it. The old one is only read, and kept until `database prune`: so every undo is a return to it.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use database::cluster::Installation;
use plan::Plan;
use serde::Serialize;

use super::runner::{Looking, Operation};
use super::verify::refuse_not_installed;
use crate::action::{
    Action, ClusterCopy, ClusterExchange, Furnish, Postgres, Switch, fitting, refuse_uncopied, size,
};
use crate::control::protocol::Status;
use crate::error::{Error, Exit};
use crate::part::database::cluster::connections;
use crate::part::database::startable::check_restart;
use crate::part::edge::held;
use crate::part::identity::refuse_gone_files;
use crate::part::server::Server;
use crate::part::{Part as _, test_step};
use crate::place::ground::ground;
use crate::place::layout::Layout;
use crate::place::postgres::installations;
use crate::state::cluster::Record;
use crate::state::kept_database::{LeftDatabase, fresh_name};
use crate::state::location::Location;
use crate::state::report::last_pass;
use crate::state::settled::{Settled, settle};
use crate::state::which_release::Source;
use crate::state::words::UPGRADE_DATABASE;
use crate::world::World;

/// Brings the managed PostgreSQL to another major version.
#[derive(Debug, Clone, Default)]
pub struct UpgradeDatabase {
    /// Which; `None` = the newest one on this machine.
    pub to: Option<u32>,
    /// Whether the cluster is made anew even if it is of that version already.
    pub rebuild: bool,
}

/// What it decides from.
pub struct Seen {
    settled: Settled,
    record: Record,
    /// What is to be done; `None` where it is of that version already.
    next: Option<Next>,
}

/// The new PostgreSQL, and what runs now.
struct Next {
    running: Status,
    installation: Installation,
    bytes: u64,
    into: String,
}

/// What it came to.
#[derive(Debug, Clone, Serialize)]
pub struct UpgradedDatabase {
    /// Whether anything was changed.
    pub changed: bool,
    /// The major version before.
    pub from: u32,
    /// The major version now.
    pub to: u32,
    /// What was copied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved: Option<LeftDatabase>,
    /// Where the old cluster is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<PathBuf>,
    /// When the acceptance test last passed, in ms since the epoch.
    pub verified_at: Option<i64>,
}

impl Operation for UpgradeDatabase {
    const NAME: &'static str = UPGRADE_DATABASE;
    type Seen = Seen;
    type Report = UpgradedDatabase;

    async fn look(&self, world: &World, looking: Looking<'_>) -> Result<Seen, Error> {
        let layout = &world.layout;
        ground(layout)?;
        refuse_not_installed(layout)?;
        refuse_gone_files(layout).await?;
        let source = Source { only_shown: looking.only_shown, ..Source::default() };
        let settled = settle(world, &BTreeMap::new(), source)?;
        if !matches!(settled.location, Location::Managed(_)) {
            let what =
                format!("the data is in {}, which is no PostgreSQL that Mainstay runs", settled.location);
            let hint = match settled.location {
                Location::File => "`mainstay database move --to managed` moves it into one",
                _ => "upgrade that server with its own tools; then `mainstay up`",
            };
            return Err(Error::new(Exit::Refused, what).hint(hint));
        }
        let record = Record::read(layout)?.ok_or_else(|| {
            Error::not_ready("there is no PostgreSQL cluster").hint("`mainstay up` says what is gone")
        })?;
        let path = world.env.get("PATH").map(String::as_str).unwrap_or_default();
        let installation = chosen(&installations(path), record.major, self.to)?;
        if installation.major == record.major && !self.rebuild {
            return Ok(Seen { settled, record, next: None });
        }
        fitting(std::slice::from_ref(&installation), &settled.release)?;
        let running = world.agent.status().await?;
        let answers = |status: &Status| status.postgres().is_some_and(|postgres| postgres.pid.is_some());
        let Some(running) = running.filter(answers) else {
            return Err(Error::not_ready("PostgreSQL does not run, and only a running one can be copied")
                .hint("run `mainstay up`, then the same command again; nothing has been changed"));
        };
        refuse_uncopied(layout).await?;
        if let Some(config) = settled.config.config.as_ref().filter(|_| running.server().is_some()) {
            check_restart(world, &running, config, false).await?;
        }
        refuse_mounted(layout)?;
        let bytes = host::directory::size(&layout.postgres_data())?;
        refuse_without_room(layout, bytes)?;
        Ok(Seen { settled, record, next: Some(Next { running, installation, bytes, into: fresh_name() }) })
    }

    fn plan(&self, world: &World, seen: &Seen) -> Result<Plan<Action>, Error> {
        let (layout, from) = (&world.layout, seen.record.major);
        let Some(Next { running, installation, bytes, into }) = &seen.next else {
            return Ok(Plan::new(Self::NAME, format!("PostgreSQL {from} stays"), Vec::new()));
        };
        let to = installation.major;
        let title =
            format!("Bring the database of {} from PostgreSQL {from} to {to}", layout.root().display());
        let spec = running.postgres().map(|postgres| postgres.spec.clone());
        let Some(spec) = spec else { return Err(Error::new(Exit::Bug, "PostgreSQL does not run")) };
        let (user, into, connections) = (spec.user.clone(), into.clone(), connections(&seen.settled));
        let copy =
            ClusterCopy { from, to, user: user.clone(), connections, into: into.clone(), bytes: *bytes };
        let exchange = ClusterExchange { from, to, bin: seen.record.bin.clone(), user, connections, into };
        let server = Server.stop(running).zip(Server.start_again(running));
        let (stop, start) = server.unzip();
        let mut steps: Vec<_> = stop.into_iter().collect();
        steps.push(copy.step(layout));
        steps.push(Postgres { switch: Switch::Off, spec: spec.clone(), for_copy: false }.step());
        steps.push(exchange.step());
        steps.push(Postgres { switch: Switch::On, spec, for_copy: false }.step());
        steps.push(Furnish {}.step());
        if let Some(start) = start {
            steps.extend([start, test_step(&seen.settled.desired)]);
        }
        Ok(Plan::new(Self::NAME, title, held(steps, running)))
    }

    async fn report(&self, world: &World, seen: Seen, changed: bool) -> Result<UpgradedDatabase, Error> {
        let layout = &world.layout;
        let from = seen.record.major;
        let (to, into) = match &seen.next {
            Some(next) => (next.installation.major, Some(next.into.clone())),
            None => (from, None),
        };
        let moved = into.as_deref().map(|into| LeftDatabase::read(layout, into)).transpose()?.flatten();
        let kept = into.map(|into| layout.set_aside().join(into));
        Ok(UpgradedDatabase { changed, from, to, moved, kept, verified_at: last_pass(layout) })
    }

    fn tests_after_undo(&self) -> bool {
        true
    }
}

/// The PostgreSQL that is wanted: by its number, or the newest.
fn chosen(found: &[Installation], now: u32, wanted: Option<u32>) -> Result<Installation, Error> {
    let majors: Vec<String> = found.iter().map(|there| there.major.to_string()).collect();
    let there = if majors.is_empty() { "none".to_owned() } else { majors.join(", ") };
    let chosen = match wanted {
        Some(major) => found.iter().find(|there| there.major == major),
        None => found.first(),
    };
    let Some(chosen) = chosen else {
        let major = wanted.map_or_else(|| "N".to_owned(), |major| major.to_string());
        return Err(Error::not_ready(format!("PostgreSQL {major} is not installed on this machine (installed: {there})")).hint(format!(
            "install it beside the present one: `apt-get install --no-install-recommends postgresql-{major}` or `dnf install \
             postgresql{major}-server` (apt.postgresql.org and yum.postgresql.org have all versions); nothing has been changed"
        )));
    };
    if chosen.major < now {
        let older = chosen.major;
        return Err(Error::new(
            Exit::Refused,
            format!("the database is of PostgreSQL {now}, and {older} is older: data goes to a newer version alone"),
        )
        .hint(format!("install a newer PostgreSQL beside it (installed: {there}); nothing has been changed")));
    }
    Ok(chosen.clone())
}

/// Refuses data that cannot be moved aside.
fn refuse_mounted(layout: &Layout) -> Result<(), Error> {
    let device = |path: PathBuf| std::fs::symlink_metadata(path).ok().map(|meta| meta.dev());
    let root = device(layout.root().to_owned());
    match [layout.postgres(), layout.postgres_data()].into_iter().find(|path| device(path.clone()) != root) {
        None => Ok(()),
        Some(path) => Err(Error::new(
            Exit::Refused,
            format!("{} is a file system of its own, which cannot be moved aside", path.display()),
        )
        .hint(format!("upgrade it with PostgreSQL's own `pg_upgrade` while the deployment is down (docs/databases.md); {NOTHING}"))),
    }
}

const NOTHING: &str = "nothing has been changed";

/// Refuses what would fill the disk: the new cluster, and the dump meanwhile, which is smaller than its tables.
fn refuse_without_room(layout: &Layout, bytes: u64) -> Result<(), Error> {
    const MARGIN: u64 = 256 << 20;
    let needed = bytes + bytes / 2 + MARGIN;
    let free = host::disk::free(layout.root())?.bytes;
    if free >= needed {
        return Ok(());
    }
    let what = format!(
        "a second cluster needs about {} in {}, and {} are free",
        size(needed),
        layout.root().display(),
        size(free)
    );
    Err(Error::not_ready(what).hint(format!("free some space there; {NOTHING}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_is_taken_and_an_older_or_missing_one_refused() {
        let there =
            |major: u32| Installation { major, bin: format!("/usr/lib/postgresql/{major}/bin").into() };
        let found = [there(17), there(15), there(13)];
        assert_eq!(chosen(&found, 15, None).expect("the newest").major, 17);
        assert_eq!(chosen(&found, 15, Some(15)).expect("the same").major, 15);
        let old = chosen(&found, 15, Some(13)).expect_err("older");
        assert!(old.exit == Exit::Refused && old.what.contains("13 is older"), "{old}");
        let missing = chosen(&found, 15, Some(16)).expect_err("missing");
        assert!(missing.what.contains("installed: 17, 15, 13"), "{missing}");
        assert!(missing.hint.is_some_and(|hint| hint.contains("postgresql-16")));
    }
}

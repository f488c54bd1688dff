//! What a plan has to do about the database, decided from data.

use ::database::Lacking;
use plan::Step;

use super::cluster;
use crate::action::{self, Action};
use crate::control::protocol::Status;
use crate::error::{Error, Exit};
use crate::part::{Observed, Part, Stage, View};
use crate::place::layout::Layout;
use crate::place::postgres;
use crate::state::location::Location;
use crate::state::moving::Moving;
use crate::state::restoring::Restoring;
use crate::state::settled::Settled;

/// Whether what is asked for would leave the data behind.
///
/// # Errors
/// A deployment has its data in one database, and another one is named, in which nothing is.
pub(crate) fn check_moved(settled: &Settled, observed: &Observed) -> Result<(), Error> {
    let elsewhere = settled.before.as_ref().filter(|before| !before.is(&settled.location));
    match elsewhere.filter(|_| observed.release.current.is_some() && !observed.database.exists) {
        None => Ok(()),
        Some(before) => Err(Error::new(
            Exit::Refused,
            format!(
                "the data is in {before}, and {} is empty: people would find an empty Mattermost",
                settled.location
            ),
        )
        .hint(
            "`mainstay database move` moves the data there; or install another deployment with `--dir`. Nothing has been changed",
        )),
    }
}

pub(crate) struct Database;

impl Part for Database {
    fn name(&self) -> &'static str {
        "database"
    }

    /// The schema is brought up to date with every release that becomes the current one.
    fn steps(&self, stage: Stage, view: &View<'_>) -> Vec<Step<Action>> {
        let Settled { desired, release, location, .. } = view.settled;
        let (seen, current) = (&view.observed.database, view.observed.release.current.as_ref());
        let cluster = seen.cluster.as_ref();
        let mut steps = cluster.map(|cluster| cluster::steps(stage, view, cluster)).unwrap_or_default();
        let comes_back = view.settled.returning.is_some();
        if stage == Stage::Prepare && view.migrates() && !comes_back {
            steps.push(action::Pending { release: release.clone(), user: desired.user.clone() }.step());
        }
        if stage == Stage::Keep && view.migrates() {
            let seconds = seen.to_keep.unwrap_or_default() / COPIED;
            let has_database = view.changes_database() && !matches!(location, Location::Server(_));
            let snapshot = match view.changes_database() {
                true => kept(view.layout, view.settled),
                false => kept_without_database(view.layout, view.settled),
            };
            let what = if has_database { KEPT } else { KEPT_OF_SERVER };
            steps.push(snapshot.step(what, 100 + seconds * 1000));
            if seen.can_be_dumped && view.changes_database() {
                steps.push(action::KeptDump {}.step());
            }
        }
        if let Some(moving) = &view.settled.moving {
            match stage {
                Stage::Keep if current.is_some_and(|current| current != release) => {
                    steps.push(kept_files(view.settled).step(KEPT_OF_SERVER, 100));
                }
                // What it has kept no longer names the old database.
                Stage::Record if moving.from == Location::File => {
                    let names = FILES.map(|end| format!("data/mattermost.db{end}")).to_vec();
                    let aside = action::SetAside { names, volume: Vec::new(), into: moving.into.clone() };
                    steps.push(aside.step());
                }
                _ => {}
            }
        }
        if stage != Stage::Change {
            return steps;
        }
        steps.extend(created(view));
        if let Some(restoring) = &view.settled.restoring {
            steps.extend(restored(view, restoring));
            return steps;
        }
        if let Some(moving) = &view.settled.moving {
            steps.extend(moved(view, moving));
            return steps;
        }
        if comes_back {
            return steps;
        }
        if !seen.exists || current != Some(release) {
            let (user, external) = (desired.user.clone(), *location != Location::File);
            let (release, dumped) = (release.clone(), view.migrates() && seen.can_be_dumped);
            let action = action::Database {
                release,
                user,
                fresh: !seen.exists,
                external,
                dumped,
                in_new_cluster: false,
            };
            steps.extend(view.changes_schema().then(action::Census::step));
            let copied = view.migrates() && !matches!(location, Location::Server(_));
            steps.push(action.step(location, current, copied));
        }
        steps
    }

    fn stop(&self, running: &Status) -> Option<Step<Action>> {
        running.postgres().map(cluster::stop)
    }

    fn start_again(&self, running: &Status) -> Option<Step<Action>> {
        running.postgres().map(cluster::start_again)
    }
}

/// What is copied, in words.
const KEPT: &str = "the database, config.json and the plugins";
const KEPT_OF_SERVER: &str = "config.json and the plugins";

/// How many bytes a second a disk copies, for an estimate.
const COPIED: u64 = 200 << 20;

/// What a migration changes, but for a database that Mainstay does not run.
pub(crate) fn kept(layout: &Layout, settled: &Settled) -> action::KeptCopy {
    let Settled { desired, location, .. } = settled;
    let tree = |name: &str, user: Option<String>| action::Kept { name: name.to_owned(), user };
    let mut trees = kept_files(settled).trees;
    let sqlite = match location {
        Location::File => Some(tree("data", desired.user.clone())),
        Location::Managed(_) => {
            trees.push(tree(postgres::DIRECTORY, cluster::spec(layout, settled).user));
            None
        }
        Location::Server(_) => None,
    };
    action::KeptCopy { trees, sqlite }
}

/// The same where the database stays as it is.
pub(crate) fn kept_without_database(layout: &Layout, settled: &Settled) -> action::KeptCopy {
    let action::KeptCopy { mut trees, .. } = kept(layout, settled);
    trees.retain(|tree| tree.name != postgres::DIRECTORY);
    action::KeptCopy { trees, sqlite: None }
}

/// The tables of the installed release in another database, the rows that it had, and what another release makes of them.
fn moved(view: &View<'_>, moving: &Moving) -> Vec<Step<Action>> {
    let Settled { desired, release, location, .. } = view.settled;
    let current = view.observed.release.current.as_ref().unwrap_or(release);
    let is_new = view.observed.database.cluster.as_ref().is_some_and(|cluster| !cluster.made);
    let tables = |release: &::release::ReleaseId, fresh| {
        let (release, user) = (release.clone(), desired.user.clone());
        let in_new_cluster = fresh && is_new;
        let action = action::Database { release, user, fresh, external: true, dumped: false, in_new_cluster };
        // What it migrates is a copy: the old database is the way back.
        action.step(location, Some(current), !fresh)
    };
    let mut steps = vec![tables(current, true), action::Moving::of(moving).step(&moving.from, location)];
    if current != release {
        // What was moved is counted, where the other release finds it.
        steps.extend([action::Census::step(), tables(release, false)]);
    }
    steps
}

/// The ends of the names of an SQLite database's files.
const FILES: [&str; 3] = ["", "-wal", "-shm"];

/// What another release changes beside the database.
fn kept_files(settled: &Settled) -> action::KeptCopy {
    let tree = |name: &str| action::Kept { name: name.to_owned(), user: settled.desired.user.clone() };
    action::KeptCopy { trees: ["config", "plugins", "client-plugins"].map(tree).into(), sqlite: None }
}

/// User and database on a server, where they are missing and somebody may create them.
fn created(view: &View<'_>) -> Option<Step<Action>> {
    let Location::Server(server) = &view.settled.location else { return None };
    let Lacking { user, database } = view.observed.database.lacking?;
    let (release, creation) = (view.settled.release.clone(), view.creation?.clone());
    Some(action::CreateDatabase { release, creation, user, database }.step(server))
}

/// What a server's database gets from a snapshot; a file is exchanged with the other files. An older release's is migrated.
fn restored(view: &View<'_>, restoring: &Restoring) -> Vec<Step<Action>> {
    let Settled { desired, release, location, .. } = view.settled;
    let external = *location != Location::File;
    let mut steps = Vec::new();
    if external {
        if view.observed.database.exists {
            steps.push(action::DatabaseAside { schema: restoring.schema() }.step());
        }
        steps.push(action::Loading { bytes: restoring.dump }.step(location));
    }
    if restoring.release != *release {
        let action = action::Database {
            release: release.clone(),
            user: desired.user.clone(),
            fresh: false,
            external,
            dumped: false,
            in_new_cluster: false,
        };
        steps.push(action::Census::step());
        steps.push(action.step(location, Some(&restoring.release), false));
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::up::tests::{finished, nothing, settled};
    use ::plan::Undo;

    use crate::part::configuration::ConfigChange;
    use crate::part::converging;
    use crate::state::creation::Creation;

    fn on_postgres(root: bool, before: Option<Location>) -> Settled {
        let host = dsn::Host::Name("db".to_owned());
        let mut server = dsn::Server::new(dsn::Engine::Postgres, host);
        (server.name, server.user, server.password) = ("chat".into(), "mm".into(), "hunter2".into());
        Settled { location: Location::Server(Box::new(server)), before, ..settled(root, None) }
    }

    fn of(settled: &Settled, creation: Option<&Creation>, observed: &Observed) -> Vec<(String, Undo)> {
        let layout = Layout::new("/srv/chat");
        let view = View { layout: &layout, settled, observed, creation, origin: &release::Origin::Builtin };
        let steps = Database.steps(Stage::Change, &view);
        assert!(!serde_json::to_string(&steps).expect("JSON").contains("hunter2"));
        steps.into_iter().map(|step| (step.title, step.undo)).collect()
    }

    #[test]
    fn a_missing_database_is_created_before_its_tables_and_only_when_asked() {
        let settled = on_postgres(false, None);
        let create = Some(&Creation::Variable);
        let lacking = |user, database| {
            let mut observed = nothing();
            observed.database.lacking = Some(Lacking { user, database });
            observed
        };
        let steps = of(&settled, create, &lacking(true, true));
        assert_eq!(steps[0].0, "Create user mm and database chat on db:5432");
        assert_eq!(steps[1].0, "Create the tables in postgres://mm:***@db:5432/chat");
        assert_eq!(of(&settled, create, &lacking(false, true))[0].0, "Create database chat on db:5432");
        assert_eq!(of(&settled, create, &nothing()).len(), 1, "it is there");
    }

    #[test]
    fn the_schema_is_brought_up_to_date_with_a_release_and_not_undone_where_it_was_there() {
        let settled = on_postgres(false, None);
        let mut installed = nothing();
        installed.database.exists = true;
        let [(title, undo)] = &of(&settled, None, &installed)[..] else { panic!("one step") };
        assert!(
            title.starts_with("Bring the database to 11.6.0") && matches!(undo, Undo::Impossible(_)),
            "{title}"
        );
        assert_eq!(of(&settled, None, &finished()), []);
    }

    #[test]
    fn rows_go_over_after_the_tables_are_there_and_before_anybody_is_let_in() {
        let moving =
            Moving { from: Location::File, way: Default::default(), rows: 7, into: "then".to_owned() };
        let settled = Settled { moving: Some(moving), ..on_postgres(false, Some(Location::File)) };
        let mut observed = finished();
        observed.database.exists = false;
        observed.config = ConfigChange::Changes;
        let layout = Layout::new("/srv/chat");
        let steps = |settled: &Settled, observed: &Observed| {
            let origin = &release::Origin::Builtin;
            converging(&View { layout: &layout, settled, observed, creation: None, origin })
        };
        let in_order = |steps: &[Step<Action>], expected: &[&str]| {
            let names: Vec<&str> = steps.iter().map(|step| step.name.as_str()).collect();
            let at = |name: &&str| {
                names.iter().position(|step| step == name).unwrap_or_else(|| panic!("{name}: {names:?}"))
            };
            assert!(expected.iter().map(at).is_sorted(), "{names:?}");
        };
        let moved = steps(&settled, &observed);
        let expected = [
            "hold",
            "stop-server",
            "configuration",
            "database",
            "move",
            "server",
            "acceptance",
            "set-aside",
            "identity",
            "admit",
        ];
        in_order(&moved, &expected);
        ::plan::Plan::new("move", "", moved).check().expect("it can be undone");
        // With another release, what that migrates is what was moved.
        observed.release.current = "11.5.0+0.0.9-builtin".parse().ok();
        let upgraded = steps(&settled, &observed);
        in_order(
            &upgraded,
            &[
                "stop-server",
                "copy",
                "database",
                "move",
                "count",
                "migration",
                "server",
                "acceptance",
                "compare",
                "admit",
            ],
        );
        ::plan::Plan::new("upgrade", "", upgraded).check().expect("the old database is the way back");
    }

    #[test]
    fn data_is_not_left_behind_for_an_empty_database() {
        let mut empty = finished();
        empty.database.exists = false;
        let moved = on_postgres(false, Some(Location::File));
        let refused = check_moved(&moved, &empty).expect_err("refused");
        assert_eq!(refused.exit, Exit::Refused);
        assert!(refused.what.contains("own file") && !refused.what.contains("hunter2"), "{refused}");
        let full = finished();
        check_moved(&moved, &full).expect("somebody has moved the data");
        let same = Settled { before: Some(moved.location.clone()), ..moved };
        check_moved(&same, &empty).expect("it was emptied, and that is known");
    }
}

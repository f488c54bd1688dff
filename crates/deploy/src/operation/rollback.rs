//! `rollback`: back to the release before an upgrade that was verified, with the database, the settings and the plugins that it had.
//!
//! The steps are those of an upgrade, but that the state which the upgrade kept is put in the place of the present one. The present one is
//! kept in turn: so a rollback is undone like an upgrade while it runs, and by another `rollback` after it.

use std::collections::BTreeMap;
use std::time::Duration;

use database::Since;
use jiff::Timestamp;
use plan::Plan;
use release::{Origin, ReleaseId};
use serde::Serialize;

use super::hooked::Hooked;
use super::runner::{Looking, Operation};
use super::snapshot_first::{NONE, snapshot_first, with_snapshot};
use super::up::refuse_lost;
use super::verify::refuse_not_installed;
use crate::action::{Action, Snapshot};
use crate::error::{Error, Exit};
use crate::part::configuration::ConfigChange;
use crate::part::{Observed, View, converging, observe, preflight};
use crate::place::ground::ground;
use crate::place::layout::Layout;
use crate::state::backups::access::apart;
use crate::state::backups::set::Subject;
use crate::state::location::Location;
use crate::state::report::last_pass;
use crate::state::returning::{KeptState, Returning, kept_states, refuse_without_database};
use crate::state::settled::{Settled, settle};
use crate::state::which_release::Source;
use crate::state::words::ROLLBACK;
use crate::world::World;

/// How long counting may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// From here on a server stores passwords in a form that earlier ones cannot read, as people sign in.
const REHASHED: (u32, u32, u32) = (11, 0, 0);

/// Brings the release before an upgrade back.
#[derive(Debug, Clone, Default)]
pub struct Rollback {
    /// Which release, or its version; `None` = the one before the present one.
    pub to: Option<String>,
    /// How long to wait for a database server; `None` = 10 s.
    pub wait: Option<Duration>,
    /// Whether it goes on without a snapshot although backups are set up.
    pub without_snapshot: bool,
}

/// What it decides from.
pub struct Seen {
    from: ReleaseId,
    settled: Settled,
    observed: Observed,
    state: KeptState,
    snapshot: Option<(Snapshot, u64)>,
    loss: Loss,
}

/// What goes with a rollback.
#[derive(Debug, Clone, Serialize)]
pub struct Loss {
    /// Since when it is counted: people were let in to the present release then.
    pub since: Timestamp,
    /// Whether the database goes back.
    pub database: bool,
    /// How much of each; nothing where the database stays, or it could not be counted.
    #[serde(flatten)]
    pub counts: Since,
    /// Why it could not be counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uncounted: Option<String>,
    /// What else is to be known.
    pub notes: Vec<String>,
}

/// What a rollback came to.
#[derive(Debug, Clone, Serialize)]
pub struct RolledBack {
    /// The release before.
    pub from: String,
    /// The release now.
    pub release: String,
    /// Whether that is the newer of the two, which an earlier rollback left.
    pub forward: bool,
    /// What went with it.
    pub lost: Loss,
    /// The state that it left, for another `rollback`.
    pub kept: std::path::PathBuf,
    /// When the acceptance test last passed, in ms since the epoch.
    pub verified_at: Option<i64>,
    /// What works and yet is not as it should be.
    pub warnings: Vec<String>,
}

impl Operation for Rollback {
    const NAME: &'static str = ROLLBACK;
    type Seen = Seen;
    type Report = RolledBack;

    async fn look(&self, world: &World, mut looking: Looking<'_>) -> Result<Seen, Error> {
        let layout = &world.layout;
        let (from, state) = self.state(layout)?;
        let returning = Returning::look(layout, state.clone())?;
        let loss = loss(world, &returning).await;
        let source =
            Source { returning: Some(&returning), only_shown: looking.only_shown, ..Source::default() };
        let settled = settle(world, &BTreeMap::new(), source)?;
        let mut observed = observe(world, &settled, None, false, &mut looking.patience).await?;
        // What the server reads is another file, whether it says the same or not.
        observed.config = ConfigChange::Changes;
        refuse_lost(layout, &settled, &observed)?;
        preflight::check(layout, &settled, &observed)?;
        let snapshot = match self.without_snapshot {
            true => None,
            false => snapshot_first(world, format!("before the rollback to {}", state.release)).await?,
        };
        Ok(Seen { from, settled, observed, state, snapshot, loss })
    }

    fn plan(&self, world: &World, seen: &Seen) -> Result<Plan<Action>, Error> {
        let Seen { from, settled, observed, state, snapshot, .. } = seen;
        let layout = &world.layout;
        refuse_undumped(settled, observed)?;
        let view = View { layout, settled, observed, creation: None, origin: &Origin::Builtin };
        let steps = with_snapshot(converging(&view), snapshot.clone());
        let (shown, to) = (layout.root().display(), &state.release);
        let title = match state.is_newer() {
            true => format!("Bring {shown} forward again from {from} to {to}"),
            false => format!("Roll {shown} back from {from} to {to}"),
        };
        Ok(Plan::new(Self::NAME, title, steps))
    }

    async fn report(&self, world: &World, seen: Seen, _: bool) -> Result<RolledBack, Error> {
        host::disk::remove_tree(&world.layout.unneeded())?;
        let Seen { from, settled, observed, state, loss, .. } = seen;
        Ok(RolledBack {
            forward: state.is_newer(),
            kept: world.layout.rollback().join(from.to_string()),
            from: from.to_string(),
            release: settled.release.to_string(),
            lost: loss,
            verified_at: last_pass(&world.layout),
            warnings: settled.remarks.into_iter().chain(observed.database.warnings).collect(),
        })
    }

    fn hooked(&self, seen: &Seen) -> Option<Hooked> {
        Some(Hooked { old: seen.from.to_string(), new: seen.settled.release.to_string() })
    }

    fn tests_after_undo(&self) -> bool {
        true
    }

    fn may_follow_another_build(&self) -> bool {
        true
    }

    fn remarks(&self, seen: &Seen) -> Vec<String> {
        let without = (seen.snapshot.is_none() && !self.without_snapshot).then(|| NONE.to_owned());
        seen.loss.lines().into_iter().chain(without).chain(seen.settled.remarks.clone()).collect()
    }

    fn wait(&self) -> Duration {
        self.wait.unwrap_or(Duration::from_secs(10))
    }
}

impl Rollback {
    /// The present release, and the state that comes back.
    ///
    /// # Errors
    /// Nothing is kept of it, and what to do instead.
    fn state(&self, layout: &Layout) -> Result<(ReleaseId, KeptState), Error> {
        ground(layout)?;
        refuse_not_installed(layout)?;
        if layout.place().image_decides_release() {
            return Err(Error::new(Exit::Refused, "in a container the image decides the release")
                .hint("docs/containers.md says how to go back to the image before"));
        }
        let from = release::current(&layout.current())
            .ok_or_else(|| Error::not_ready("the link to the active release leads to none"))?;
        let state = chosen(self.to.as_deref(), &from, kept_states(layout)?)?;
        refuse_without_database(&state)?;
        let releases = layout.releases();
        if !release::installed(&releases)?.contains(&state.release) {
            let what = format!("{} is not unpacked in {} any more", state.release, releases.display());
            return Err(Error::new(Exit::Refused, what)
                .hint("`mainstay restore` of a snapshot that was made before is what is left; nothing has been changed"));
        }
        Ok((from, state))
    }

    /// The question whether it may, and what would go with it. Nothing is changed.
    ///
    /// # Errors
    /// There is nothing to go back to.
    pub async fn account(&self, world: &World) -> Result<(String, Loss), Error> {
        let (_, state) = self.state(&world.layout)?;
        let returning = Returning::look(&world.layout, state.clone())?;
        let direction = if state.is_newer() { "forward" } else { "back" };
        Ok((format!("Go {direction} to {}?", state.release), loss(world, &returning).await))
    }
}

/// Refuses to replace a database on a server of which no dump can be kept: such a rollback could not be undone.
fn refuse_undumped(settled: &Settled, observed: &Observed) -> Result<(), Error> {
    let replaces = settled.returning.as_ref().is_some_and(Returning::replaces_database);
    let is_server = matches!(settled.location, Location::Server(_));
    if !replaces || !is_server || observed.database.can_be_dumped {
        return Ok(());
    }
    let (why, fix) = match &observed.database.immovable {
        Some(obstacle) => (obstacle.what.clone(), obstacle.fix.clone()),
        None => (observed.database.warnings.join("; "), "see docs/databases.md".to_owned()),
    };
    let what = format!(
        "no dump of {} can be kept ({why}), so this rollback could not be undone where it fails",
        settled.location
    );
    Err(Error::new(Exit::Refused, what).hint(format!("{fix}; nothing has been changed")))
}

/// The state that is meant.
fn chosen(to: Option<&str>, from: &ReleaseId, states: Vec<KeptState>) -> Result<KeptState, Error> {
    let names: Vec<String> = states.iter().map(|state| state.release.to_string()).collect();
    let found = states.into_iter().find(|state| match to {
        None => state.next == *from,
        Some(text) => {
            let version = &state.release.version;
            let numbers = || {
                text.parse().is_ok_and(|given: version::Version| {
                    given.build.is_none() && given.numbers() == version.numbers()
                })
            };
            state.release.to_string() == text || version.to_string() == text || numbers()
        }
    });
    found.ok_or_else(|| {
        let kept = match names.is_empty() {
            true => "no state of an earlier release is kept".to_owned(),
            false => format!("what is kept is of {}", names.join(", ")),
        };
        let what = match to {
            None => format!("there is no release to go back to from {from}: {kept}"),
            Some(to) => format!("there is no way back to {to}: {kept}"),
        };
        let hint = match names.first() {
            Some(name) if to.is_some() => format!("did you mean `--to {name}`?"),
            _ => "an upgrade keeps what it replaced until the next one, or until `mainstay release prune --give-up-rollback`; \
                  `mainstay backup list` shows snapshots that were made before; nothing has been changed"
                .to_owned(),
        };
        Error::new(Exit::Refused, what).hint(hint)
    })
}

/// What people did since, counted in the present database. A rollback is wanted most where something is broken: that it cannot be counted
/// does not stop it.
async fn loss(world: &World, returning: &Returning) -> Loss {
    let KeptState { until, release, next, .. } = &returning.state;
    let database = returning.replaces_database();
    let counted = async {
        if !database {
            return Ok(Since::default());
        }
        let here = world.clone();
        let source =
            apart(move || Ok(Subject::of(&here)?.source)).await.map_err(|error| error.to_string())?;
        database::since(&source, until.as_millisecond(), PATIENCE).await.map_err(|error| error.to_string())
    };
    let (counts, uncounted) = match counted.await {
        Ok(counts) => (counts, None),
        Err(why) => (Since::default(), Some(why)),
    };
    let mut notes = Vec::new();
    if database {
        notes.push(
            "passwords, settings of the System Console and plugins are again what they were then".to_owned(),
        );
    } else if next.version.numbers() >= REHASHED && release.version.numbers() < REHASHED {
        notes.push(format!(
            "{next} stores passwords in a form that {release} cannot read: whoever signed in since needs a new one"
        ));
    }
    Loss { since: *until, database, counts, uncounted, notes }
}

impl Loss {
    /// The account, a line a thing.
    pub fn lines(&self) -> Vec<String> {
        let since = format!("{:.0}", self.since);
        if !self.database {
            let line =
                "the database stays as it is, because both releases have the same tables: nothing is lost";
            return std::iter::once(line.to_owned()).chain(self.notes.clone()).collect();
        }
        if let Some(why) = &self.uncounted {
            let line = format!(
                "everything that people did since {since} is lost with it; how much that is could not be counted: {why}"
            );
            return std::iter::once(line).chain(self.notes.clone()).collect();
        }
        let counted = |count: i64, one: &str, many: &str| {
            (count > 0).then(|| format!("{count} {}", if count == 1 { one } else { many }))
        };
        let Since { posts, edited, deleted, files, accounts, channels, teams } = self.counts;
        let all = [
            counted(posts, "message", "messages"),
            counted(files, "file", "files"),
            counted(accounts, "account", "accounts"),
            counted(channels, "channel", "channels"),
            counted(teams, "team", "teams"),
            counted(edited, "edit of an older message", "edits of older messages"),
            counted(deleted, "deletion of an older message", "deletions of older messages"),
        ];
        let all: Vec<String> = all.into_iter().flatten().collect();
        let line = match all.is_empty() {
            true => format!("no message, file, account, channel or team was made since {since}"),
            false => format!("lost with it, made since {since}: {}", all.join(", ")),
        };
        std::iter::once(line).chain(self.notes.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::returning::{FORMAT, KeptDatabase};

    fn state(release: &str, next: &str) -> KeptState {
        let id = |name: &str| name.parse().expect("a release");
        let (release, next, until) = (id(release), id(next), Timestamp::UNIX_EPOCH);
        KeptState { format: FORMAT, release, next, until, database: KeptDatabase::Copy }
    }

    #[test]
    fn it_goes_to_the_release_before_or_to_the_one_that_is_named() {
        let states = || vec![state("10.11.2-team", "11.7.0-team"), state("9.11.0-team", "10.11.2-team")];
        let from = "11.7.0-team".parse().expect("a release");
        let chosen = |to| chosen(to, &from, states()).map(|state| state.release.to_string());
        assert_eq!(chosen(None).expect("one"), "10.11.2-team");
        assert!(!state("10.11.2-team", "11.7.0-team").is_newer());
        assert!(state("11.7.0-team", "10.11.2-team").is_newer());
        assert!(state("11.6.0+0.2.0-builtin", "11.6.0+0.1.0-builtin").is_newer());
        for to in ["9.11.0-team", "9.11.0"] {
            assert_eq!(chosen(Some(to)).expect("one"), "9.11.0-team");
        }
        let refused = chosen(Some("9.11.1")).expect_err("refused");
        assert!(refused.what.contains("10.11.2-team, 9.11.0-team"), "{refused}");
        let other = "8.1.0-team".parse().expect("a release");
        let refused = super::chosen(None, &other, states()).expect_err("refused");
        assert_eq!(refused.exit, Exit::Refused);
    }

    #[test]
    fn the_account_says_what_goes_and_what_could_not_be_counted() {
        let nothing = Loss {
            since: Timestamp::UNIX_EPOCH,
            database: true,
            counts: Since::default(),
            uncounted: None,
            notes: Vec::new(),
        };
        assert!(nothing.lines()[0].starts_with("no message, file"));
        let counts = Since { posts: 2, accounts: 1, edited: 1, ..Since::default() };
        let some = Loss { counts, ..nothing.clone() };
        assert_eq!(
            some.lines()[0],
            "lost with it, made since 1970-01-01T00:00:00Z: 2 messages, 1 account, 1 edit of an older message"
        );
        let unknown = Loss { uncounted: Some("the database is away".to_owned()), ..nothing.clone() };
        assert!(unknown.lines()[0].contains("could not be counted: the database is away"));
        let stays = Loss { database: false, ..nothing };
        assert!(stays.lines()[0].contains("nothing is lost"));
    }
}

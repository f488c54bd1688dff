//! The managed PostgreSQL: what is there of it, and what a plan does about it.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use dsn::Server;
use plan::Step;

use super::startable;
use crate::action::{
    Action, Cluster, ClusterSettings, DatabasePassword, Furnish, Manager, Packages, Postgres, Switch,
    SystemUser, fitting,
};
use crate::control::protocol::{PostgresSpec, PostgresStatus, Status};
use crate::error::{Error, Exit};
use crate::part::{Stage, View};
use crate::place::layout::Layout;
use crate::place::postgres::{DIRECTORY, administrator, installations, socket_of};
use crate::state::cluster::{Record, data_version, files, refuse_foreign, refuse_torn};
use crate::state::database_failure::{is_missing, refused};
use crate::state::identity::{Identity, original};
use crate::state::server_user::{database_user, is_there};
use crate::state::settled::Settled;
use crate::world::World;

/// How long a PostgreSQL of our own may take to answer whoever looks.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long one that runs may take no connections before it counts as silent.
const SILENCE: Duration = Duration::from_secs(12);

/// The same where its socket is not there: it makes that right after its start.
const WITHOUT_SOCKET: Duration = Duration::from_secs(3);

/// The time between two looks.
const LOOK: Duration = Duration::from_millis(100);

/// How many connections a server opens at most where nothing says so: Mattermost's own default since 11.0.
const CONNECTIONS: u32 = 100;

/// What is there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Observed {
    /// Whether the cluster has been made.
    pub made: bool,
    /// Whether its system user is there, where it has one of its own.
    pub user: bool,
    /// Whether `secrets.toml` has the server's password.
    pub password: bool,
    /// What installs PostgreSQL, where it is missing and may be installed.
    pub packages: Option<Manager>,
    /// Whether its settings are what they shall be.
    pub settings: bool,
    /// How it runs, where its process is there.
    pub running: Option<PostgresSpec>,
    /// Whether it takes logins.
    pub answers: bool,
    /// Whether it takes no connections either, and not because it is only starting.
    pub silent: bool,
    /// Whether the server's user can log in to its database.
    pub furnished: bool,
}

/// How it shall run.
pub(crate) fn spec(layout: &Layout, settled: &Settled) -> PostgresSpec {
    let reader = settled.desired.user.clone();
    PostgresSpec { user: reader.as_ref().map(|_| database_user(layout)), reader }
}

/// How many connections the server opens at most.
pub(crate) fn connections(settled: &Settled) -> u32 {
    super::most_connections(settled).unwrap_or(CONNECTIONS)
}

impl Observed {
    /// Whether it has to be stopped and started again.
    pub(crate) fn restarts(&self, wanted: &PostgresSpec) -> bool {
        self.running.as_ref().is_some_and(|running| running != wanted || !self.settings || self.silent)
    }
}

/// What is there, and what of the database is.
///
/// # Errors
/// Its programs are gone, or cannot run it; its data cannot be used.
pub(super) async fn observe(
    world: &World,
    settled: &Settled,
    server: &Server,
    agent: Option<&Status>,
) -> Result<super::Observed, Error> {
    let layout = &world.layout;
    let (record, wanted) = (Record::read(layout)?, spec(layout, settled));
    let made = data_version(layout).is_some() && record.is_some();
    let mut seen = Observed {
        made,
        user: wanted.user.as_deref().is_none_or(|user| is_there(user, &layout.postgres())),
        password: server.has_password(),
        settings: true,
        ..Observed::default()
    };
    let path = world.env.get("PATH").map(String::as_str).unwrap_or_default();
    if let Some(there) = Identity::read(layout)?.and_then(|identity| original(&identity, layout)) {
        refuse_torn(layout, &there)?;
    }
    match record.as_ref().filter(|_| made) {
        Some(record) => {
            let installation = record.installation(layout, path)?;
            fitting(std::slice::from_ref(&installation), &settled.release)?;
            let owner = wanted.user.clone().map_or_else(|| host::User::current().map(|me| me.name), Ok)?;
            let files = files(&installation, connections(settled), &owner);
            seen.settings = files.iter().all(|(name, text)| is_right(&layout.postgres().join(name), text));
            look_at_process(layout, agent, &mut seen).await;
            // Before anything is stopped, and before anything is started in vain.
            if seen.running.is_none() || seen.restarts(&wanted) {
                startable::check(world, record, &wanted, &files)?;
            }
        }
        None => {
            refuse_leftovers(layout)?;
            seen.packages = to_install(path, settled)?;
        }
    }
    if agent.is_none_or(|status| status.postgres().is_none()) {
        refuse_foreign(layout)?;
    }
    let deployment = record.and_then(|record| record.deployment);
    // One that does not run cannot be asked. What a finished installation has left there is its database.
    let presumed = made && (release::current(&layout.current()).is_some() || deployment.is_some());
    let (furnished, exists) = match seen.answers {
        true => look(settled, server, presumed).await?,
        false => (presumed, presumed),
    };
    seen.furnished = furnished;
    Ok(super::Observed { exists, deployment, cluster: Some(seen), ..super::Observed::default() })
}

/// Whether a file says what it shall say, and everybody may read it: PostgreSQL reads it as a user of its own.
fn is_right(path: &Path, text: &str) -> bool {
    let readable = path.symlink_metadata().is_ok_and(|meta| meta.is_file() && meta.mode() & 0o444 == 0o444);
    readable && std::fs::read_to_string(path).is_ok_and(|there| there == text)
}

/// How it runs, and whether it answers. One that is starting takes connections and no logins yet; one whose socket is gone takes neither.
async fn look_at_process(layout: &Layout, agent: Option<&Status>, seen: &mut Observed) {
    let running = agent.and_then(|status| status.postgres()).filter(|postgres| postgres.pid.is_some());
    let Some(postgres) = running else { return };
    seen.running = Some(postgres.spec.clone());
    let began = Instant::now();
    loop {
        seen.answers = ::database::answers(&administrator(layout), PATIENCE).await.unwrap_or(false);
        if seen.answers || ::database::cluster::listens(&layout.postgres_socket(), PATIENCE).await {
            return;
        }
        let limit = if socket_of(layout).exists() { SILENCE } else { WITHOUT_SOCKET };
        if began.elapsed() > limit {
            seen.silent = true;
            return;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Whether the server can log in, and whether Mattermost's tables are there.
async fn look(settled: &Settled, server: &Server, presumed: bool) -> Result<(bool, bool), Error> {
    let minimum = release::Capabilities::of(&settled.release).postgres_minimum;
    match ::database::probe(server, minimum, PATIENCE).await {
        Ok(_) => {
            let contents =
                ::database::contents(server, PATIENCE).await.map_err(|failure| refused(&failure))?;
            let schema = super::readiness::schema(server, contents, &settled.release)?;
            Ok((true, schema.is_some()))
        }
        // The user gets the password that secrets.toml has.
        Err(failure) if is_missing(server, &failure.reason) => Ok((false, presumed)),
        Err(failure) => Err(refused(&failure)),
    }
}

/// What installs PostgreSQL, where none of this machine can be used and packages may be installed.
fn to_install(path: &str, settled: &Settled) -> Result<Option<Manager>, Error> {
    let found = installations(path);
    match fitting(&found, &settled.release) {
        Ok(_) => Ok(None),
        Err(missing) if !settled.installs_packages || !found.is_empty() => Err(missing),
        Err(_) if settled.desired.user.is_none() => {
            Err(Error::not_ready("only root can install PostgreSQL from the distribution")
                .hint("run this as root, or have an administrator install it"))
        }
        Err(missing) => match Manager::of(std::path::Path::new("/")) {
            Some(manager) => Ok(Some(manager)),
            None => Err(Error {
                hint: missing.hint,
                ..Error::not_ready(
                    "this machine has neither apt-get nor dnf, so Mainstay cannot install PostgreSQL",
                )
            }),
        },
    }
}

/// Files that are no cluster, where one is to be made: `initdb` never runs over them.
fn refuse_leftovers(layout: &Layout) -> Result<(), Error> {
    let data = layout.postgres_data();
    let is_filled = std::fs::read_dir(&data).is_ok_and(|mut entries| entries.next().is_some());
    if !is_filled || data_version(layout).is_some() {
        return Ok(());
    }
    Err(Error::new(
        Exit::Refused,
        format!(
            "{} holds files and no PG_VERSION, so it is a damaged PostgreSQL cluster, or none",
            data.display()
        ),
    )
    .hint(format!(
        "restore it from a backup, or move it away: `mv {0} {0}.old`; nothing has been changed",
        data.display()
    )))
}

/// What a stage does about it, before the tables are made.
pub(super) fn steps(stage: Stage, view: &View<'_>, seen: &Observed) -> Vec<Step<Action>> {
    let (layout, settled) = (view.layout, view.settled);
    let wanted = spec(layout, settled);
    // Its files are copied before a migration: only those of one that is stopped are whole.
    let restarts = seen.restarts(&wanted) || (seen.running.is_some() && view.changes_database());
    let mut steps = Vec::new();
    match stage {
        Stage::Prepare => {
            if let (Some(name), false) = (wanted.user.clone(), seen.user) {
                steps.push(SystemUser { name, home: Some(DIRECTORY.to_owned()) }.step());
            }
            steps.extend(seen.packages.map(|manager| Packages { manager }.step()));
            if !seen.made {
                let (release, connections) = (settled.release.clone(), connections(settled));
                steps.push(Cluster { release, user: wanted.user, connections }.step(layout));
            }
            if !seen.password {
                steps.push(DatabasePassword {}.step());
            }
        }
        Stage::Stop if restarts => {
            // Only for the copy, of which a release that has nothing to migrate needs none.
            let for_copy = !seen.restarts(&wanted);
            let stop = |spec| Postgres { switch: Switch::Off, spec, for_copy }.step();
            steps.extend(seen.running.clone().map(stop));
        }
        Stage::Change => {
            if !seen.settings {
                let connections = connections(settled);
                steps.push(ClusterSettings { user: wanted.user.clone(), connections }.step());
            }
            // Started again where it does not run, and waited for where it is only starting.
            if !seen.answers || restarts {
                steps.push(Postgres { switch: Switch::On, spec: wanted, for_copy: false }.step());
            }
            if !seen.furnished || !seen.password {
                steps.push(Furnish {}.step());
            }
        }
        _ => {}
    }
    steps
}

/// The step that stops it.
pub(super) fn stop(running: &PostgresStatus) -> Step<Action> {
    Postgres { switch: Switch::Off, spec: running.spec.clone(), for_copy: false }.step()
}

/// The step that starts it as it runs now.
pub(super) fn start_again(running: &PostgresStatus) -> Step<Action> {
    Postgres { switch: Switch::On, spec: running.spec.clone(), for_copy: false }.step()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::up::tests::{finished, nothing, settled};
    use crate::part::Observed as Everything;
    use crate::part::converging;
    use crate::place::postgres;
    use crate::state::location::Location;

    fn managed(root: bool) -> Settled {
        let server = postgres::server(&Layout::new("/srv/chat"), None);
        let file = settings::Wanted::default().with_in_file("database", "managed").expect("a word");
        Settled { location: Location::Managed(Box::new(server)), ..settled(root, Some(file)) }
    }

    fn names(settled: &Settled, observed: &Everything) -> Vec<String> {
        let layout = Layout::new("/srv/chat");
        let view =
            View { layout: &layout, settled, observed, creation: None, origin: &release::Origin::Builtin };
        converging(&view).into_iter().map(|step| step.name).collect()
    }

    fn with(mut observed: Everything, cluster: Observed) -> Everything {
        observed.database.cluster = Some(cluster);
        observed
    }

    /// As a finished `up` leaves it, run by root.
    fn running() -> Observed {
        let spec = spec(&Layout::new("/srv/chat"), &managed(false));
        let (made, user, password, settings, furnished) = (true, true, true, true, true);
        let (answers, silent) = (true, false);
        Observed {
            made,
            user,
            password,
            packages: None,
            settings,
            running: Some(spec),
            answers,
            silent,
            furnished,
        }
    }

    #[test]
    fn it_is_made_and_started_before_the_tables_and_the_agent_before_it() {
        let names =
            names(&managed(true), &with(nothing(), Observed { settings: true, ..Observed::default() }));
        let of_it = [
            "database-user",
            "cluster",
            "database-password",
            "agent",
            "postgres",
            "furnish",
            "database",
            "server",
        ];
        let at = |name: &str| {
            names.iter().position(|step| step == name).unwrap_or_else(|| panic!("{name}: {names:?}"))
        };
        assert!(of_it.map(at).is_sorted(), "{names:?}");
        assert!(at("secrets") < at("database-password") && at("configuration") < at("furnish"), "{names:?}");
        assert_eq!(names.iter().filter(|step| *step == "agent").count(), 1);
        let missing =
            Observed { packages: Some(Manager::Apt), settings: true, user: true, ..Observed::default() };
        let names = self::names(&managed(true), &with(nothing(), missing));
        assert!(names.windows(2).any(|pair| pair == ["packages", "cluster"]), "{names:?}");
    }

    #[test]
    fn what_is_as_it_should_be_gets_no_step() {
        let mut observed = with(finished(), running());
        observed.database.deployment = Some("a".repeat(32));
        if let Some(record) = &mut observed.identity.record {
            record.managed = true;
        }
        assert_eq!(names(&managed(false), &observed), Vec::<String>::new());
    }

    #[test]
    fn other_settings_restart_it_with_its_server_stopped() {
        let stale = Observed { settings: false, ..running() };
        let names = names(&managed(false), &with(finished(), stale));
        let expected = ["hold", "stop-server", "stop-postgres", "cluster-settings", "postgres", "server"];
        assert_eq!(names[..6], expected, "{names:?}");
    }

    #[test]
    fn one_that_does_not_run_is_started_and_a_wrong_password_set_anew() {
        let ended = Observed { running: None, answers: false, ..running() };
        assert_eq!(names(&managed(false), &with(finished(), ended))[0], "postgres");
        // One that takes no logins yet is waited for, with its server; one that takes no connections is restarted.
        let starting = Observed { answers: false, ..running() };
        assert_eq!(names(&managed(false), &with(finished(), starting))[0], "postgres");
        let silent = Observed { answers: false, silent: true, ..running() };
        let expected = ["hold", "stop-server", "stop-postgres", "postgres", "server"];
        assert_eq!(names(&managed(false), &with(finished(), silent))[..5], expected);
        let closed = Observed { furnished: false, ..running() };
        assert_eq!(names(&managed(false), &with(finished(), closed))[0], "furnish");
    }
}

//! Whether a database can be used for a release, looked at before anything is touched; what is wrong, with its exit code.

use std::time::{Duration, Instant};

use database::{Contents, Facts, Lacking, Product, Reason, Schema, Waiting};
use dsn::Server;
use plan::{Event, Reader};
use release::{Capabilities, ReleaseId, Store};
use tokio_util::sync::CancellationToken;
use version::Version;

use super::fit::{Connections, suits};
use crate::error::{Error, Exit};
use crate::state::creation::Creation;
use crate::state::database_failure::{is_missing, not_created, refused};
use crate::world::World;

/// How long a question to a server that has just answered may take.
pub(super) const QUESTION: Duration = Duration::from_secs(10);

/// One try is made however short the wait is.
const ONE_TRY: Duration = Duration::from_secs(3);

/// How often somebody who waits is told that nothing has changed.
const REMINDER: Duration = Duration::from_secs(10);

/// How long to wait for a database, and who is told why.
pub(crate) struct Patience<'a> {
    /// From the first try on.
    pub wait: Duration,
    /// Hears why there is a wait.
    pub reader: &'a mut dyn Reader,
    /// Ends it.
    pub cancel: CancellationToken,
}

/// What a database server came to.
#[derive(Debug, Clone)]
pub(crate) struct Ready {
    /// Mattermost's schema, if there is one.
    pub schema: Option<Schema>,
    /// What has to be created.
    pub lacking: Option<Lacking>,
    /// What works and yet is not as it should be.
    pub warnings: Vec<String>,
    /// Whether a pooler is in front of it, with connections of its own.
    pub shares_sessions: bool,
}

/// Who else uses the database. What was connected a moment ago, as Mainstay itself, gets the time to end.
///
/// # Errors
/// It cannot be asked.
pub(super) async fn others(server: &Server) -> Result<Vec<(String, i64)>, Error> {
    const ENDING: Duration = Duration::from_secs(2);
    let deadline = Instant::now() + ENDING;
    loop {
        let others = database::others(server, QUESTION).await.map_err(|failure| refused(&failure))?;
        if others.is_empty() || Instant::now() > deadline {
            return Ok(others);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Waits until the database can be used, or says why not. With `creation`, what is missing is no error.
///
/// # Errors
/// Why it cannot be used by this release: nothing has been changed.
pub(crate) async fn look(
    world: &World,
    server: &Server,
    (release, connections): (&ReleaseId, Connections),
    creation: Option<&Creation>,
    patience: &mut Patience<'_>,
) -> Result<Ready, Error> {
    let cancel = patience.cancel.clone();
    let minimum = Capabilities::of(release).postgres_minimum;
    let mut told = Told { reader: &mut *patience.reader, wait: patience.wait, last: None };
    let wait = patience.wait.max(ONE_TRY);
    let waited = database::wait_ready(server, minimum, wait, |waiting| told.hear(&waiting));
    let ready = tokio::select! {
        ready = waited => ready,
        () = cancel.cancelled() => {
            return Err(Error::not_ready(format!("interrupted while waiting for {server}"))
                .hint("nothing has been changed"));
        }
    };
    let failure = match ready {
        Ok(facts) => {
            let contents = database::contents(server, QUESTION).await;
            let schema = schema(server, contents.map_err(|failure| refused(&failure))?, release)?;
            let mut warnings = warnings(&facts);
            warnings.extend(suits(server, &facts, release, connections)?);
            return Ok(Ready { schema, lacking: None, warnings, shares_sessions: facts.shares_sessions });
        }
        Err(failure) => failure,
    };
    let Some(creation) = creation.filter(|_| is_missing(server, &failure.reason)) else {
        return Err(refused(&failure));
    };
    let admin = creation.administrator(world)?;
    let lacking = database::lacking(&admin, server, QUESTION).await.map_err(|error| not_created(&error))?;
    if !lacking.user && !lacking.database {
        // Both are there: creation cannot help.
        return Err(refused(&failure));
    }
    if !lacking.user && failure.reason == Reason::WrongPassword {
        return Err(refused(&failure).hint(format!(
            "user \"{}\" exists with another password, which is not changed: give the right one, or set it there",
            server.user.escape_debug()
        )));
    }
    Ok(Ready { schema: None, lacking: Some(lacking), warnings: Vec::new(), shares_sessions: false })
}

/// Which server holds the data, and its version.
///
/// # Errors
/// It cannot be asked.
pub(crate) async fn store(server: &Server) -> Result<Store, Error> {
    let facts = database::probe(server, 0, QUESTION).await.map_err(|failure| refused(&failure))?;
    Ok(match facts.product {
        Product::Postgres => Store::Postgres(facts.version.major),
        Product::MySql => Store::Mysql(facts.version.major, facts.version.minor),
        Product::MariaDb => Store::Mariadb,
    })
}

/// What works and yet is not as it should be.
pub(crate) fn warnings(facts: &Facts) -> Vec<String> {
    let mut warnings: Vec<String> = facts.warnings.iter().map(ToString::to_string).collect();
    if facts.product == Product::MariaDb {
        warnings.push("the database is MariaDB, which Mattermost has never supported though releases up to 10.11 run on it".to_owned());
    }
    warnings
}

/// Tells a reader what the wait is for: once, and again when the reason changes or has not changed for a while.
struct Told<'a> {
    reader: &'a mut dyn Reader,
    wait: Duration,
    last: Option<(Reason, Instant)>,
}

impl Told<'_> {
    fn hear(&mut self, waiting: &Waiting<'_>) {
        let reason = &waiting.failure.reason;
        let recent = |(last, at): &(Reason, Instant)| last == reason && at.elapsed() < REMINDER;
        if self.last.as_ref().is_some_and(recent) {
            return;
        }
        self.last = Some((reason.clone(), Instant::now()));
        let what = waiting.failure.finding().what;
        let left = self.wait.saturating_sub(waiting.elapsed).as_secs();
        self.reader.read(&Event::Waiting {
            text: format!("{what}; waiting {left} s more"),
            ms: waiting.elapsed.as_millis().try_into().unwrap_or(u64::MAX),
        });
    }
}

/// The schema in the database, if it may be this release's.
pub(super) fn schema(
    server: &Server,
    contents: Contents,
    release: &ReleaseId,
) -> Result<Option<Schema>, Error> {
    let schema = match contents {
        Contents::Nothing => return Ok(None),
        Contents::Strangers(names) => {
            return Err(Error::new(
                Exit::Refused,
                format!("{server} holds tables that are not Mattermost's ({})", names.join(", ")),
            )
            .hint("give Mattermost a database of its own; nothing has been changed"));
        }
        Contents::Mattermost(schema) => schema,
    };
    match newer(&schema, release) {
        Some(which) => Err(Error::new(
            Exit::Refused,
            format!("{server} belongs to a newer Mattermost ({which}) than {release}, which could not read it"),
        )
        .hint("use that release or a later one, or the backup that was made before the upgrade; nothing has been changed")),
        None => Ok(Some(schema)),
    }
}

/// What says that the schema is of a later release, if anything does.
fn newer(schema: &Schema, release: &ReleaseId) -> Option<String> {
    let version: Option<Version> = schema.version.as_deref().and_then(|text| text.parse().ok());
    if let Some(version) = version.filter(|version| version.numbers() > release.version.numbers()) {
        return Some(version.to_string());
    }
    let last = Capabilities::of(release).last_migration?;
    schema
        .migration
        .filter(|found| *found > last)
        .map(|found| format!("migration {found}, and {last} is its last"))
}

#[cfg(test)]
mod tests {
    use dsn::{Engine, Host};

    use super::*;

    fn server(engine: Engine) -> Server {
        let mut server = Server::new(engine, Host::Name("db".into()));
        (server.name, server.user, server.password) = ("chat".into(), "mm".into(), "hunter2".into());
        server
    }

    #[test]
    fn a_newer_mattermosts_database_is_refused_where_that_can_be_known() {
        let of = |release: &str, version: Option<&str>, migration| {
            let schema = Schema { version: version.map(str::to_owned), migration, deployment: None };
            newer(&schema, &release.parse().expect("a release")).is_some()
        };
        assert!(of("5.37.0-team", Some("6.0.0"), None));
        assert!(!of("6.3.0-team", Some("6.0.0"), None));
        assert!(of("11.6.0+0.1.0-builtin", None, Some(185)));
        assert!(!of("11.6.0+0.1.0-builtin", Some("5.39.0"), Some(159)));
        assert!(!of("11.7.0-team", None, Some(500)), "nothing says so");
        assert!(!of("11.7.0-team", Some("not a version"), None));
    }

    #[test]
    fn somebody_elses_tables_are_refused() {
        let release = release::builtin();
        let strangers = Contents::Strangers(vec!["orders".to_owned()]);
        let error = schema(&server(Engine::Postgres), strangers, &release).expect_err("refused");
        assert_eq!(error.exit, Exit::Refused);
        assert!(error.what.contains("orders") && !error.what.contains("hunter2"), "{error}");
        assert_eq!(schema(&server(Engine::Postgres), Contents::Nothing, &release).expect("fresh"), None);
    }
}

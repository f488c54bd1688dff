//! Dumps of PostgreSQL. A transaction of our own fixes the moment and counts the rows; `pg_dump` reads the same moment.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use dsn::{Host, Server, TlsMode};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _};
use tokio::sync::{Notify, oneshot};

use super::child::Running;
use super::postgres_text::{PostgresText, Way, table_name};
use super::stream::{Proof, Stream};
use super::{Content, Dump, Error, Means, Rows, credentials, programs};
use crate::connect::{self, Connected, connect};
use crate::failure::Failure;
use crate::obstacle::ASIDE;
use crate::pooler;
use crate::reason::Reason;
use crate::version::Version;

/// Settings of the role or the database that a dump does not have, and that Mattermost's searches or its tables depend on.
const SETTINGS: [&str; 2] = ["search_path", "default_text_search_config"];

/// Tables whose rows are in a dump. Those of extensions are not; nor are, on a replica, those without a log.
pub(crate) const TABLES: &str = "
    select n.nspname::text, c.relname::text
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'r' and c.relpersistence <> 't'
      and not (c.relpersistence = 'u' and pg_is_in_recovery())
      and n.nspname <> 'information_schema' and n.nspname !~ '^pg_' and not starts_with(n.nspname, $1)
      and not exists (select from pg_depend d
                      where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
    order by 1, 2";

/// How long `pg_dump` waits for a table that somebody alters.
const LOCK_LIMIT: &str = "--lock-wait-timeout=300000";

/// What the transaction knows.
struct Moment {
    snapshot: String,
    version: Version,
    migration: Option<i64>,
    settings: Vec<(&'static str, String)>,
}

pub(super) async fn begin(server: &Server, means: &Means<'_>) -> Result<Dump, Error> {
    let (session, moment) = Session::begin(server, means).await?;
    let program = programs::of_postgres("pg_dump", moment.version.major, false, means).await?;
    let password = credentials::pgpass(server, means.scratch)?;
    let mut command = Command::new(program.path);
    command
        .args(["--format=plain", "--encoding=UTF8", "--no-password", LOCK_LIMIT])
        // Whoever loads the dump owns it. Replication is set up anew.
        .args(["--no-owner", "--no-privileges", "--no-tablespaces", "--no-security-labels"])
        .args(["--no-publications", "--no-subscriptions"])
        .arg(format!("--exclude-schema={ASIDE}*"))
        .arg(format!("--snapshot={}", moment.snapshot))
        .arg(format!("--dbname={}", conninfo(server, password.as_ref().map(|file| &*file.0)).await?));
    command.env_clear().env("LC_ALL", "C").stdin(Stdio::null()).stdout(Stdio::piped());
    let (running, pipes) = Running::start("pg_dump", command, Arc::clone(&session.ends))?;
    let output = pipes.output.ok_or_else(|| Error::Ended("pg_dump has no output".to_owned()))?;
    let text = PostgresText::new(Way::Out { settings: moment.settings });
    let stream = Stream::new(running, output, Box::new(text), password, Some(Box::new(session)));
    let (server, migration) = (moment.version.to_string(), moment.migration);
    Ok(Dump {
        engine: "postgres",
        server,
        migration,
        apart: Vec::new(),
        content: Content::Stream(Box::new(stream)),
    })
}

pub(super) async fn check(server: &Server, means: &Means<'_>) -> Result<(), Error> {
    let mut connection = log_in(server, means.limit).await?;
    let asked = version(&mut connection).await;
    Connected::Postgres(connection).close().await;
    let version = asked.map_err(|error| Failure::of(server, &error))?;
    for (program, may_be_older) in [("pg_dump", false), ("psql", true)] {
        programs::of_postgres(program, version.major, may_be_older, means).await?;
    }
    Ok(())
}

/// Where the server is, for libpq. The password is in a file.
pub(super) async fn conninfo(server: &Server, password: Option<&Path>) -> Result<String, Error> {
    let authority = connect::authority(server).await.map_err(|reason| Failure::new(server, reason))?;
    // Without a file that is named, libpq looks in the home directory.
    let nothing = || PathBuf::from("/dev/null/none");
    let file = |key: &str| {
        let file = server.parameters.get(key).filter(|path| !path.is_empty());
        file.map_or_else(nothing, PathBuf::from).display().to_string()
    };
    let mode = connect::mode(server);
    let host = match &server.host {
        Host::Socket(directory) => directory.display().to_string(),
        host => connect::host_text(host),
    };
    let options: Vec<String> = server
        .session_parameters()
        .iter()
        .map(|(name, value)| {
            let pair = format!("{name}={value}");
            let escaped: String = pair
                .chars()
                .flat_map(|c| (c == '\\' || c.is_whitespace()).then_some('\\').into_iter().chain([c]))
                .collect();
            format!("-c {escaped}")
        })
        .collect();
    let mut pairs = vec![
        ("host", host),
        ("port", server.port.to_string()),
        ("user", server.user.clone()),
        ("dbname", if server.name.is_empty() { server.user.clone() } else { server.name.clone() }),
        ("passfile", password.map_or_else(nothing, Path::to_owned).display().to_string()),
        ("sslmode", mode.sslmode().to_owned()),
        ("sslrootcert", authority.unwrap_or_else(nothing).display().to_string()),
        ("sslcert", file("sslcert")),
        ("sslkey", file("sslkey")),
        ("gssencmode", "disable".to_owned()),
        ("application_name", "mainstay".to_owned()),
        ("client_encoding", "UTF8".to_owned()),
        ("connect_timeout", "30".to_owned()),
        // A server that is gone is noticed within two minutes.
        ("keepalives_idle", "30".to_owned()),
        ("keepalives_interval", "10".to_owned()),
        ("keepalives_count", "6".to_owned()),
    ];
    if mode == TlsMode::Disable {
        pairs.retain(|(name, _)| !name.starts_with("ssl") || *name == "sslmode");
    }
    if !options.is_empty() {
        pairs.push(("options", options.join(" ")));
    }
    let quoted = |value: &str| value.replace('\\', "\\\\").replace('\'', "\\'");
    let pairs = pairs.iter().map(|(name, value)| format!("{name}='{}'", quoted(value)));
    Ok(pairs.collect::<Vec<_>>().join(" "))
}

/// Our own transaction, on a thread of its own: it goes on while somebody reads the dump, whatever else the caller's runtime does.
#[derive(Debug)]
struct Session {
    ends: Arc<Notify>,
    counted: mpsc::Receiver<Result<Rows, Error>>,
    thread: Option<JoinHandle<()>>,
}

impl Session {
    async fn begin(server: &Server, means: &Means<'_>) -> Result<(Self, Moment), Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Error::Ended(error.to_string()))?;
        let ends = Arc::new(Notify::new());
        let (tell, told) = oneshot::channel();
        let (count, counted) = mpsc::channel();
        let (server, limit, ended) = (server.clone(), means.limit, Arc::clone(&ends));
        let work = async move {
            let opened = tokio::select! {
                () = ended.notified() => return,
                opened = Box::pin(open(&server, limit)) => opened,
            };
            let mut connection = match opened {
                Err(error) => return drop(tell.send(Err(error))),
                Ok((connection, moment)) => {
                    if tell.send(Ok(moment)).is_err() {
                        return;
                    }
                    connection
                }
            };
            tokio::select! {
                () = ended.notified() => return,
                rows = count_all(&mut connection) => {
                    let _ = count.send(rows.map_err(|error| Failure::of(&server, &error).into()));
                }
            }
            ended.notified().await;
            Connected::Postgres(connection).close().await;
        };
        let thread = std::thread::Builder::new().name("rows of a dump".to_owned());
        let thread = thread.spawn(move || runtime.block_on(work));
        let thread = Some(thread.map_err(|error| Error::Ended(error.to_string()))?);
        let session = Self { ends, counted, thread };
        let moment = told.await.unwrap_or_else(|_| Err(Error::Ended("its thread ended".to_owned())))?;
        Ok((session, moment))
    }
}

impl Proof for Session {
    fn counted(&mut self) -> Result<Rows, Error> {
        self.counted.recv().unwrap_or_else(|_| Err(Error::Ended("its rows were not counted".to_owned())))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.ends.notify_one();
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join) {
            std::panic::resume_unwind(panic);
        }
    }
}

async fn open(server: &Server, limit: Duration) -> Result<(PgConnection, Moment), Error> {
    let mut connection = log_in(server, limit).await?;
    if pooler::shares_sessions(server, &mut connection).await {
        return Err(Error::Pooler { place: server.place() });
    }
    let looked = tokio::time::timeout(limit, look(&mut connection)).await;
    let looked = looked.map_err(|_| Failure::new(server, Reason::timed_out(limit)))?;
    let moment = looked.map_err(|error| Failure::of(server, &error))?;
    Ok((connection, moment))
}

/// Logs in. No limit of the role ends the session, or a statement in it.
pub(super) async fn log_in(server: &Server, limit: Duration) -> Result<PgConnection, Error> {
    let Connected::Postgres(mut connection) = connect(server, limit).await? else {
        return Err(Error::Ended(format!("{} is no PostgreSQL", server.place())));
    };
    let unlimited =
        "set statement_timeout = 0; set lock_timeout = 0; set idle_in_transaction_session_timeout = 0";
    let fails = |error: &sqlx::Error| Failure::of(server, error);
    sqlx::raw_sql(unlimited).execute(&mut connection).await.map_err(|error| fails(&error))?;
    let version = version(&mut connection).await.map_err(|error| fails(&error))?;
    if version.major >= 17 {
        let unlimited = sqlx::raw_sql("set transaction_timeout = 0").execute(&mut connection);
        unlimited.await.map_err(|error| fails(&error))?;
    }
    Ok(connection)
}

/// The server's version.
pub(super) async fn version(connection: &mut PgConnection) -> sqlx::Result<Version> {
    let sql = "select current_setting('server_version_num')::int4";
    let number: i32 = sqlx::query_scalar(sql).persistent(false).fetch_one(connection).await?;
    Ok(Version::of_postgres(number.unsigned_abs()))
}

async fn look(connection: &mut PgConnection) -> sqlx::Result<Moment> {
    let begin = "begin transaction isolation level repeatable read, read only";
    sqlx::raw_sql(begin).execute(&mut *connection).await?;
    let version = version(connection).await?;
    let mut settings = Vec::new();
    for name in SETTINGS {
        // What the session began with: the role's, the database's or the address's.
        let sql = "select reset_val from pg_settings where name = $1";
        let value = sqlx::query_scalar(sql).bind(name).persistent(false).fetch_optional(&mut *connection);
        settings.extend(value.await?.map(|value| (name, value)));
    }
    let there = "select to_regclass('db_migrations') is not null";
    let migration = match sqlx::query_scalar(there).persistent(false).fetch_one(&mut *connection).await? {
        true => {
            let sql = "select max(version)::int8 from db_migrations";
            sqlx::query_scalar(sql).persistent(false).fetch_one(&mut *connection).await?
        }
        false => None,
    };
    let snapshot = "select pg_export_snapshot()";
    let snapshot = sqlx::query_scalar(snapshot).persistent(false).fetch_one(connection).await?;
    Ok(Moment { snapshot, version, migration, settings })
}

/// Counts the rows of every table in the transaction that is open.
async fn count_all(connection: &mut PgConnection) -> sqlx::Result<Rows> {
    let tables = sqlx::query_as(TABLES).bind(ASIDE).persistent(false);
    let tables: Vec<(String, String)> = tables.fetch_all(&mut *connection).await?;
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let mut rows = Rows::new();
    for (schema, table) in tables {
        let sql = format!("select count(*) from only {}.{}", quoted(&schema), quoted(&table));
        let count: i64 =
            sqlx::query_scalar(AssertSqlSafe(sql)).persistent(false).fetch_one(&mut *connection).await?;
        rows.insert(table_name(&schema, &table), count.unsigned_abs());
    }
    Ok(rows)
}

pub(super) async fn rows(server: &Server, limit: Duration) -> Result<Rows, Error> {
    let mut connection = log_in(server, limit).await?;
    let counted = async {
        let mut transaction = connection.begin().await?;
        let moment = "set transaction isolation level repeatable read, read only";
        sqlx::raw_sql(moment).execute(&mut *transaction).await?;
        let rows = count_all(&mut transaction).await?;
        transaction.rollback().await?;
        Ok(rows)
    };
    let rows = counted.await.map_err(|error: sqlx::Error| Failure::of(server, &error))?;
    Connected::Postgres(connection).close().await;
    Ok(rows)
}

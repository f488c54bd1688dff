//! Whether a database can be used, and what it is.

use std::time::{Duration, Instant};

use dsn::Server;
use sqlx::mysql::MySqlConnection;
use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Row as _};

use crate::connect::{Connected, connect};
use crate::failure::Failure;
use crate::pooler;
use crate::reason::Reason;
use crate::version::{Product, Version};

/// What the server reports about itself and the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Who made the server.
    pub product: Product,
    /// Its version.
    pub version: Version,
    /// Whether this connection was encrypted.
    pub tls: bool,
    /// The database's character set: `UTF8`, `utf8mb4`.
    pub encoding: String,
    /// How it sorts: `en_US.UTF-8`, `utf8mb4_general_ci`.
    pub collation: String,
    /// How many connections the server takes in all.
    pub max_connections: u32,
    /// How many this user may have in this database, where that is limited.
    pub limit: Option<ConnectionLimit>,
    /// Clients share sessions: a pooler such as PgBouncer is in front, and gives each transaction another session.
    pub shares_sessions: bool,
    /// Things that work, but are not as they should be.
    pub warnings: Vec<Warning>,
}

/// How many connections PostgreSQL lets a user have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimit {
    /// So many.
    pub connections: u32,
    /// What limits them.
    pub of: Limited,
}

/// What a limit of connections belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limited {
    /// The role: `ALTER ROLE ... CONNECTION LIMIT`.
    Role,
    /// The database: `ALTER DATABASE ... CONNECTION LIMIT`.
    Database,
}

impl ConnectionLimit {
    /// The lower of both; -1 is none.
    fn lower(role: i32, database: i32) -> Option<Self> {
        let limit = |given: i32, of| Some(Self { connections: given.try_into().ok()?, of });
        let both = [limit(role, Limited::Role), limit(database, Limited::Database)];
        both.into_iter().flatten().min_by_key(|limit| limit.connections)
    }
}

/// Things that work, but are not as they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// Letters beyond ASCII have no upper case and sort by code.
    #[error(
        "the database's locale is {0}: names beyond ASCII sort by code and are searched case by case; for another, create it with LC_COLLATE and LC_CTYPE"
    )]
    PlainLocale(String),
    /// Mattermost's message index is made for this configuration alone.
    #[error(
        "default_text_search_config is {0}: searching will not use the index; ALTER DATABASE ... SET default_text_search_config = 'pg_catalog.english'"
    )]
    SearchLanguage(String),
    /// MySQL's other character sets have at most three bytes for a character.
    #[error("the database's character set is {0}: emoji fail; ALTER DATABASE ... CHARACTER SET utf8mb4")]
    NarrowEncoding(String),
}

/// Logs in once and reports, within the time limit. `postgres_minimum` is the oldest PostgreSQL that the release supports, as
/// `server_version_num` (140000).
///
/// # Errors
/// Why the database cannot be used as it is.
pub async fn probe(server: &Server, postgres_minimum: u32, limit: Duration) -> Result<Facts, Failure> {
    let started = Instant::now();
    let mut connected = connect(server, limit).await?;
    let left = limit.saturating_sub(started.elapsed());
    let looked = tokio::time::timeout(left, async {
        match &mut connected {
            Connected::Postgres(connection) => {
                let mut looked = postgres(connection, postgres_minimum).await?;
                if let Ok(facts) = &mut looked {
                    facts.shares_sessions = pooler::shares_sessions(server, connection).await;
                }
                Ok(looked)
            }
            Connected::MySql(connection) => mysql(connection).await,
        }
    });
    let found = match looked.await {
        Ok(Ok(Ok(facts))) => Ok(facts),
        Ok(Ok(Err(reason))) => Err(Failure::new(server, reason)),
        Ok(Err(error)) => Err(Failure::of(server, &error)),
        Err(_) => return Err(Failure::new(server, Reason::timed_out(limit))),
    };
    connected.close().await;
    found
}

/// A failed attempt that will be repeated.
#[derive(Debug)]
pub struct Waiting<'a> {
    /// Why it failed.
    pub failure: &'a Failure,
    /// The number of attempts so far.
    pub tries: u32,
    /// The time since the first attempt.
    pub elapsed: Duration,
    /// The time until the next.
    pub pause: Duration,
}

/// The first pause between two attempts, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// The time limit of one attempt, so that progress is shown.
const TRY: Duration = Duration::from_secs(10);

/// Probes until the database can be used, waiting cannot help, or `deadline` has passed since the call. `progress` gets each attempt
/// that will be repeated.
///
/// # Errors
/// The last failure.
pub async fn wait_ready(
    server: &Server,
    postgres_minimum: u32,
    deadline: Duration,
    mut progress: impl FnMut(Waiting<'_>),
) -> Result<Facts, Failure> {
    let started = Instant::now();
    let mut pause = PAUSES.0;
    for tries in 1.. {
        let left = deadline.saturating_sub(started.elapsed());
        let failure = match probe(server, postgres_minimum, left.min(TRY)).await {
            Ok(facts) => return Ok(facts),
            Err(failure) => failure,
        };
        let elapsed = started.elapsed();
        if !failure.reason.may_pass() || elapsed + pause >= deadline {
            return Err(failure);
        }
        progress(Waiting { failure: &failure, tries, elapsed, pause });
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
    Err(Failure::new(server, Reason::timed_out(deadline)))
}

type Looked = sqlx::Result<Result<Facts, Reason>>;

/// One row. If this user may use no schema of `search_path`, `current_schema` is null; `public` is then assumed.
const POSTGRES: &str = "
    select current_setting('server_version_num')::int4, pg_is_in_recovery(),
           current_setting('transaction_read_only')::bool,
           pg_encoding_to_char(d.encoding)::text, d.datcollate::text,
           current_setting('default_text_search_config'), current_setting('max_connections')::int4,
           coalesce((select ssl from pg_stat_ssl where pid = pg_backend_pid()), false),
           s.name::text, n.nspowner::regrole::text,
           coalesce(has_schema_privilege(n.oid, 'create') and has_schema_privilege(n.oid, 'usage'), false),
           case when r.rolsuper then -1 else r.rolconnlimit end, d.datconnlimit
    from pg_database d
    join pg_roles r on r.rolname = current_user
    cross join (select coalesce(current_schema(), 'public') as name) s
    left join pg_namespace n on n.nspname = s.name
    where d.datname = current_database()";

async fn postgres(connection: &mut PgConnection, minimum: u32) -> Looked {
    // In one transaction and without a name: a pooler may give each transaction another session.
    let mut transaction = connection.begin().await?;
    let row = sqlx::query(POSTGRES).persistent(false).fetch_one(&mut *transaction).await?;
    transaction.rollback().await?;
    let number: i32 = row.try_get(0)?;
    let (version, minimum) = (Version::of_postgres(number.unsigned_abs()), Version::of_postgres(minimum));
    if version < minimum {
        return Ok(Err(Reason::TooOld { found: version, minimum }));
    }
    let encoding: String = row.try_get(3)?;
    if encoding != "UTF8" {
        return Ok(Err(Reason::Encoding(encoding)));
    }
    let standby: bool = row.try_get(1)?;
    if standby || row.try_get(2)? {
        return Ok(Err(Reason::ReadOnly { standby }));
    }
    if !row.try_get::<bool, _>(10)? {
        return Ok(Err(Reason::SchemaDenied { schema: row.try_get(8)?, owner: row.try_get(9)? }));
    }
    let collation: String = row.try_get(4)?;
    let search: String = row.try_get(5)?;
    let mut warnings = Vec::new();
    if matches!(collation.as_str(), "C" | "POSIX") {
        warnings.push(Warning::PlainLocale(collation.clone()));
    }
    if search != "pg_catalog.english" {
        warnings.push(Warning::SearchLanguage(search));
    }
    Ok(Ok(Facts {
        product: Product::Postgres,
        version,
        tls: row.try_get(7)?,
        encoding,
        collation,
        max_connections: row.try_get::<i32, _>(6)?.unsigned_abs(),
        limit: ConnectionLimit::lower(row.try_get(11)?, row.try_get(12)?),
        shares_sessions: false,
        warnings,
    }))
}

/// Cast, since MySQL and MariaDB give these variables different types.
const MYSQL: &str = "
    select version(), cast(@@global.read_only as char), @@character_set_database, @@collation_database,
           cast(@@max_connections as unsigned)";

async fn mysql(connection: &mut MySqlConnection) -> Looked {
    let cipher: Option<String> = sqlx::query("show session status like 'Ssl_cipher'")
        .fetch_optional(&mut *connection)
        .await?
        .map(|row| row.try_get(1))
        .transpose()?;
    let row = sqlx::query(MYSQL).fetch_one(&mut *connection).await?;
    let text: String = row.try_get(0)?;
    let Some((product, version)) = Version::of_mysql(&text) else {
        return Ok(Err(Reason::OtherProtocol(format!("it calls its version {text:?}"))));
    };
    let read_only: String = row.try_get(1)?;
    if !matches!(read_only.as_str(), "0" | "OFF") {
        // Only an administrator may find out whether it is a replica.
        return Ok(Err(Reason::ReadOnly { standby: false }));
    }
    let encoding: String = row.try_get(2)?;
    let warnings = match encoding.as_str() {
        "utf8mb4" => vec![],
        other => vec![Warning::NarrowEncoding(other.to_owned())],
    };
    Ok(Ok(Facts {
        product,
        version,
        tls: cipher.is_some_and(|cipher| !cipher.is_empty()),
        encoding,
        collation: row.try_get(3)?,
        max_connections: u32::try_from(row.try_get::<u64, _>(4)?).unwrap_or(u32::MAX),
        limit: None,
        shares_sessions: false,
        warnings,
    }))
}

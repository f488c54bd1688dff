//! What a program does in a PostgreSQL database while it migrates it: which tables it locks and for how long, and whom it waits for.

use std::collections::BTreeMap;
use std::time::Duration;

use dsn::{Engine, Server};
use serde::{Deserialize, Serialize};
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use crate::connect::{Connected, connect};
use crate::failure::Failure;

/// Characters of a statement that are shown.
const SHOWN: i32 = 120;

/// Looks at what the sessions of one role do that began after it did.
pub struct Watcher {
    connection: PgConnection,
    server: Server,
    /// The moment, as the database says it.
    began: String,
}

/// What was seen at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// The sessions that are watched.
    pub sessions: Vec<Session>,
    /// The locks that they hold, each by its session, its table and its mode.
    pub locks: Vec<(i32, String, String)>,
}

/// A session that is watched.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// Its number.
    pub pid: i32,
    /// Whether a statement runs in it.
    pub active: bool,
    /// The lock that it waits for.
    pub waits: Option<Waits>,
    /// Its statement, without the texts in it, cut.
    pub statement: String,
    /// How long the statement has run, in seconds.
    pub seconds: f64,
}

/// A lock that a session waits for.
#[derive(Debug, Clone, PartialEq)]
pub struct Waits {
    /// The table.
    pub table: Option<String>,
    /// The sessions that hold it.
    pub holders: Vec<Holder>,
}

/// A session that holds a lock that another one waits for.
#[derive(Debug, Clone, PartialEq)]
pub struct Holder {
    /// Its number.
    pub pid: i32,
    /// Its role.
    pub user: String,
    /// What its program calls itself; may be empty.
    pub application: String,
    /// Where it comes from; `None` = this machine's socket.
    pub address: Option<String>,
    /// What it does: `active`, `idle in transaction`; empty where this role may not know.
    pub state: String,
    /// How long it has done so, in seconds.
    pub seconds: f64,
    /// Its last statement, without the texts in it, cut.
    pub statement: String,
}

impl Watcher {
    /// Begins to watch. `None` for MySQL.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn begin(server: &Server, limit: Duration) -> Result<Option<Self>, Failure> {
        if server.engine != Engine::Postgres {
            return Ok(None);
        }
        let Connected::Postgres(mut connection) = connect(server, limit).await? else { return Ok(None) };
        let began =
            sqlx::query_scalar("select clock_timestamp()::text").persistent(false).fetch_one(&mut connection);
        let began = began.await.map_err(|error| Failure::of(server, &error))?;
        Ok(Some(Self { connection, server: server.clone(), began }))
    }

    /// Looks.
    ///
    /// # Errors
    /// The database is away.
    pub async fn look(&mut self) -> Result<Snapshot, Failure> {
        let (server, began) = (&self.server, &self.began);
        look(&mut self.connection, began).await.map_err(|error| Failure::of(server, &error))
    }

    /// Ends.
    pub async fn end(self) {
        Connected::Postgres(self.connection).close().await;
    }
}

const SESSIONS: &str = "
    select pid, coalesce(state = 'active', false), coalesce(wait_event_type = 'Lock', false),
           coalesce(query, ''), coalesce(extract(epoch from clock_timestamp() - query_start)::float8, 0)
    from pg_stat_activity
    where datname = current_database() and usename = current_user and pid <> pg_backend_pid()
      and backend_type = 'client backend' and backend_start >= $1::timestamptz
    order by pid";

/// Locks that keep others from reading or writing a table. One that was made in the same transaction is in nobody's way, and not seen.
const LOCKS: &str = "
    select l.pid, c.relname::text, l.mode
    from pg_locks l join pg_class c on c.oid = l.relation join pg_namespace n on n.oid = c.relnamespace
    where l.locktype = 'relation' and l.granted and l.pid = any($1)
      and l.database = (select oid from pg_database where datname = current_database())
      and c.relkind in ('r', 'p') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
      and l.mode in ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
    order by 1, 2, 3";

const AWAITED: &str = "
    select c.relname::text from pg_locks l join pg_class c on c.oid = l.relation
    where l.pid = $1 and not l.granted and l.locktype in ('relation', 'tuple') limit 1";

const HOLDERS: &str = "
    select pid, coalesce(usename::text, ''), coalesce(application_name, ''), host(client_addr), coalesce(state, ''),
           coalesce(extract(epoch from clock_timestamp() - state_change)::float8, 0), coalesce(query, '')
    from pg_stat_activity where pid = any(pg_blocking_pids($1)) order by pid";

type HolderRow = (i32, String, String, Option<String>, String, f64, String);

async fn look(connection: &mut PgConnection, began: &str) -> sqlx::Result<Snapshot> {
    let mut transaction = connection.begin().await?;
    let sessions = sqlx::query_as(SESSIONS).bind(began).persistent(false);
    let sessions: Vec<(i32, bool, bool, String, f64)> = sessions.fetch_all(&mut *transaction).await?;
    let pids: Vec<i32> = sessions.iter().map(|(pid, ..)| *pid).collect();
    let locks = sqlx::query_as(LOCKS).bind(&pids).persistent(false).fetch_all(&mut *transaction).await?;
    let mut found = Snapshot { sessions: Vec::new(), locks };
    for (pid, active, waits, statement, seconds) in sessions {
        let waits = match waits {
            false => None,
            true => {
                let table = sqlx::query_scalar(AWAITED).bind(pid).persistent(false);
                let table = table.fetch_optional(&mut *transaction).await?;
                let holders = sqlx::query_as(HOLDERS).bind(pid).persistent(false);
                let holders: Vec<HolderRow> = holders.fetch_all(&mut *transaction).await?;
                Some(Waits { table, holders: holders.into_iter().map(holder).collect() })
            }
        };
        found.sessions.push(Session { pid, active, waits, statement: without_texts(&statement), seconds });
    }
    transaction.rollback().await?;
    Ok(found)
}

fn holder((pid, user, application, address, state, seconds, statement): HolderRow) -> Holder {
    Holder { pid, user, application, address, state, seconds, statement: without_texts(&statement) }
}

/// A statement on one line, cut, without the texts in it: one may be a password.
fn without_texts(statement: &str) -> String {
    let mut parts = statement.split('\'');
    let mut shown = parts.next().unwrap_or_default().to_owned();
    let mut is_text = true;
    for part in parts {
        shown.push_str(if is_text { "'...'" } else { part });
        is_text = !is_text;
    }
    finding::one_line(&shown, SHOWN as usize)
}

/// The lock that was held the longest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The table.
    pub table: String,
    /// PostgreSQL's name of the lock.
    pub mode: String,
    /// How long it was seen, in ms.
    pub ms: u64,
}

/// Finds out which lock is held the longest, from what is seen at one moment after the other.
#[derive(Debug, Clone, Default)]
pub struct Longest {
    /// Since when each lock is seen.
    since: BTreeMap<(i32, String, String), Duration>,
    longest: Option<Held>,
}

impl Longest {
    /// Takes in what was seen so long after the beginning.
    pub fn see(&mut self, now: Duration, locks: &[(i32, String, String)]) {
        self.since.retain(|lock, _| locks.contains(lock));
        for lock in locks {
            let since = *self.since.entry(lock.clone()).or_insert(now);
            let ms = u64::try_from((now.saturating_sub(since)).as_millis()).unwrap_or(u64::MAX);
            if self.longest.as_ref().is_none_or(|longest| ms > longest.ms) {
                self.longest = Some(Held { table: lock.1.clone(), mode: lock.2.clone(), ms });
            }
        }
    }

    /// The lock that was held the longest so far.
    pub fn held(&self) -> Option<&Held> {
        self.longest.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_that_is_held_the_longest_without_a_pause_counts() {
        let lock = |table: &str| (1, table.to_owned(), "AccessExclusiveLock".to_owned());
        let mut longest = Longest::default();
        let at = Duration::from_millis;
        longest.see(at(0), &[lock("users")]);
        longest.see(at(100), &[lock("users"), lock("posts")]);
        longest.see(at(200), &[lock("posts")]);
        longest.see(at(300), &[lock("users"), lock("posts")]);
        longest.see(at(400), &[lock("users")]);
        let held = longest.held().expect("one");
        assert_eq!((held.table.as_str(), held.ms), ("posts", 200));
        assert_eq!(Longest::default().held(), None);
    }

    #[test]
    fn no_text_of_a_statement_is_shown() {
        assert_eq!(
            without_texts("alter role  mm\n password 'hunter2' valid until 'x'"),
            "alter role mm password '...' valid until '...'"
        );
        assert_eq!(without_texts("select 'it''s hunter2'"), "select '...''...'");
        assert_eq!(without_texts("select 'hunter2"), "select '...'");
        assert_eq!(without_texts("select 1"), "select 1");
    }
}

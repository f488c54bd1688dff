//! The journal's file: made complete or not at all, checked on opening, moved aside when damaged.

use super::error::Reason;
use jiff::Timestamp;
use sqlx::{
    ConnectOptions, Connection, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, ErrorKind},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

/// `PRAGMA user_version` of the schema below.
///
/// 1: `runs` has no `program`, and no run is abandoned.
const FORMAT: i64 = 2;

/// The columns that every format has.
const COLUMNS: &str = "
select id, operation, title, who, why, plan, started_at, finished_at, outcome from runs limit 0;
select run, seq, step, kind, at, detail from entries limit 0;
";

/// `program` is the version that wrote the run; null in runs of format 1.
const RUNS: &str = "
create table runs (
    id integer primary key,
    operation text not null,
    title text not null,
    who text not null,
    why text not null,
    program text,
    plan text not null,
    started_at integer not null,
    finished_at integer,
    outcome text check (outcome in ('done', 'undone', 'needs-you', 'abandoned'))
) strict;
create unique index one_unfinished_run on runs ((1)) where finished_at is null;
";

const ENTRIES: &str = "
create table entries (
    run integer not null references runs (id),
    seq integer not null,
    step text not null,
    kind text not null check (kind in
        ('started', 'succeeded', 'failed', 'undo-started', 'undo-finished', 'undo-failed')),
    at integer not null,
    detail text,
    primary key (run, seq)
) strict, without rowid;
";

/// From format 1: a check of a column changes only with its table (<https://sqlite.org/lang_altertable.html>, section 7).
const FROM_1: &str = "
alter table runs rename to runs_1;
drop index one_unfinished_run;
";
const COPY_1: &str = "
insert into runs (id, operation, title, who, why, plan, started_at, finished_at, outcome)
    select id, operation, title, who, why, plan, started_at, finished_at, outcome from runs_1;
drop table runs_1;
";

pub(super) async fn open(path: &Path) -> Result<SqliteConnection, Reason> {
    if !path.try_exists()? {
        make(path).await?;
    }
    refuse_empty(path)?;
    let (mut connection, format) =
        connect_and_check(options(path).synchronous(SqliteSynchronous::Full)).await?;
    // Only now that it is known to be ours: this writes to the file where a tool has left another mode.
    sqlx::raw_sql("pragma journal_mode = wal").execute(&mut connection).await?;
    if format < FORMAT {
        bring_up_to_date(&mut connection).await?;
    }
    Ok(connection)
}

pub(super) async fn open_read_only(path: &Path) -> Result<SqliteConnection, Reason> {
    refuse_empty(path)?;
    // Without a `-wal` the file alone is the whole truth. Read as one that cannot change, it needs no `-shm`, which a
    // reader would leave behind, and may not be able to make.
    let whole = !beside(path, "-wal").try_exists()?;
    let of = |whole: bool| connect_and_check(options(path).read_only(true).immutable(whole));
    match of(whole).await {
        // A full disk has no room for the `-shm`; with nothing in the `-wal` it is not needed.
        Err(Reason::Storage(_)) if is_empty(&beside(path, "-wal")) => Ok(of(true).await?.0),
        opened => Ok(opened?.0),
    }
}

fn is_empty(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.len() == 0)
}

async fn connect_and_check(options: SqliteConnectOptions) -> Result<(SqliteConnection, i64), Reason> {
    let mut connection = options.connect().await?;
    let format = check(&mut connection).await?;
    Ok((connection, format))
}

/// Brings a file of format 1 to the present one, wholly or not at all.
async fn bring_up_to_date(connection: &mut SqliteConnection) -> Result<(), Reason> {
    // With foreign keys on, dropping the old table would fail on what refers to it; with them off outside a
    // transaction, renaming leaves `entries` referring to `runs` by name.
    sqlx::raw_sql("pragma foreign_keys = off; pragma legacy_alter_table = on")
        .execute(&mut *connection)
        .await?;
    let mut transaction = connection.begin_with("begin immediate").await?;
    let format: i64 = sqlx::query_scalar("pragma user_version").fetch_one(&mut *transaction).await?;
    // Another process may have been quicker.
    if format < FORMAT {
        let version = format!("pragma user_version = {FORMAT};");
        for sql in [FROM_1, RUNS, COPY_1, &version] {
            sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut *transaction).await?;
        }
    }
    transaction.commit().await?;
    sqlx::raw_sql("pragma legacy_alter_table = off; pragma foreign_keys = on")
        .execute(&mut *connection)
        .await?;
    Ok(())
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(10))
        .disable_statement_logging()
}

/// Builds the file under another name and links it into place. Of two processes that do so at once, one wins
/// and both go on with its file.
async fn make(path: &Path) -> Result<(), Reason> {
    let draft = beside(path, &format!(".new-{:016x}", rand::random::<u64>()));
    let made = async {
        // Who asks, and why, is nobody else's business. SQLite gives `-wal` and `-shm` the same mode.
        File::options().write(true).create_new(true).mode(0o600).open(&draft)?;
        // A draft is nothing until it is linked, so one sync at the end is enough.
        let draft_options =
            options(&draft).journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Off);
        let mut connection = draft_options.connect().await?;
        let version = format!("pragma user_version = {FORMAT};");
        for sql in [RUNS, ENTRIES, &version] {
            sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await?;
        }
        connection.close().await?;
        File::open(&draft)?.sync_all()?;
        match fs::hard_link(&draft, path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(Reason::from(error)),
            _ => Ok(()),
        }
    };
    let made = made.await;
    // Also after an error: a draft is nothing to anybody.
    match fs::remove_file(&draft) {
        Err(error) if made.is_ok() => return Err(error.into()),
        _ => made?,
    }
    Ok(sync_directory(path)?)
}

fn refuse_empty(path: &Path) -> Result<(), Reason> {
    match fs::metadata(path)? {
        metadata if !metadata.is_file() => Err(Reason::Unopenable("it is not a file".to_owned())),
        metadata if metadata.len() == 0 => Err(Reason::Corrupt("it is empty".to_owned())),
        _ => Ok(()),
    }
}

/// Checks that the file is a whole journal; returns its format.
async fn check(connection: &mut SqliteConnection) -> Result<i64, Reason> {
    let format: i64 = sqlx::query_scalar("pragma user_version").fetch_one(&mut *connection).await?;
    match format {
        1..=FORMAT => {}
        found if found > FORMAT => return Err(Reason::Newer { found, known: FORMAT }),
        found => return Err(Reason::Corrupt(format!("it has format {found}, which no version has written"))),
    }
    let verdict: String = sqlx::query_scalar("pragma quick_check(1)").fetch_one(&mut *connection).await?;
    if verdict != "ok" {
        return Err(Reason::Corrupt(verdict));
    }
    // Fails by name when a table or a column is missing.
    sqlx::raw_sql(COLUMNS).execute(&mut *connection).await?;
    Ok(format)
}

/// The `-wal` goes with its file: left behind, SQLite would replay it into the next one.
pub(super) fn set_aside(path: &Path) -> Result<PathBuf, Reason> {
    let stamp = Timestamp::now().strftime("%Y%m%dT%H%M%S%.3fZ");
    let aside = beside(path, &format!(".corrupt-{stamp}"));
    // The file first: without it, the others mean nothing, and a kill here loses nothing.
    rename_new(path, &aside)?;
    for tail in ["-wal", "-shm"] {
        match rename_new(&beside(path, tail), &beside(&aside, tail)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    sync_directory(path)?;
    Ok(aside)
}

fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    if to.try_exists()? {
        return Err(io::Error::new(ErrorKind::AlreadyExists, format!("{} exists already", to.display())));
    }
    fs::rename(from, to)
}

pub(super) fn beside(path: &Path, tail: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(tail);
    PathBuf::from(name)
}

fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

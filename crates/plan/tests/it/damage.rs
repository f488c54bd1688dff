//! Journals that are broken: each is named, none is taken for good, none is changed.

use plan::{
    Action, Engine, Failure, Faults, Holder, Journal, JournalError, Lock, Phase, Plan, Progress, Step, Undo,
};
use rand::{RngCore, SeedableRng, rngs::StdRng};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

#[derive(Debug, Serialize, Deserialize)]
struct Nothing;

impl Action for Nothing {
    type World = ();

    async fn apply(&self, (): &(), _: &Progress) -> Result<Value, Failure> {
        Ok(Value::Null)
    }

    async fn undo(&self, (): &(), _: Option<&Value>, _: &Progress) -> Result<(), Failure> {
        Ok(())
    }
}

/// A closed journal with `runs` runs of two steps, `a` and `b`.
async fn journal(runs: usize) -> (TempDir, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("state.db");
    let journal = Journal::open(&path).await.unwrap();
    let lock =
        Lock::acquire(&place.path().join("lock"), &Holder::new("ann", "up", "to test", "0.1.0")).unwrap();
    let step = |name: &str| Step {
        name: name.to_owned(),
        title: "Do nothing".to_owned(),
        undo: Undo::by("Do nothing"),
        snapshot: false,
        checkpoint: false,
        estimate: Duration::ZERO,
        action: Nothing,
    };
    let plan = Plan::new("up", "Nothing", vec![step("a"), step("b")]);
    for _ in 0..runs {
        let mut unread = ();
        let mut engine =
            Engine::new(&journal, &lock, &mut unread, Faults::default(), CancellationToken::new());
        engine.run(&plan, &()).await.unwrap();
    }
    journal.close().await.unwrap();
    (place, path)
}

#[tokio::test]
async fn nobody_else_reads_a_journal() {
    let (place, path) = journal(1).await;
    let open = Journal::open(&path).await.unwrap();
    for entry in fs::read_dir(place.path()).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert!(!name.starts_with("state.db") || mode == 0o600, "{name}: {mode:o}");
    }
    open.close().await.unwrap();
}

async fn sql(path: &Path, statements: &str) {
    let options = SqliteConnectOptions::new().filename(path).foreign_keys(false);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// Opens and reads everything; the error of whichever fails.
async fn read(path: &Path) -> Result<usize, JournalError> {
    let journal = Journal::open(path).await?;
    journal.unfinished::<Nothing>().await?;
    Ok(journal.runs(1000).await?.len())
}

async fn refused_as_corrupt(path: &Path, because: &str) {
    let before = fs::read(path).unwrap();
    let error = read(path).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, JournalError::Corrupt { .. }), "{text}");
    assert!(text.contains(because), "`{because}` is not in: {text}");
    // The way out is a command, which this crate does not know.
    assert!(text.contains(path.to_str().unwrap()), "{text}");
    assert!(fs::read(path).unwrap() == before, "a refused journal was changed");
}

#[tokio::test]
async fn a_sound_journal_is_read() {
    let (_place, path) = journal(3).await;
    assert_eq!(read(&path).await.unwrap(), 3);
}

#[tokio::test]
async fn a_truncated_file_is_corrupt() {
    let (_place, path) = journal(40).await;
    let whole = fs::read(&path).unwrap();
    for (length, because) in
        [(0, "it is empty"), (50, ""), (4096, ""), (whole.len() / 2, ""), (whole.len() - 1, "")]
    {
        fs::write(&path, &whole[..length]).unwrap();
        refused_as_corrupt(&path, because).await;
    }
}

#[tokio::test]
async fn an_overwritten_file_is_corrupt() {
    let (_place, path) = journal(40).await;
    let whole = fs::read(&path).unwrap();
    let mut random = vec![0; whole.len()];
    StdRng::seed_from_u64(1).fill_bytes(&mut random);
    fs::write(&path, &random).unwrap();
    refused_as_corrupt(&path, "not a database").await;
    // One page at a time, the way a bad disk does it.
    for page in 0..whole.len() / 4096 {
        let mut damaged = whole.clone();
        let bytes = page * 4096..(page + 1) * 4096;
        damaged[bytes.clone()].copy_from_slice(&random[bytes]);
        fs::write(&path, damaged).unwrap();
        refused_as_corrupt(&path, "").await;
    }
}

#[tokio::test]
async fn a_file_of_the_first_format_is_read_as_it_is_and_brought_up_to_date_when_opened() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("state.db");
    fs::write(&path, []).unwrap();
    sql(&path, include_str!("../../../deploy/tests/golden/journal-1.sql")).await;
    let before = fs::read(&path).unwrap();
    let journal = Journal::open_read_only(&path).await.unwrap();
    let read = journal.runs(9).await.unwrap();
    journal.close().await.unwrap();
    assert!(fs::read(&path).unwrap() == before, "reading changed the file");
    for _ in 0..2 {
        let journal = Journal::open(&path).await.unwrap();
        assert_eq!(journal.runs(9).await.unwrap(), read);
        journal.close().await.unwrap();
    }
    let [run] = &read[..] else { panic!("{read:?}") };
    assert_eq!(
        (run.program.as_deref(), run.plan.format, run.state.phase.clone()),
        (None, 1, Phase::Running(1))
    );
    assert_eq!(run.plan.steps[1].undo, Undo::by("Remove them"));
    assert_eq!(run.plan.steps.last().unwrap().undo, Undo::Nothing);
}

/// A plan that is sound and whose actions this version does not know is not damaged: who wrote it is said, and it can be
/// given up.
#[tokio::test]
async fn a_plan_of_another_version_is_told_from_a_damaged_one_and_can_be_given_up() {
    let strange = r#"replace(plan, '"action":null', '"action":{"fly":1}')"#;
    let newer = &*format!(r#"replace(plan, '"format":2', '"format":{}')"#, plan::FORMAT + 1);
    let because = &*format!("format {}, and this version knows up to {}", plan::FORMAT + 1, plan::FORMAT);
    for (change, because) in [(strange, "fly"), (newer, because)] {
        let (place, path) = journal(2).await;
        let unfinish = "delete from entries where run = 2; update runs set outcome = null, finished_at = null where id = 2";
        sql(&path, &format!("update runs set plan = {change} where id = 2; {unfinish}")).await;
        let journal = Journal::open(&path).await.unwrap();
        let error = journal.unfinished::<Nothing>().await.unwrap_err();
        let JournalError::ForeignPlan { program, operation, reason, .. } = &error else { panic!("{error}") };
        assert_eq!((program.as_deref(), operation.as_str()), (Some("0.1.0"), "up"));
        assert!(error.to_string().contains("version 0.1.0 wrote its plan"), "{error}");
        assert!(reason.contains(because) || change == strange, "{reason}");

        let lock = Lock::acquire(&place.path().join("lock"), &Holder::new("ann", "up", "", "0.1.0")).unwrap();
        let given_up = journal.abandon(&lock).await.unwrap().expect("it was unfinished");
        assert_eq!(given_up.to_string(), "2");
        assert!(journal.unfinished::<Nothing>().await.unwrap().is_none());
        assert_eq!(journal.abandon(&lock).await.unwrap(), None);
        if change == strange {
            let run = journal.run(given_up).await.unwrap().expect("it is in the history");
            assert!(run.abandoned && run.finished_at.is_some());
        }
    }
}

#[tokio::test]
async fn a_foreign_database_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("state.db");
    let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    SqliteConnection::connect_with(&options).await.unwrap().close().await.unwrap();
    sql(&path, "create table posts (id text)").await;
    refused_as_corrupt(&path, "format 0").await;
}

#[tokio::test]
async fn a_missing_table_or_column_is_named() {
    let (_place, path) = journal(1).await;
    sql(&path, "alter table entries rename column detail to details").await;
    refused_as_corrupt(&path, "detail").await;
    sql(&path, "drop table entries").await;
    refused_as_corrupt(&path, "entries").await;
}

#[tokio::test]
async fn a_history_that_cannot_have_happened_is_named() {
    for (statement, because) in [
        ("update entries set kind = 'succeeded' where seq = 0", "entry 0 says `a` succeeded"),
        ("update entries set step = 'b' where seq = 0", "entry 0 says `b` started"),
        ("delete from entries where seq = 1", "entry 1 is missing"),
        ("delete from entries where seq = 3", "it is marked done, but its entries leave it unfinished"),
        ("update runs set outcome = 'undone'", "it is marked undone, but its entries leave it done"),
        ("update runs set outcome = null, finished_at = null", "it is marked unfinished"),
        ("update runs set plan = '{}'", "its plan cannot be read"),
        ("update runs set plan = json_set(plan, '$.steps[1].name', 'a')", "two steps are called `a`"),
        ("update entries set detail = '{' where seq = 1", "entry 1 cannot be read"),
        ("update entries set kind = 'failed' where seq = 1", "entry 1 cannot be read"),
        ("update runs set started_at = 9223372036854775807", "run 1"),
    ] {
        let (_place, path) = journal(1).await;
        sql(&path, statement).await;
        refused_as_corrupt(&path, because).await;
    }
}

#[tokio::test]
async fn an_action_of_another_program_is_named() {
    let (_place, path) = journal(1).await;
    let unfinish = "delete from entries where seq > 0;
        update runs set outcome = null, finished_at = null,
            plan = json_set(plan, '$.steps[0].action', 'launch-rocket');";
    sql(&path, unfinish).await;
    // History does not look into actions; recovery must.
    assert_eq!(Journal::open(&path).await.unwrap().runs(1).await.unwrap().len(), 1);
    let error = read(&path).await.unwrap_err();
    assert!(matches!(error, JournalError::ForeignPlan { .. }), "{error}");
    assert!(error.to_string().contains("launch-rocket"), "{error}");
    sql(&path, "update runs set plan = json_remove(plan, '$.steps[0].name')").await;
    refused_as_corrupt(&path, "its plan cannot be read").await;
}

#[tokio::test]
async fn a_later_format_is_not_touched() {
    let (_place, path) = journal(1).await;
    sql(&path, "pragma user_version = 3").await;
    for error in [Journal::open(&path).await.unwrap_err(), Journal::open_read_only(&path).await.unwrap_err()]
    {
        assert!(matches!(error, JournalError::Newer { found: 3, known: 2, .. }), "{error}");
        assert!(error.to_string().contains("use the version that wrote it, or a newer one"), "{error}");
    }
}

#[tokio::test]
async fn a_place_that_cannot_be_written_is_named() {
    // Not even root can make a file there.
    let error = Journal::open(Path::new("/proc/state.db")).await.unwrap_err();
    assert!(matches!(error, JournalError::Unopenable { .. }), "{error}");
    assert!(error.to_string().contains("/proc/state.db"), "{error}");
    let place = tempfile::tempdir().unwrap();
    for path in [place.path().join("missing/state.db"), place.path().to_owned()] {
        let error = Journal::open(&path).await.unwrap_err();
        assert!(matches!(error, JournalError::Unopenable { .. }), "{error}");
    }
    let error = Journal::open_read_only(&place.path().join("state.db")).await.unwrap_err();
    assert!(matches!(error, JournalError::Unopenable { .. }), "{error}");
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0, "a refusal left something behind");
}

#[tokio::test]
async fn a_read_only_directory_can_be_read() {
    let (place, path) = journal(2).await;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o555)).unwrap();
    let runs = Journal::open_read_only(&path).await.unwrap().runs(10).await.unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(runs.len(), 2);
}

#[tokio::test]
async fn a_damaged_journal_is_set_aside_whole() {
    let (place, path) = journal(1).await;
    fs::write(&path, "rubbish").unwrap();
    fs::write(place.path().join("state.db-wal"), "more rubbish").unwrap();
    let aside = Journal::set_aside(&path).unwrap();
    assert!(aside.to_str().unwrap().contains("state.db.corrupt-2"), "{}", aside.display());
    assert_eq!(fs::read_to_string(&aside).unwrap(), "rubbish");
    let wal = format!("{}-wal", aside.display());
    assert_eq!(fs::read_to_string(wal).unwrap(), "more rubbish");
    assert_eq!(read(&path).await.unwrap(), 0);
    drop(place);
}

#[tokio::test]
async fn of_many_that_make_it_at_once_all_get_the_same_journal() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("state.db");
    let open = |_| {
        let path = path.clone();
        tokio::spawn(async move { Journal::open(&path).await.unwrap().runs(1).await.unwrap().len() })
    };
    for opened in (0..8).map(open).collect::<Vec<_>>() {
        assert_eq!(opened.await.unwrap(), 0);
    }
    let names = fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let drafts = names.filter(|name| name.to_string_lossy().contains(".new-")).count();
    assert_eq!(drafts, 0);
}

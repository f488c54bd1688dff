//! How the last backup, check and drill ended: `backups.json`, format 1. A failure stays in it until one succeeds.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt as _;

use finding::Hint;
use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Exit};
use crate::place::layout::{FILE_LIMIT, Layout};
use crate::state::words::{CREATE_BACKUP, DRILL};

/// The version of the file.
const FORMAT: u32 = 1;

/// What is known of a deployment's backups.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The version of the format.
    format: u32,
    /// Where the repository was when it was last used: one that is gone is not one that never was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// When the key was last exported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_exported: Option<Timestamp>,
    /// Backups.
    #[serde(default)]
    pub backup: Results,
    /// Checks.
    #[serde(default)]
    pub check: Results,
    /// Drills.
    #[serde(default)]
    pub drill: Results,
}

impl Default for Record {
    fn default() -> Self {
        let (backup, check, drill) = Default::default();
        Self { format: FORMAT, repository: None, key_exported: None, backup, check, drill }
    }
}

/// How the last attempts of one kind ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// The newest attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Attempt>,
    /// The newest that succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub good: Option<Attempt>,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// When it began.
    pub began: Timestamp,
    /// When it ended; `None` = it runs, or was killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// Where the repository is.
    pub repository: String,
    /// The snapshot that it made or looked at, in full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// What it came to, as its command reports it.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub report: serde_json::Value,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// What was wrong.
    pub what: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The exit code of the command.
    pub exit: u8,
}

/// What is attempted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// A backup.
    Backup,
    /// A check of the repository.
    Check,
    /// A drill.
    Drill,
}

impl Work {
    /// The operation that does it under the deployment's lock; a check takes none.
    pub(crate) fn operation(self) -> &'static str {
        match self {
            Self::Backup => CREATE_BACKUP,
            Self::Check => "backup check",
            Self::Drill => DRILL,
        }
    }

    /// In a sentence.
    pub fn word(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Check => "check of the backups",
            Self::Drill => "drill",
        }
    }
}

/// What an attempt came to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Success {
    /// The snapshot that it made or looked at.
    pub snapshot: Option<String>,
    /// What its command reports.
    pub report: serde_json::Value,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_none(count: &u64) -> bool {
    *count == 0
}

/// A snapshot that was made, as its command reports it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Taken {
    /// Its id, in full.
    pub snapshot: String,
    /// Where it is.
    pub location: String,
    /// The moment that it is of.
    pub taken: Timestamp,
    /// How long it took, in ms.
    pub ms: u64,
    /// Bytes that the repository grew by.
    pub added: u64,
    /// Files of the deployment in it.
    pub files: u64,
    /// Bytes in it, the dump with them.
    pub bytes: u64,
    /// Uploaded files that the database knows and that are not in it, because they are gone from the disk.
    #[serde(default, skip_serializing_if = "is_none")]
    pub missing: u64,
    /// Files that were read, because they are new or have changed.
    pub read: u64,
    /// Files that are as they were in the snapshot before.
    pub unchanged: u64,
    /// How many snapshots there are now.
    pub snapshots: usize,
    /// Why the uploaded files are not in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub without_files: Option<String>,
}

impl Record {
    /// What is known; nothing where there is no file.
    ///
    /// # Errors
    /// It cannot be read, or a newer Mainstay wrote it.
    pub(crate) fn read(layout: &Layout) -> Result<Self, Error> {
        let path = layout.backup_record();
        let content = match host::disk::read_guarded(&path, FILE_LIMIT) {
            Ok(content) => content,
            Err(error) if error.source.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error.into()),
        };
        let record: Self = serde_json::from_slice(&content.bytes).map_err(|error| {
            Error::new(Exit::Settings, format!("{}:{}: {error}", path.display(), error.line()))
                .hint("remove the file: only the results of earlier backups are lost")
        })?;
        if record.format > FORMAT {
            let what =
                format!("{} has format {}, which a newer Mainstay wrote", path.display(), record.format);
            return Err(Error::new(Exit::Refused, what).hint("use the newer Mainstay again"));
        }
        Ok(record)
    }

    /// Changes it. Whoever is refused because another operation holds the deployment's lock writes it, too, so it has a lock of its own.
    ///
    /// # Errors
    /// The disk.
    pub(crate) fn change(layout: &Layout, change: impl FnOnce(&mut Self)) -> Result<(), Error> {
        let path = layout.run().join("backups.lock");
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = file.map_err(|error| Error::path("open", &path, &error))?;
        flock(&file, FlockOperation::LockExclusive)
            .map_err(|error| Error::path("lock", &path, &error.into()))?;
        let mut record = Self::read(layout)?;
        change(&mut record);
        let mut text =
            serde_json::to_vec_pretty(&record).map_err(|error| Error::new(Exit::Bug, error.to_string()))?;
        text.push(b'\n');
        Ok(host::disk::atomic_write(&layout.backup_record(), &text, 0o600, None)?)
    }

    /// The results of one kind.
    pub fn results(&self, work: Work) -> &Results {
        match work {
            Work::Backup => &self.backup,
            Work::Check => &self.check,
            Work::Drill => &self.drill,
        }
    }

    fn results_mut(&mut self, work: Work) -> &mut Results {
        match work {
            Work::Backup => &mut self.backup,
            Work::Check => &mut self.check,
            Work::Drill => &mut self.drill,
        }
    }

    /// What failed last and has not succeeded since: the work, when it began, and why.
    pub fn failures(&self) -> Vec<(Work, &Attempt, String)> {
        let works = [Work::Backup, Work::Check, Work::Drill].into_iter();
        let failed = works.filter_map(|work| {
            let last = self.results(work).last.as_ref()?;
            let why = match (&last.failure, last.ended) {
                (Some(failure), _) => failure.what.clone(),
                (None, None) => "it did not end".to_owned(),
                (None, Some(_)) => return None,
            };
            Some((work, last, why))
        });
        failed.collect()
    }
}

/// An attempt that goes on. One that is dropped without a word did not end, and the record says so.
pub(crate) struct Begun {
    layout: Layout,
    work: Work,
    attempt: Attempt,
    /// The attempt before, which counts again where this one was none.
    before: Option<Attempt>,
}

impl Begun {
    /// Writes down that it begins.
    ///
    /// # Errors
    /// The disk.
    pub(crate) fn new(layout: &Layout, work: Work, repository: &str) -> Result<Self, Error> {
        let attempt = Attempt {
            began: Timestamp::now(),
            ended: None,
            repository: repository.to_owned(),
            snapshot: None,
            report: serde_json::Value::Null,
            failure: None,
        };
        let mut this = Self { layout: layout.clone(), work, attempt, before: None };
        Record::change(layout, |record| {
            this.before = record.results_mut(work).last.replace(this.attempt.clone());
        })?;
        Ok(this)
    }

    /// It was no attempt: somebody mistyped, or did not agree.
    ///
    /// # Errors
    /// The disk.
    pub(crate) fn forget(self) -> Result<(), Error> {
        let Self { layout, work, before, .. } = self;
        Record::change(&layout, |record| record.results_mut(work).last = before)
    }

    /// Writes down how it ended. A mistake on the command line is no attempt.
    ///
    /// # Errors
    /// The disk.
    pub(crate) fn end(mut self, outcome: Result<Success, &Error>) -> Result<(), Error> {
        if outcome.as_ref().is_err_and(|error| error.exit == Exit::Usage) {
            return self.forget();
        }
        self.attempt.ended = Some(Timestamp::now());
        let succeeded = outcome.is_ok();
        match outcome {
            Ok(Success { snapshot, report }) => {
                self.attempt.snapshot = snapshot;
                self.attempt.report = report;
            }
            Err(error) => self.attempt.failure = Some(Failure::of(error)),
        }
        let Self { layout, work, attempt, .. } = self;
        Record::change(&layout, |record| {
            let results = record.results_mut(work);
            if succeeded {
                results.good = Some(attempt.clone());
            }
            results.last = Some(attempt);
        })
    }
}

impl Failure {
    fn of(error: &Error) -> Self {
        Self {
            what: error.what.clone(),
            hint: error.hint.as_ref().map(Hint::to_string),
            exit: error.exit.code(),
        }
    }
}

/// Writes down an attempt that was refused before it began. A mistake on the command line is none.
pub(crate) fn refused(layout: &Layout, work: Work, repository: &str, error: &Error) {
    if error.exit == Exit::Usage || !layout.run().is_dir() {
        return;
    }
    let ended = Begun::new(layout, work, repository).and_then(|begun| begun.end(Err(error)));
    if let Err(unwritten) = ended {
        tracing::warn!(%unwritten, "a failed {} is not written down", work.word());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> (tempfile::TempDir, Layout) {
        let dir = tempfile::tempdir().expect("a directory");
        let layout = Layout::new(dir.path());
        std::fs::create_dir_all(layout.run()).expect("made");
        (dir, layout)
    }

    #[test]
    fn a_failure_stays_until_one_succeeds() {
        let (_dir, layout) = layout();
        let failures = || Record::read(&layout).expect("a record").failures().len();
        assert_eq!(failures(), 0);
        let begun = Begun::new(&layout, Work::Backup, "/b").expect("written");
        assert_eq!(failures(), 1, "one that does not end has failed");
        let success = Success { snapshot: Some("a1".to_owned()), ..Success::default() };
        begun.end(Ok(success)).expect("written");
        assert_eq!(failures(), 0);
        refused(&layout, Work::Drill, "/b", &Error::not_ready("the disk is full"));
        let mistyped = Begun::new(&layout, Work::Backup, "/b").expect("written");
        mistyped.end(Err(&Error::new(Exit::Usage, "no such snapshot"))).expect("written");
        refused(&layout, Work::Backup, "/b", &Error::new(Exit::Usage, "a mistake"));
        let record = Record::read(&layout).expect("a record");
        let failed: Vec<_> = record.failures().iter().map(|(work, _, why)| (*work, why.clone())).collect();
        assert_eq!(failed, [(Work::Drill, "the disk is full".to_owned())]);
        assert_eq!(record.backup.good.and_then(|good| good.snapshot).as_deref(), Some("a1"));
    }

    #[test]
    fn format_1_is_read_for_ever() {
        let (_dir, layout) = layout();
        let golden = include_str!("../../../tests/golden/backups-1.json");
        std::fs::write(layout.backup_record(), golden).expect("written");
        let record = Record::read(&layout).expect("it is read");
        assert_eq!(record.failures().len(), 1);
        assert_eq!(format!("{}\n", serde_json::to_string_pretty(&record).expect("JSON")), golden);
    }
}

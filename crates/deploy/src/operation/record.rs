//! What the journal knows, and whether an operation can be recorded. What stops or removes a deployment is wanted most where it cannot: on
//! a full disk, with a damaged journal.

use std::io::ErrorKind;

use jiff::Timestamp;
use plan::{Journal, JournalError, Phase, Run, RunId};
use serde::Serialize;

use crate::error::Error;
use crate::place::layout::Layout;
use crate::state::full_disk::in_words;
use crate::state::words::{
    CREATE_BACKUP, DEPLOY_APP, DRILL, HOOK, MOVE_DATABASE, REHEARSE, ROLLBACK, UNINSTALL, UPGRADE,
    UPGRADE_DATABASE, works_beside,
};

/// What a run writes at most, in bytes: the holder of the lock, the plan, its entries, and what SQLite keeps beside them.
const ROOM: usize = 256 << 10;

/// A run that is neither done nor undone.
#[derive(Debug, Clone, Serialize)]
pub struct Unfinished {
    /// Its number.
    pub run: RunId,
    /// The command's word.
    pub operation: String,
    /// What it is for.
    pub title: String,
    /// When it began.
    pub began: Timestamp,
    /// Why it needs somebody; `None` = it was only interrupted.
    pub needs_you: Option<String>,
}

impl Unfinished {
    /// Whether the next operation takes it back; otherwise it goes on with it.
    pub fn is_taken_back(&self) -> bool {
        taken_back(&self.operation)
    }

    /// Whether it may have left something half done that people use.
    pub fn matters(&self) -> bool {
        self.needs_you.is_some() || !works_beside(&self.operation)
    }
}

/// Whether an interrupted run of this operation is taken back by whatever comes next. An interrupted removal is: only `uninstall` itself was
/// asked to remove. So is the deployment of an app, whose bundle may be gone; a drill or a rehearsal, which nobody needs; a backup: the moment that it was of has passed; an upgrade of
/// Mattermost or of its database, a rollback, and a move of the data: until people are let in, the way back loses nothing.
pub(super) fn taken_back(operation: &str) -> bool {
    [
        UNINSTALL,
        DEPLOY_APP,
        CREATE_BACKUP,
        DRILL,
        REHEARSE,
        UPGRADE,
        ROLLBACK,
        HOOK,
        MOVE_DATABASE,
        UPGRADE_DATABASE,
    ]
    .contains(&operation)
}

/// What the journal knew at some moment: by it one sees whether another operation has run since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Past {
    last: Option<RunId>,
    /// Whether the newest run is neither done nor undone.
    pub(super) unfinished: bool,
}

impl Past {
    /// Of a deployment that may have no journal. Nothing is made.
    pub(super) async fn read(layout: &Layout) -> Result<Self, Error> {
        if !layout.journal().exists() {
            return Ok(Self::default());
        }
        let journal = Journal::open_read_only(&layout.journal()).await?;
        Self::of(&journal).await
    }

    pub(super) async fn of(journal: &Journal) -> Result<Self, Error> {
        let last = journal.last().await?;
        Ok(Self { last: last.map(|(run, _)| run), unfinished: last.is_some_and(|(_, finished)| !finished) })
    }
}

/// What keeps a run from being recorded, in words; `None` = nothing.
pub(super) async fn obstacle(layout: &Layout) -> Option<String> {
    match newest(layout).await {
        Ok(_) => full(layout),
        // A journal of another version is whole: who may use it is said by whoever opens it.
        Err(JournalError::Newer { .. } | JournalError::ForeignPlan { .. }) => None,
        Err(error) => Some(error.to_string()),
    }
}

/// The newest run.
///
/// # Errors
/// The journal cannot be read.
pub(super) async fn newest(layout: &Layout) -> Result<Option<Run>, JournalError> {
    let path = layout.journal();
    if !path.exists() {
        return Ok(None);
    }
    Ok(Journal::open_read_only(&path).await?.runs(1).await?.pop())
}

/// The run that is neither done nor undone.
///
/// # Errors
/// The journal cannot be read.
pub(super) async fn unfinished(layout: &Layout) -> Result<Option<Unfinished>, Error> {
    let newest = newest(layout).await.map_err(Error::of_reader)?;
    Ok(newest.filter(|run| run.finished_at.is_none()).map(|run| Unfinished {
        run: run.id,
        operation: run.plan.operation,
        title: run.plan.title,
        began: run.started_at,
        needs_you: match run.state.phase {
            Phase::Stuck(_, failure) => Some(failure.message),
            _ => None,
        },
    }))
}

/// Which disk is full, so that nothing can be written in the deployment's directory.
fn full(layout: &Layout) -> Option<String> {
    let error = host::disk::probe_with(layout.root(), ROOM).err()?;
    let is_full = matches!(error.source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
    is_full.then(|| in_words(layout.root()).unwrap_or_else(|| error.to_string()))
}

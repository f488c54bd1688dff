//! `history`: every run of the deployment, and one run in detail. Reads the journal and changes nothing.

use jiff::Timestamp;
use plan::{EntryKind, Failure, Journal, NotUndone, Phase, Run, RunId, Undo};
use serde::Serialize;

use crate::error::{Error, Exit};
use crate::world::World;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunOutcome {
    /// Every step succeeded.
    Done,
    /// A step failed, and what can be undone is undone.
    Undone,
    /// An undo failed: the next command tries it again.
    NeedsYou,
    /// It runs now, or was killed: the next changing command goes on with it.
    Unfinished,
    /// It was given up where it stood.
    Abandoned,
}

/// One run.
#[derive(Debug, Clone, Serialize)]
pub struct RunSummary {
    /// Its number.
    pub run: RunId,
    /// The command's word.
    pub operation: String,
    /// What it was for.
    pub title: String,
    /// Who ran it.
    pub who: String,
    /// Why, in words.
    pub why: String,
    /// The version of Mainstay that began it; `None` in the oldest runs.
    pub program: Option<String>,
    /// When it began.
    pub started_at: Timestamp,
    /// When nothing was left to do.
    pub finished_at: Option<Timestamp>,
    /// How it ended.
    pub outcome: RunOutcome,
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
    /// What stays of a run that was undone.
    pub not_undone: Vec<NotUndone>,
    /// Its steps, in order.
    pub steps: Vec<StepSummary>,
}

/// One step of a run.
#[derive(Debug, Clone, Serialize)]
pub struct StepSummary {
    /// Its name.
    pub step: String,
    /// What it does.
    pub title: String,
    /// What its undo is.
    pub undo: Undo,
    /// What happened to it; `None` = it was not begun.
    pub state: Option<&'static str>,
    /// How long its effect took, in ms, and that of its undo where it was undone.
    pub ms: Option<i64>,
}

/// The last `limit` runs, newest first; none where there is no journal.
///
/// # Errors
/// The journal cannot be read.
pub async fn history(world: &World, limit: u32) -> Result<Vec<RunSummary>, Error> {
    let Some(journal) = journal(world).await? else { return Ok(Vec::new()) };
    Ok(journal.runs(limit).await?.into_iter().map(summary).collect())
}

/// One run.
///
/// # Errors
/// There is no such run; the journal cannot be read.
pub async fn run_of_history(world: &World, run: RunId) -> Result<RunSummary, Error> {
    let journal = journal(world).await?;
    let (found, last) = match &journal {
        Some(journal) => (journal.run(run).await?, journal.last().await?),
        None => (None, None),
    };
    found.map(summary).ok_or_else(|| {
        let hint = match last {
            Some((last, _)) => format!("allowed: 1 to {last}"),
            None => "nothing has been run here; name the deployment's directory with `--dir`".to_owned(),
        };
        Error::new(Exit::Usage, format!("there is no run {run}")).hint(hint)
    })
}

async fn journal(world: &World) -> Result<Option<Journal>, Error> {
    let path = world.layout.journal();
    if !path.exists() {
        return Ok(None);
    }
    Ok(Some(Journal::open_read_only(&path).await?))
}

fn summary(run: Run) -> RunSummary {
    let outcome = match run.state.phase {
        _ if run.abandoned => RunOutcome::Abandoned,
        Phase::Done => RunOutcome::Done,
        Phase::Undone => RunOutcome::Undone,
        Phase::Stuck(..) => RunOutcome::NeedsYou,
        _ => RunOutcome::Unfinished,
    };
    let (steps, not_undone) = (steps(&run), run.not_undone());
    RunSummary {
        run: run.id,
        operation: run.plan.operation,
        title: one_line(&run.plan.title),
        who: one_line(&run.who),
        why: one_line(&run.why),
        program: run.program,
        started_at: run.started_at,
        finished_at: run.finished_at,
        outcome,
        failure: run.state.cause.map(|(_, failure)| failure),
        not_undone,
        steps,
    }
}

/// A text of somebody's that may have line ends or colours in it, as a part of a line.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn steps(run: &Run) -> Vec<StepSummary> {
    let of_step = |step: &plan::Step<serde_json::Value>| {
        let entries = || run.entries.iter().filter(|entry| entry.step == step.name);
        let last = entries().next_back();
        let effect = |pair: &[&plan::Entry]| match pair {
            [begin, end] if is_begun(&begin.kind) && !is_begun(&end.kind) => {
                Some(end.at.as_millisecond() - begin.at.as_millisecond())
            }
            _ => None,
        };
        let all: Vec<_> = entries().collect();
        let ms: Option<i64> =
            all.windows(2).filter_map(effect).fold(None, |sum, ms| Some(sum.unwrap_or(0) + ms));
        StepSummary {
            step: step.name.clone(),
            title: step.title.clone(),
            undo: step.undo.clone(),
            state: last.map(|entry| entry.kind.word()),
            ms,
        }
    };
    run.plan.steps.iter().map(of_step).collect()
}

/// Whether an entry says that something began whose end is not known.
fn is_begun(kind: &EntryKind) -> bool {
    matches!(kind, EntryKind::Started | EntryKind::UndoStarted)
}

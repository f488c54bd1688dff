//! `history`: every run of the deployment, and one run in detail. Reads the journal and changes nothing.

use jiff::Timestamp;
use plan::{EntryKind, Failure, Journal, NotUndone, Phase, Run, RunId, Undo};
use serde::Serialize;

use crate::error::{Error, Exit};
use crate::state::restarts::{self, PartRestart};
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

/// Restarts of a part that nobody asked for, one after another for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Restarts {
    /// The part.
    pub restarted: String,
    /// How it ended, the last time.
    pub why: String,
    /// How often.
    pub times: usize,
    /// When it ended first.
    pub first_at: Timestamp,
    /// When it ended last.
    pub last_at: Timestamp,
}

/// What happened to a deployment.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Event {
    /// Somebody, or the schedule, ran a command that changes something.
    Run(Box<RunSummary>),
    /// The agent started a part again.
    Restarts(Restarts),
}

/// The last `limit` runs and the restarts between them and after them, newest first.
///
/// # Errors
/// The journal cannot be read.
pub async fn history(world: &World, limit: u32) -> Result<Vec<Event>, Error> {
    let runs = runs(world, limit).await?;
    Ok(merged(runs, restarts::read(&world.layout.restarts())))
}

/// Puts restarts, oldest first, between runs, newest first. Those before the oldest run that is shown are left out.
fn merged(runs: Vec<RunSummary>, mut restarts: Vec<PartRestart>) -> Vec<Event> {
    // The clock may have been set back.
    restarts.sort_by_key(|restart| restart.at);
    let mut events = Vec::new();
    for run in runs {
        let began = run.started_at.as_millisecond();
        let later = restarts.split_off(restarts.partition_point(|restart| restart.at < began));
        events.extend(gathered(&later).into_iter().rev().map(Event::Restarts));
        events.push(Event::Run(Box::new(run)));
    }
    events
}

/// Restarts of one part for one reason, together.
fn gathered(restarts: &[PartRestart]) -> Vec<Restarts> {
    let is_same = |one: &PartRestart, next: &PartRestart| one.part == next.part && one.why == next.why;
    let at = |restart: &PartRestart| Timestamp::from_millisecond(restart.at).unwrap_or_default();
    let group = |group: &[PartRestart]| {
        let (first, last) = (group.first()?, group.last()?);
        let (restarted, why) = (last.part.clone(), one_line(&last.why));
        Some(Restarts { restarted, why, times: group.len(), first_at: at(first), last_at: at(last) })
    };
    restarts.chunk_by(is_same).filter_map(group).collect()
}

async fn runs(world: &World, limit: u32) -> Result<Vec<RunSummary>, Error> {
    let Some(journal) = journal(world).await? else { return Ok(Vec::new()) };
    Ok(journal.runs(limit).await.map_err(Error::of_reader)?.into_iter().map(summary).collect())
}

/// One run.
///
/// # Errors
/// There is no such run; the journal cannot be read.
pub async fn run_of_history(world: &World, run: RunId) -> Result<RunSummary, Error> {
    let journal = journal(world).await?;
    let (found, last) = match &journal {
        Some(journal) => (
            journal.run(run).await.map_err(Error::of_reader)?,
            journal.last().await.map_err(Error::of_reader)?,
        ),
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
    Journal::open_read_only(&path).await.map(Some).map_err(Error::of_reader)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn run(number: i64, began: i64) -> RunSummary {
        RunSummary {
            run: number.to_string().parse().expect("a number"),
            operation: "up".to_owned(),
            title: "Install".to_owned(),
            who: "ann".to_owned(),
            why: "to test".to_owned(),
            program: None,
            started_at: Timestamp::from_millisecond(began).expect("a moment"),
            finished_at: None,
            outcome: RunOutcome::Done,
            failure: None,
            not_undone: Vec::new(),
            steps: Vec::new(),
        }
    }

    #[test]
    fn restarts_stand_between_the_runs_and_those_for_one_reason_together() {
        let restart = |at: i64, why: &str| PartRestart { part: "server".to_owned(), at, why: why.to_owned() };
        let restarts = [(5, "early"), (20, "silent"), (21, "silent"), (22, "died"), (40, "silent")];
        let restarts = restarts.map(|(at, why)| restart(at, why)).to_vec();
        let shown = |event: &Event| match event {
            Event::Run(run) => format!("run {}", run.run),
            Event::Restarts(restarts) => format!("{} {}", restarts.times, restarts.why),
        };
        let events = merged(vec![run(2, 30), run(1, 10)], restarts);
        let events: Vec<_> = events.iter().map(shown).collect();
        assert_eq!(events, ["1 silent", "run 2", "1 died", "2 silent", "run 1"]);
    }
}

//! `history`: every run of the deployment, and one run in detail. Reads the journal and changes nothing.

use jiff::Timestamp;
use plan::{EntryKind, Failure, Journal, NotUndone, Phase, Run, RunId, Undo};
use serde::Serialize;

use crate::action::{Action, HOOK_STEP};
use crate::error::{Error, Exit};
use crate::state::ended_runs::{self, EndedRun};
use crate::state::restarts::{self, PartRestart};
use crate::state::run_times::step_ms;
use crate::world::World;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunOutcome {
    /// Every step succeeded.
    Done,
    /// A step failed, and what can be undone is undone.
    Undone,
    /// A step of a later stop failed, and it went back to the last stop that was proven.
    Partly,
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
    /// Where a way with stops stayed after it failed: the release of the last stop that was proven.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stayed_at: Option<String>,
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
    /// What a hook printed, its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub said: Option<String>,
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

/// Scheduled runs of one operation, one after another with one outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScheduledRuns {
    /// The entry of the schedule.
    pub scheduled: String,
    /// The exit code; `None` where it is not known.
    pub exit: Option<u8>,
    /// Why they could not begin.
    pub failure: Option<String>,
    /// How often.
    pub times: usize,
    /// When the first began.
    pub first_at: Timestamp,
    /// When the last began.
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
    /// The agent ran an operation by itself.
    Scheduled(ScheduledRuns),
}

/// The last `limit` runs, and the restarts and scheduled runs between them and after them, newest first.
///
/// # Errors
/// The journal cannot be read.
pub async fn history(world: &World, limit: u32) -> Result<Vec<Event>, Error> {
    let runs = runs(world, limit).await?;
    let (restarts, scheduled) =
        (restarts::read(&world.layout.restarts()), ended_runs::read(&world.layout.ended_runs()));
    Ok(merged(runs, restarts, scheduled))
}

/// Puts restarts and scheduled runs between runs, newest first. Those before the oldest run that is shown are left out.
fn merged(runs: Vec<RunSummary>, mut restarts: Vec<PartRestart>, mut scheduled: Vec<EndedRun>) -> Vec<Event> {
    // The clock may have been set back.
    restarts.sort_by_key(|restart| restart.at);
    scheduled.sort_by_key(|run| run.started);
    let mut events = Vec::new();
    for run in runs {
        let began = run.started_at.as_millisecond();
        let later = restarts.split_off(restarts.partition_point(|restart| restart.at < began));
        let ran = scheduled.split_off(scheduled.partition_point(|run| run.started < began));
        let mut between: Vec<(Timestamp, Event)> = Vec::new();
        between.extend(gathered(&later).into_iter().map(|group| (group.last_at, Event::Restarts(group))));
        between.extend(outcomes(&ran).into_iter().map(|group| (group.last_at, Event::Scheduled(group))));
        between.sort_by_key(|(at, _)| *at);
        events.extend(between.into_iter().rev().map(|(_, event)| event));
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

/// Scheduled runs of one entry with one outcome, together.
fn outcomes(runs: &[EndedRun]) -> Vec<ScheduledRuns> {
    let mut by_name: Vec<&EndedRun> = runs.iter().collect();
    by_name.sort_by(|one, other| (&one.name, one.started).cmp(&(&other.name, other.started)));
    let is_same = |one: &&EndedRun, next: &&EndedRun| {
        (&one.name, one.exit, &one.failure) == (&next.name, next.exit, &next.failure)
    };
    let at = |run: &EndedRun| Timestamp::from_millisecond(run.started).unwrap_or_default();
    let group = |group: &[&EndedRun]| {
        let (first, last) = (group.first()?, group.last()?);
        Some(ScheduledRuns {
            scheduled: last.name.clone(),
            exit: last.exit,
            failure: last.failure.as_deref().map(one_line),
            times: group.len(),
            first_at: at(first),
            last_at: at(last),
        })
    };
    by_name.chunk_by(is_same).filter_map(group).collect()
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
        Phase::Undone if kept(&run) > 0 => RunOutcome::Partly,
        Phase::Undone => RunOutcome::Undone,
        Phase::Stuck(..) => RunOutcome::NeedsYou,
        _ => RunOutcome::Unfinished,
    };
    let (steps, not_undone, stayed_at) = (steps(&run), run.not_undone(), stayed_at(&run));
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
        stayed_at,
        not_undone,
        steps,
    }
}

/// How many steps of a run that failed stay.
fn kept(run: &Run) -> usize {
    run.state.cause.as_ref().map_or(0, |(failed, _)| run.plan.kept(*failed))
}

/// The release at which a way with stops stayed when it failed later on.
fn stayed_at(run: &Run) -> Option<String> {
    let steps = run.plan.steps[..kept(run)].iter().rev();
    steps.map(|step| serde_json::from_value(step.action.clone())).find_map(|action| match action {
        Ok(Action::Activation(activation)) => Some(activation.release.to_string()),
        _ => None,
    })
}

/// A text of somebody's that may have line ends or colours in it, as a part of a line.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn steps(run: &Run) -> Vec<StepSummary> {
    let of_step = |step: &plan::Step<serde_json::Value>| {
        let last = run.entries.iter().rfind(|entry| entry.step == step.name);
        StepSummary {
            step: step.name.clone(),
            title: step.title.clone(),
            undo: step.undo.clone(),
            state: last.map(|entry| entry.kind.word()),
            ms: step_ms(run, &step.name),
            said: run.entries.iter().filter(|entry| entry.step == step.name).find_map(|entry| {
                match &entry.kind {
                    EntryKind::Succeeded(output) if step.name == HOOK_STEP => said(output),
                    _ => None,
                }
            }),
        }
    };
    run.plan.steps.iter().map(of_step).collect()
}

/// What a hook printed, and that it failed.
fn said(output: &serde_json::Value) -> Option<String> {
    let parts = ["failed", "said"].into_iter().filter_map(|key| output[key].as_str());
    let text = parts.filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n");
    (!text.is_empty()).then_some(text)
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
            stayed_at: None,
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
            Event::Scheduled(runs) => format!("{} {} {:?}", runs.times, runs.scheduled, runs.exit),
        };
        let ended = |started: i64, exit: u8| EndedRun {
            name: "verify".to_owned(),
            started,
            ended: started + 1,
            exit: Some(exit),
            failure: None,
        };
        let scheduled = vec![ended(1, 0), ended(12, 0), ended(13, 0), ended(14, 5), ended(41, 0)];
        let events = merged(vec![run(2, 30), run(1, 10)], restarts, scheduled);
        let events: Vec<_> = events.iter().map(shown).collect();
        assert_eq!(
            events,
            [
                "1 verify Some(0)",
                "1 silent",
                "run 2",
                "1 died",
                "2 silent",
                "1 verify Some(5)",
                "2 verify Some(0)",
                "run 1",
            ]
        );
    }
}

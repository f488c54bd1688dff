//! `mainstay history`

use deploy::{Error, Event, Restarts, RunOutcome, RunSummary, ScheduledRuns, World};
use finding::{Exit, moment};

use crate::cli;
use crate::printer::Printer;

pub(super) async fn run(printer: Printer, world: &World, args: &cli::History) -> Result<Exit, Error> {
    if let Some(run) = args.run {
        let run = deploy::run_of_history(world, run).await?;
        printer.data(&run);
        printer.show(&in_full(&run));
        return Ok(Exit::Done);
    }
    let events = deploy::history(world, args.limit).await?;
    printer.data(&events);
    let lost = deploy::lost_journal(&world.layout);
    printer.show(&match &events[..] {
        [] if lost.is_some() => lost.unwrap_or_default(),
        [] => "Nothing has been run here".to_owned(),
        events => events.iter().map(event).collect::<Vec<_>>().join("\n"),
    });
    Ok(Exit::Done)
}

fn event(event: &Event) -> String {
    match event {
        Event::Run(run) => line(run),
        Event::Scheduled(ScheduledRuns { scheduled, exit, failure, times, last_at, .. }) => {
            let times = if *times > 1 { format!(" ({times} times)") } else { String::new() };
            let (word, how) = match (failure, exit) {
                (Some(failure), _) => ("failed", format!("could not begin: {failure}")),
                (None, Some(0)) => ("done", "ended with code 0".to_owned()),
                (None, Some(code)) => ("failed", format!("ended with code {code}")),
                (None, None) => ("ended", "its exit code is not known".to_owned()),
            };
            format!("   -  {}  {word:10}  schedule: {scheduled} {how}{times}", moment(*last_at))
        }
        Event::Restarts(Restarts { restarted, why, times, last_at, .. }) => {
            let times = if *times > 1 { format!(" ({times} times)") } else { String::new() };
            let part = if restarted.contains(':') { restarted.clone() } else { format!("the {restarted}") };
            format!("   -  {}  restarted   agent: {part}, because it {why}{times}", moment(*last_at))
        }
    }
}

/// How many lines of what a failed step's program printed are shown.
const SAID: usize = 20;

fn line(run: &RunSummary) -> String {
    let RunSummary { run: id, title, who, started_at, .. } = run;
    let width = 10;
    let outcome = word(run.outcome);
    format!("{id:>4}  {}  {outcome:width$}  {who}: {title}", moment(*started_at))
}

fn word(outcome: RunOutcome) -> &'static str {
    match outcome {
        RunOutcome::Done => "done",
        RunOutcome::Undone => "undone",
        RunOutcome::Partly => "partly",
        RunOutcome::NeedsYou => "needs you",
        RunOutcome::Unfinished => "unfinished",
        RunOutcome::Abandoned => "given up",
    }
}

fn in_full(run: &RunSummary) -> String {
    let mut rows = vec![
        ("Run", format!("{}, `{}`: {}", run.run, run.operation, run.title)),
        ("By", format!("{}: {}", run.who, run.why)),
    ];
    rows.extend(run.program.as_ref().map(|program| ("Version", format!("Mainstay {program}"))));
    rows.push(("Began", moment(run.started_at)));
    rows.extend(run.finished_at.map(|at| ("Ended", moment(at))));
    rows.push(("Outcome", word(run.outcome).to_owned()));
    let stayed = |stop| format!("{stop}, the last stop that was proven");
    rows.extend(run.stayed_at.as_ref().map(|stop| ("Stayed at", stayed(stop))));
    if let Some(failure) = &run.failure {
        rows.push(("Cause", failure.message.clone()));
        rows.extend(failure.hint.as_ref().map(|hint| ("Hint", hint.clone())));
        // The message may be the last line of what a program printed; here is the rest.
        let said = failure.detail.trim().lines().filter(|line| *line != failure.message);
        let said: Vec<_> = said.collect();
        rows.extend(said[said.len().saturating_sub(SAID)..].iter().map(|line| ("Said", (*line).to_owned())));
    }
    rows.extend(run.not_undone.iter().map(|step| ("Not undone", format!("{}: {}", step.title, step.why))));
    let mut lines: Vec<String> = rows.iter().map(|(name, value)| format!("{name:<10} {value}")).collect();
    let width = run.steps.iter().map(|step| step.title.len()).max().unwrap_or(0);
    for step in &run.steps {
        let (mark, state) = match step.state {
            None => ("-", "not begun"),
            Some("succeeded") => ("✓", "done"),
            Some("undo-finished") => ("↶", "undone"),
            Some("failed") => ("✗", "failed"),
            Some("undo-failed") => ("✗", "not undone"),
            Some(_) => ("…", "begun"),
        };
        let took = step.ms.map(|ms| format!(", {ms} ms")).unwrap_or_default();
        lines.push(format!("  {mark} {:width$}  {state}{took}", step.title));
        let said: Vec<&str> = step.said.iter().flat_map(|said| said.lines()).collect();
        lines.extend(
            said[said.len().saturating_sub(SAID)..]
                .iter()
                .map(|line| format!("      {}", finding::one_line(line, 200))),
        );
    }
    lines.join("\n")
}

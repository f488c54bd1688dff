//! `mainstay status`

use deploy::{AgentStatus, Error, Status, World};

use crate::cli;
use crate::printer::Printer;
use finding::Exit;

pub(super) async fn run(printer: Printer, world: &World, args: &cli::Status) -> Result<Exit, Error> {
    let status = deploy::status(world).await?;
    let mut data = serde_json::to_value(&status).unwrap_or_default();
    data["up"] = status.is_up().into();
    printer.data(&data);
    printer.show(&text(&status));
    Ok(if args.check && !status.is_up() { Exit::NotReady } else { Exit::Done })
}

fn text(status: &Status) -> String {
    let mut rows: Vec<(&str, String)> = Vec::new();
    let state = match (&status.agent, status.installed, &status.busy) {
        (_, _, Some(holder)) => format!("busy: {holder}"),
        (None, false, None) => "not installed; `mainstay up` does it".to_owned(),
        (None, true, None) => "down; `mainstay up` starts it".to_owned(),
        (Some(_), _, None) if status.is_up() => "up".to_owned(),
        (Some(agent), _, None) => degraded(agent, status.trouble.as_deref()),
    };
    rows.push(("State", state));
    rows.extend(status.url.clone().map(|url| ("Address", url)));
    rows.extend(status.release.clone().map(|release| ("Release", release)));
    rows.push(("Directory", status.dir.display().to_string()));
    rows.extend(status.database.clone().map(|address| ("Database", address)));
    if let Some(agent) = &status.agent {
        // One of protocol 1 does not tell its version.
        let version = agent.version.as_deref().unwrap_or("of an early version");
        let since = moment(agent.since);
        rows.push(("Agent", format!("process {}, Mainstay {version}, since {since}", agent.agent_pid)));
        let server = agent.server().map(|server| match (server.pid, &status.trouble) {
            (Some(pid), None) => {
                format!("process {pid} at {}, {} restarts", server.spec.listen, server.restarts)
            }
            (Some(pid), Some(trouble)) => format!("process {pid} at {}, but {trouble}", server.spec.listen),
            (None, _) => {
                format!("not running: {}", server.last_exit.as_deref().unwrap_or("it is being started"))
            }
        });
        rows.push(("Server", server.unwrap_or_else(|| "stopped".to_owned())));
        let edge = agent.edge().map(|edge| {
            format!(
                "{}, {} connections ({} websockets), {} requests, {} not answered",
                host::Listen::from(edge.spec.listen).words(),
                edge.connections,
                edge.websockets,
                edge.requests,
                edge.upstream_errors
            )
        });
        for scheduled in &agent.schedule {
            rows.push(("Schedule", schedule_row(scheduled)));
        }
        rows.push(("Edge", edge.unwrap_or_else(|| "closed".to_owned())));
    }
    rows.push(("Verified", status.last_test.as_ref().map_or_else(|| "never".to_owned(), verified)));
    rows.extend(status.warnings.iter().map(|warning| ("Warning", warning.clone())));
    rows.iter().map(|(name, value)| format!("{name:<10} {value}")).collect::<Vec<_>>().join("\n")
}

/// The last result of the acceptance test, also of one that failed, and what it said nothing about.
fn verified(test: &deploy::LastTest) -> String {
    let passed = |at| format!("; it last passed at {}", moment(at));
    let mut row = match (&test.failure, test.passed) {
        (_, true) => moment(test.at),
        (failure, false) => {
            let failure = failure.as_deref().unwrap_or("it did not come to its end");
            format!(
                "no: {failure} ({}, {}){}",
                test.url,
                moment(test.at),
                test.passed_at.map(passed).unwrap_or_default()
            )
        }
    };
    if let Some(name) = test.unchecked.iter().find(|what| what.starts_with("the name ")) {
        row.push_str(&format!("; not tested: {name}"));
    }
    row
}

/// An entry of the schedule: its last run and its next.
fn schedule_row(scheduled: &deploy::Scheduled) -> String {
    let last = match &scheduled.last {
        _ if scheduled.running => "running now".to_owned(),
        None => "has not run yet".to_owned(),
        Some(last) => {
            let end = match (&last.failure, last.exit) {
                (Some(failure), _) => format!("could not start: {failure}"),
                (None, Some(code)) => format!("ended with code {code}"),
                (None, None) => "its exit code is not known".to_owned(),
            };
            format!("last run {}, {end}", moment(last.started))
        }
    };
    let next = scheduled.next.map_or_else(|| "never".to_owned(), moment);
    let mut row = format!("{}: {last}; next run {next}", scheduled.entry.name);
    for (count, why) in [(scheduled.missed, "missed"), (scheduled.skipped, "skipped")] {
        if count > 0 {
            row.push_str(&format!("; {count} {why}"));
        }
    }
    row
}

/// What is wrong, and what to do about it.
fn degraded(agent: &AgentStatus, trouble: Option<&str>) -> String {
    let what = match (agent.server().map(|server| server.pid), agent.edge()) {
        (None, _) => "the server is stopped".to_owned(),
        (Some(None), _) => "the server is not running".to_owned(),
        (Some(Some(_)), None) => "the edge is closed".to_owned(),
        (Some(Some(_)), Some(_)) => format!("the server is not healthy: {}", trouble.unwrap_or("unknown")),
    };
    format!("degraded: {what}; run `mainstay up`")
}

fn moment(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map(|at| format!("{at:.0}")).unwrap_or_default()
}

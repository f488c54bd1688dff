//! `mainstay status`

use deploy::{AgentStatus, Error, State, Status, Subject, Unfinished, World};

use crate::cli;
use crate::printer::Printer;
use finding::{Exit, moment};

pub(super) async fn run(printer: Printer, world: &World, args: &cli::Status) -> Result<Exit, Error> {
    let status = deploy::status(world).await;
    let mut data = serde_json::to_value(&status).unwrap_or_default();
    data["up"] = status.is_up().into();
    data["state"] = serde_json::json!(status.state());
    printer.data(&data);
    printer.show(&text(&status));
    let judged = match args.without_apps {
        true => Status { apps_in_trouble: Vec::new(), ..status },
        false => status,
    };
    Ok(if args.check { judged.exit() } else { Exit::Done })
}

/// One line: what is the matter, and the next command.
fn state(status: &Status) -> String {
    let run = status.unfinished.as_ref().map(|Unfinished { run, operation, began, .. }| {
        format!("run {run}, `{operation}` of {},", moment(*began))
    });
    let run = run.unwrap_or_default();
    match status.state() {
        State::Busy => format!("busy: {}", status.busy_in_words().unwrap_or_default()),
        State::NotKnown => {
            let problem = status.unknown();
            let what = problem.map(|problem| match &problem.hint {
                Some(hint) => format!("{}; {hint}", problem.what),
                None => problem.what.clone(),
            });
            format!("not known: {}", what.unwrap_or_default())
        }
        State::NeedsYou => {
            let cause = status.unfinished.as_ref().and_then(|run| run.needs_you.clone()).unwrap_or_default();
            format!("needs you: {run} could not be undone: {cause}; remove the cause, then run `mainstay up`")
        }
        State::Interrupted if status.unfinished.as_ref().is_some_and(Unfinished::is_taken_back) => {
            format!("interrupted: {run} did not end; `mainstay up` takes it back")
        }
        State::Interrupted => format!(
            "interrupted: {run} did not end; `mainstay up` goes on with it, `mainstay down` stops what runs"
        ),
        State::HalfInstalled => format!(
            "half installed: {run} did not end; `mainstay up` goes on with it, `mainstay uninstall` takes it back"
        ),
        State::HalfRemoved => format!(
            "half removed: {run} did not end; `mainstay uninstall` goes on with it, `mainstay up` takes it back"
        ),
        State::Refused => {
            let runs = match &status.agent {
                None => "it is down".to_owned(),
                Some(_) if status.serves() => "it runs".to_owned(),
                agent => degraded(agent.as_ref(), status.trouble.as_deref()),
            };
            format!("needs you: {runs}, and `mainstay up` would be refused")
        }
        State::NotInstalled => "not installed; `mainstay up` does it".to_owned(),
        State::Down => "down; `mainstay up` starts it".to_owned(),
        State::Degraded => {
            let next = match status.full_disks.is_empty() {
                true => "run `mainstay up`",
                false => "a disk is full: free some space there, then run `mainstay up`",
            };
            match &status.apps_in_trouble[..] {
                // Mattermost itself is well.
                [app, more @ ..] if status.serves() => {
                    let more = match more.len() {
                        0 => String::new(),
                        count => format!(" (and {})", finding::counted(count, "more app", "more apps")),
                    };
                    format!("degraded: {app}{more}")
                }
                _ => format!(
                    "degraded: {}; {next}",
                    degraded(status.agent.as_ref(), status.trouble.as_deref())
                ),
            }
        }
        State::NotVerified => "up, but not verified; `mainstay verify` tests it".to_owned(),
        State::Up => "up".to_owned(),
    }
}

fn text(status: &Status) -> String {
    let mut rows: Vec<(&str, String)> = Vec::new();
    let state = state(status);
    rows.push(("State", state));
    rows.extend(status.beside.as_ref().map(|holder| ("Meanwhile", holder.to_string())));
    rows.extend(status.unfinished.as_ref().filter(|run| !run.matters()).map(left));
    if let Some(deploy::Refusal { what, hint }) = &status.refused {
        rows.push(("", what.replace('\n', "; ")));
        rows.extend(hint.as_ref().map(|hint| ("", hint.to_string())));
    }
    for problem in &status.problems {
        // It is why `up` would be refused, which is said already.
        if status.refused.as_ref().is_some_and(|refused| refused.what == problem.what) {
            continue;
        }
        let name = match problem.about {
            Subject::Agent => continue,
            // The state says it.
            Subject::Directory if status.agent.is_none() => continue,
            Subject::Directory => "Note",
            Subject::Settings => "Settings",
            Subject::Journal => "Journal",
            Subject::Release => "Missing",
            Subject::History => "History",
        };
        rows.push((name, problem.what.replace('\n', "; ")));
        rows.extend(problem.hint.as_ref().map(|hint| ("", hint.to_string())));
    }
    rows.extend(status.url.clone().map(|url| ("Address", url)));
    rows.extend(status.release.clone().map(|release| ("Release", release)));
    rows.push(("Directory", status.dir.display().to_string()));
    rows.extend(status.boot.as_ref().map(|boot| ("At boot", boot.line())));
    rows.extend(status.database.clone().map(|address| ("Database", address)));
    if let Some(agent) = &status.agent {
        // One of protocol 1 does not tell its version.
        let version = agent.version.as_deref().unwrap_or("of an early version");
        let since = moment_of(agent.since);
        rows.push(("Agent", format!("process {}, Mainstay {version}, since {since}", agent.agent_pid)));
        if let Some(postgres) = agent.postgres() {
            let restarts = finding::counted(postgres.restarts, "restart", "restarts");
            rows.push((
                "PostgreSQL",
                match (postgres.pid, &postgres.last_exit) {
                    (Some(pid), _) => format!("process {pid}, {restarts}"),
                    (None, last) => {
                        format!("not running: {}", last.as_deref().unwrap_or("it is being started"))
                    }
                },
            ));
            let last = postgres.last_restart.as_ref();
            rows.extend(
                last.map(|last| ("", format!("last restart {}: it {}", moment_of(last.at), last.why))),
            );
        }
        let server = agent.server().map(|server| match (server.pid, &status.trouble) {
            (Some(pid), None) => {
                let restarts = finding::counted(server.restarts, "restart", "restarts");
                format!("process {pid} at {}, {restarts}", server.spec.upstream())
            }
            (Some(pid), Some(trouble)) => {
                format!("process {pid} at {}, but {trouble}", server.spec.upstream())
            }
            (None, _) => {
                format!("not running: {}", server.last_exit.as_deref().unwrap_or("it is being started"))
            }
        });
        rows.push(("Server", server.unwrap_or_else(|| "stopped".to_owned())));
        let last = agent.server().and_then(|server| server.last_restart.as_ref());
        rows.extend(last.map(|last| ("", format!("last restart {}: it {}", moment_of(last.at), last.why))));
        let edge = agent.edge().map(|edge| {
            format!(
                "{}, {} ({}), {}, {} not answered",
                host::Listen::from(edge.spec.listen).words(),
                finding::counted(edge.connections, "connection", "connections"),
                finding::counted(edge.websockets, "websocket", "websockets"),
                finding::counted(edge.requests, "request", "requests"),
                edge.upstream_errors
            )
        });
        for scheduled in &agent.schedule {
            rows.push(("Schedule", schedule_row(scheduled)));
        }
        rows.push(("Edge", edge.unwrap_or_else(|| "closed".to_owned())));
        for app in agent.apps() {
            let spec = &app.spec;
            rows.push(("App", format!("{} {}: {}", spec.app_id, spec.version, app_state(app))));
        }
        for trouble in &status.apps_in_trouble {
            rows.push(("", trouble.to_string()));
        }
    }
    if status.installed && status.unknown().is_none() {
        rows.push(("Verified", status.last_test.as_ref().map_or_else(|| "never".to_owned(), verified)));
    }
    rows.extend(status.security.iter().map(|security| ("Security", security.line.clone())));
    rows.extend(status.backups.iter().flat_map(backups));
    rows.extend(status.rehearsals.iter().flat_map(|found| rehearsals(found, status.release.as_deref())));
    rows.extend(status.full_disks.iter().map(|disk| ("Disk", disk.clone())));
    rows.extend(status.warnings.iter().map(|warning| ("Warning", warning.clone())));
    rows.iter().map(|(name, value)| format!("{name:<10} {value}")).collect::<Vec<_>>().join("\n")
}

/// A run that did not end, and left nothing half done that people use.
fn left(run: &Unfinished) -> (&'static str, String) {
    let Unfinished { run: number, operation, began, .. } = run;
    let next = if run.is_taken_back() { "takes it back" } else { "goes on with it" };
    let began = moment(*began);
    ("Unfinished", format!("run {number}, `{operation}` of {began}; the next command {next}"))
}

/// The last good backup, check and drill, and what failed since.
fn backups(backups: &deploy::Backups) -> Vec<(&'static str, String)> {
    let record = &backups.record;
    let good = |results: &deploy::BackupResults| results.good.clone();
    let mut lines = Vec::new();
    lines.push(match good(&record.backup) {
        Some(good) => {
            let id = good.snapshot.as_deref().and_then(|id| id.get(..8)).unwrap_or_default();
            let taken = good.began;
            format!("snapshot {id} of {}, {} ago, in {}", moment(taken), ago(taken), good.repository)
        }
        None => "none yet".to_owned(),
    });
    let others = [("last checked", good(&record.check)), ("last drill", good(&record.drill))];
    let others = others.into_iter().filter_map(|(word, good)| Some((word, good?.began)));
    lines.extend(others.map(|(word, at)| format!("{word} {}, {} ago", moment(at), ago(at))));
    let failed = |failing: &deploy::FailingBackup| {
        format!("the {} of {} failed: {}", failing.work, moment(failing.began), failing.why)
    };
    lines.extend(backups.failing.iter().map(failed));
    lines.into_iter().enumerate().map(|(at, line)| (if at == 0 { "Backup" } else { "" }, line)).collect()
}

/// The last rehearsal of an upgrade of the release that runs.
fn rehearsals(found: &deploy::Rehearsals, release: Option<&str>) -> Vec<(&'static str, String)> {
    let passed = found.passed.as_ref().filter(|passed| Some(passed.from.as_str()) == release);
    let passed = passed.map(|passed| {
        let wait =
            passed.predicted_ms.map(|ms| format!("; people will wait for about {} s", ms.div_ceil(1000)));
        format!("{} at {:.0}, {} ago{}", passed.to, passed.at, ago(passed.at), wait.unwrap_or_default())
    });
    let failed =
        found.failed.as_ref().map(|failed| format!("the one of {:.0} failed: {}", failed.at, failed.what));
    let lines = passed.into_iter().chain(failed);
    lines.enumerate().map(|(at, line)| (if at == 0 { "Rehearsed" } else { "" }, line)).collect()
}

/// How long ago that was, in its largest unit.
fn ago(at: jiff::Timestamp) -> String {
    let minutes = jiff::Timestamp::now().duration_since(at).as_mins().max(0);
    let (count, unit) = match minutes {
        0..120 => (minutes, "min"),
        120..2880 => (minutes / 60, "h"),
        _ => (minutes / 1440, "days"),
    };
    format!("{count} {unit}")
}

/// The last result of the acceptance test, also of one that failed, and what it said nothing about.
fn verified(test: &deploy::LastTest) -> String {
    let passed = |at| format!("; it last passed at {}", moment_of(at));
    let mut row = match (&test.failure, test.passed) {
        (_, true) => moment_of(test.at),
        (failure, false) => {
            let failure = failure.as_deref().unwrap_or("it did not come to its end");
            format!(
                "no: {failure} ({}, {}){}",
                test.url,
                moment_of(test.at),
                test.passed_at.map(passed).unwrap_or_default()
            )
        }
    };
    if let Some(name) = test.unchecked.iter().find(|what| what.starts_with("the name ")) {
        row.push_str(&format!("; not tested: {name}"));
    }
    row
}

/// How an app is.
pub(super) fn app_state(app: &deploy::AppStatus) -> String {
    let restarts = finding::counted(app.restarts, "restart", "restarts");
    match (app.pid, &app.last_exit) {
        (Some(pid), _) => format!("process {pid} at http://{}, {restarts}", app.spec.listen),
        (None, Some(exit)) => {
            format!("not running: it {exit}, {restarts}; `mainstay apps logs {}` has why", app.spec.app_id)
        }
        (None, None) => "it is being started".to_owned(),
    }
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
                (None, None) => "its exit code is unknown: the agent that began it was killed".to_owned(),
            };
            format!("last run {}, {end}", moment_of(last.started))
        }
    };
    let next = scheduled.next.map_or_else(|| "never".to_owned(), moment_of);
    let mut row = format!("{}: {last}; next run {next}", scheduled.entry.name);
    for (count, why) in [(scheduled.missed, "missed"), (scheduled.skipped, "skipped")] {
        if count > 0 {
            row.push_str(&format!("; {count} {why}"));
        }
    }
    row
}

/// What is wrong.
fn degraded(agent: Option<&AgentStatus>, trouble: Option<&str>) -> String {
    if let Some(postgres) = agent.and_then(AgentStatus::postgres).filter(|postgres| postgres.pid.is_none()) {
        let why = postgres.last_exit.as_deref().unwrap_or("is being started");
        return format!("the database is not running: it {why} (`mainstay logs database`)");
    }
    let server = agent.and_then(AgentStatus::server).map(|server| server.pid);
    match (server, agent.and_then(AgentStatus::edge)) {
        (None, _) => "the server is stopped".to_owned(),
        (Some(None), _) => "the server is not running".to_owned(),
        (Some(Some(_)), None) => "the edge is closed".to_owned(),
        (Some(Some(_)), Some(_)) => format!("the server is not healthy: {}", trouble.unwrap_or("unknown")),
    }
}

fn moment_of(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map(moment).unwrap_or_default()
}

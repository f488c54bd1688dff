//! `mainstay apps logs`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use apps::Error;
use apps::runtime::{AppDir, Entry};
use finding::Exit;
use host::Follow;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio_util::sync::CancellationToken;

use super::local::Here;
use crate::cli::AppLogs;
use crate::log_line::printable;
use crate::printer::Printer;

/// The time between two looks for new lines.
const PERIOD: Duration = Duration::from_millis(100);

pub(super) async fn run(
    printer: Printer,
    here: &Here,
    args: &AppLogs,
    cancel: CancellationToken,
) -> Result<Exit, Error> {
    let (id, _) = here.app(&args.app)?;
    let mut dir = here.dir(&id);
    if !dir.logs().is_dir() {
        dir = AppDir::new(&here.failed, &id);
    }
    if !dir.logs().is_dir() {
        dir = here.dir(&id);
    }
    let wanted = args.function.as_deref().map(|function| dir.log(function));
    let mut logs = Logs::new(dir.logs(), wanted, &cancel);
    if !logs.dir.is_dir() {
        return Err(Error::new(
            Exit::NotReady,
            format!("the app {id} has not run here: there is no {}", logs.dir.display()),
        )
        .hint("run it with `mainstay apps run BUNDLE`; `--dir` names another directory"));
    }
    if let (Some(function), Some(wanted)) = (&args.function, &logs.wanted)
        && !wanted.exists()
    {
        let error = not_logged(&id, function, &logs.functions());
        if !args.follow {
            return Err(error);
        }
        printer.say(&format!("note: {error}; its first call is waited for"));
    }
    let mut last = logs.ready(usize::try_from(args.lines).unwrap_or(usize::MAX))?;
    if last.is_empty() && !args.follow {
        printer.say("note: no function has been called yet");
    }
    loop {
        for (text, entry) in last {
            show(printer, None, &text, entry);
        }
        if !args.follow {
            return Ok(Exit::Done);
        }
        tokio::select! {
            () = tokio::time::sleep(PERIOD) => {}
            () = cancel.cancelled() => return Ok(Exit::Done),
        }
        last = logs.ready(usize::MAX)?;
    }
}

/// Which lines of all apps are shown.
#[derive(Debug, Clone, Copy)]
pub(in crate::commands) struct Shown {
    /// How many of each function to begin with.
    pub lines: usize,
    /// No older ones.
    pub since: Option<Timestamp>,
    /// Whether to go on as lines are written.
    pub follow: bool,
}

/// The lines of every app that has run in this directory, by time, each with its app.
pub(in crate::commands) async fn of_all(
    printer: Printer,
    apps: &Path,
    shown: Shown,
    cancel: CancellationToken,
) -> Result<Exit, deploy::Error> {
    let failed = |error: Error| super::failed(printer, error);
    let mut all: BTreeMap<String, Logs> = BTreeMap::new();
    let mut is_first = true;
    loop {
        for app in std::fs::read_dir(apps).into_iter().flatten().flatten() {
            let (dir, id) = (app.path().join("logs"), app.file_name().to_string_lossy().into_owned());
            if dir.is_dir() {
                all.entry(id).or_insert_with(|| Logs::new(dir, None, &cancel));
            }
        }
        let begin = if shown.since.is_some() { usize::MAX } else { shown.lines };
        let mut lines = Vec::new();
        for (id, logs) in &mut all {
            let ready = logs.ready(if is_first { begin } else { usize::MAX }).map_err(failed)?;
            lines.extend(ready.into_iter().map(|(text, entry)| (id.clone(), text, entry)));
        }
        lines.sort_by_key(|(_, _, entry)| entry.as_ref().map(|entry| entry.timestamp));
        let is_new = |entry: &Option<Entry>| {
            shown.since.is_none_or(|since| entry.as_ref().is_some_and(|entry| entry.timestamp >= since))
        };
        lines.retain(|(_, _, entry)| is_new(entry));
        let old = if is_first { lines.len().saturating_sub(shown.lines) } else { 0 };
        for (id, text, entry) in lines.drain(..).skip(old) {
            show(printer, Some(&id), &text, entry);
        }
        if is_first && all.is_empty() {
            printer.say(&format!("note: no app has run in {}", apps.display()));
        }
        is_first = false;
        if !shown.follow {
            return Ok(Exit::Done);
        }
        tokio::select! {
            () = tokio::time::sleep(PERIOD) => {}
            () = cancel.cancelled() => return Ok(Exit::Done),
        }
    }
}

/// A function has no log: it was not called yet, or there is none of this name.
fn not_logged(id: &str, function: &str, known: &[String]) -> Error {
    let what = if known.is_empty() {
        format!("nothing is logged of {function}: no function of {id} has been called")
    } else {
        format!("nothing is logged of {function}; there are logs of: {}", known.join(", "))
    };
    let error = Error::new(Exit::NotReady, what);
    match finding::nearest(function, known.iter().map(String::as_str)) {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None => error,
    }
}

/// The log files of an app.
struct Logs {
    dir: PathBuf,
    wanted: Option<PathBuf>,
    open: BTreeMap<PathBuf, Follow>,
    cancel: CancellationToken,
}

impl Logs {
    fn new(dir: PathBuf, wanted: Option<PathBuf>, cancel: &CancellationToken) -> Self {
        Self { dir, wanted, open: BTreeMap::new(), cancel: cancel.clone() }
    }

    /// The functions that have a log, by the names of its files.
    fn functions(&self) -> Vec<String> {
        let files = std::fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let mut names: Vec<String> = files
            .filter_map(|file| Some(file.file_name().to_str()?.strip_suffix(".log")?.to_owned()))
            .collect();
        names.sort();
        names
    }

    /// What is new in all of them, by time. Of a file that is new, the last `lines`.
    fn ready(&mut self, lines: usize) -> Result<Vec<(String, Option<Entry>)>, Error> {
        let failed = |error: &dyn std::fmt::Display| Error::new(Exit::NotReady, error.to_string());
        let is_log = |path: &Path| path.extension().is_some_and(|end| end == "log");
        for file in std::fs::read_dir(&self.dir).map_err(|error| failed(&error))?.flatten() {
            let path = file.path();
            let is_wanted = self.wanted.as_ref().is_none_or(|wanted| *wanted == path);
            if is_log(&path) && is_wanted && !self.open.contains_key(&path) {
                let follow =
                    host::follow(&path, lines, self.cancel.clone()).map_err(|error| failed(&error))?;
                self.open.insert(path, follow);
            }
        }
        let mut all = Vec::new();
        for follow in self.open.values_mut() {
            while let Some(text) = follow.ready().map_err(|error| failed(&error))? {
                let entry = serde_json::from_str::<Entry>(&text).ok();
                all.push((text, entry));
            }
        }
        all.sort_by_key(|(_, entry)| entry.as_ref().map(|entry| entry.timestamp));
        Ok(all)
    }
}

/// `app`: its id, where lines of several are shown.
fn show(printer: Printer, app: Option<&str>, text: &str, entry: Option<Entry>) {
    let Some(entry) = entry.filter(|_| !printer.json) else {
        // What a command printed is no JSON.
        printer.raw(&if printer.json { text.to_owned() } else { printable(text) });
        return;
    };
    let at = entry.timestamp.to_zoned(TimeZone::system()).strftime("%H:%M:%S%.3f").to_string();
    let request = entry.request.as_deref().map_or("-", |id| id.split('-').next().unwrap_or(id));
    let mark = if entry.ours { "==" } else { "  " };
    let function = match app {
        Some(app) => format!("{} {}", printable(app), printable(&entry.function)),
        None => printable(&entry.function),
    };
    printer.raw(&format!("{at} {function} {request} {mark} {}", printable(&entry.text)));
}

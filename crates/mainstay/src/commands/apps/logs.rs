//! `mainstay apps logs`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use apps::Error;
use apps::runtime::Entry;
use finding::Exit;
use host::Follow;
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
    let dir = here.dir(&id);
    let wanted = args.function.as_deref().map(|function| dir.log(function));
    let mut logs = Logs { dir: dir.logs(), wanted, open: BTreeMap::new(), cancel };
    if !logs.dir.is_dir() {
        return Err(Error::new(
            Exit::NotReady,
            format!("the app {id} has not run here: there is no {}", logs.dir.display()),
        )
        .hint("run it with `mainstay apps run BUNDLE`; `--dir` names another directory"));
    }
    let mut last = logs.ready(args.lines)?;
    if last.is_empty() && !args.follow {
        printer.say("note: no function has been called yet");
    }
    loop {
        for (text, entry) in last {
            show(printer, &text, entry);
        }
        if !args.follow {
            return Ok(Exit::Done);
        }
        tokio::select! {
            () = tokio::time::sleep(PERIOD) => {}
            () = logs.cancel.cancelled() => return Ok(Exit::Done),
        }
        last = logs.ready(usize::MAX)?;
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

fn show(printer: Printer, text: &str, entry: Option<Entry>) {
    let Some(entry) = entry.filter(|_| !printer.json) else {
        // What a command printed is no JSON.
        printer.raw(&if printer.json { text.to_owned() } else { printable(text) });
        return;
    };
    let at = entry.timestamp.to_zoned(TimeZone::system()).strftime("%H:%M:%S%.3f").to_string();
    let request = entry.request.as_deref().map_or("-", |id| id.split('-').next().unwrap_or(id));
    let mark = if entry.ours { "==" } else { "  " };
    printer.raw(&format!("{at} {} {request} {mark} {}", printable(&entry.function), printable(&entry.text)));
}

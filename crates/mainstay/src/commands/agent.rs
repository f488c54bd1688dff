//! `mainstay agent`, which `up` starts, and the small programs through which others are started: `hold-to`, `leave-session`
//! and `confine`.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Duration;

use deploy::{Error, LogPart, World};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::interrupted;
use crate::printer::Printer;
use finding::Exit;

pub(super) fn run(world: &World, handed_over: bool) -> Result<Exit, Error> {
    if let Some(id) = world.variables.get(deploy::BOOT_ID) {
        host::here::boot_is(id);
    }
    let handover = handed_over.then(host::Handover::receive).transpose();
    let handover = handover.map_err(|error| {
        Error::new(Exit::Usage, format!("`--handed-over` finds nothing on standard input: {error}"))
    })?;
    host::daemon::detach().map_err(|error| Error::not_ready(format!("cannot leave the session: {error}")))?;
    let of_edge = |target: &str| target.starts_with("edge");
    let layer = |part: LogPart| {
        let log = Mutex::new(host::Rotating::new(host::Log::at(world.layout.log(part))));
        let belongs = filter_fn(move |event| {
            *event.level() <= tracing::Level::INFO && of_edge(event.target()) == (part == LogPart::Edge)
        });
        tracing_subscriber::fmt::layer().json().with_writer(log).with_filter(belongs).boxed()
    };
    let mut layers = vec![layer(LogPart::Edge), layer(LogPart::Agent)];
    // A service manager keeps what its services print.
    if world.variables.contains_key("NOTIFY_SOCKET") {
        let belongs =
            filter_fn(move |event| *event.level() <= tracing::Level::INFO && !of_edge(event.target()));
        let lines = tracing_subscriber::fmt::layer().without_time().with_level(false).with_target(false);
        layers.push(lines.with_ansi(false).with_writer(JournalLines).with_filter(belongs).boxed());
    }
    tracing_subscriber::registry().with(layers).init();
    let world = world.clone();
    let cannot_start = |error: std::io::Error| Error::not_ready(format!("the agent cannot start: {error}"));
    let work = move |spawner| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(cannot_start)?;
        runtime.block_on(async { deploy::run_agent(&world, spawner, handover, interrupted()?).await })
    };
    // This is the main thread: the parent of all that runs, before and after every hand-over.
    host::Spawner::on_this_thread(work).map_err(cannot_start)??;
    Ok(Exit::Done)
}

/// Standard error, where each line begins with its priority, as journald reads it.
struct JournalLines;

impl<'a> tracing_subscriber::fmt::MakeWriter<'a> for JournalLines {
    type Writer = JournalLine;

    fn make_writer(&'a self) -> JournalLine {
        JournalLine(6)
    }

    fn make_writer_for(&'a self, event: &tracing::Metadata<'_>) -> JournalLine {
        JournalLine(match *event.level() {
            tracing::Level::ERROR => 3,
            tracing::Level::WARN => 4,
            _ => 6,
        })
    }
}

/// One event with its priority. It is written as a whole.
struct JournalLine(u8);

impl std::io::Write for JournalLine {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let line = [format!("<{}>", self.0).as_bytes(), bytes].concat();
        std::io::stderr().lock().write_all(&line).map(|()| bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Becomes the program in a session of its own; code 125 says that it did not.
pub(super) fn leave_session(printer: Printer, argv: &[OsString]) -> ExitCode {
    let error = host::daemon::leave_and_become(argv);
    printer.say(&format!("mainstay: cannot start the scheduled operation: {error}"));
    ExitCode::from(125)
}

/// Runs the program confined. How it ended is in the report; the exit code says whether there is one.
pub(super) fn confine(
    printer: Printer,
    work: &Path,
    report: &Path,
    seconds: u64,
    argv: &[OsString],
) -> ExitCode {
    match host::confine::enter(work, report, Duration::from_secs(seconds), argv) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            printer.say(&format!("mainstay: cannot write {}: {error}", report.display()));
            ExitCode::from(125)
        }
    }
}

/// Becomes the program, whose exit code is then ours; codes from 125 up say why it did not.
pub(super) fn hold_to(printer: Printer, needs: Option<&Path>, parent: u32, argv: &[OsString]) -> ExitCode {
    let is_filled = |path: &Path| std::fs::metadata(path).is_ok_and(|meta| meta.len() > 0);
    if let Some(gone) = needs.filter(|path| !is_filled(path)) {
        printer.say(&format!(
            "mainstay: {} is gone, and the server would make an empty one: not starting. Mount or restore it, then start the deployment again",
            gone.display()
        ));
        return ExitCode::from(125);
    }
    match host::shim::exec(parent, argv) {
        Ok(never) => match never {},
        Err(error) => {
            printer.say(&format!("mainstay: {error}"));
            error.exit_code().into()
        }
    }
}

/// Becomes the program, whose exit code is then ours; codes from 124 up say why it did not.
pub(super) fn guest(printer: Printer, rights: &str, parent: u32, argv: &[OsString]) -> ExitCode {
    match host::guest::become_guest(rights, parent, argv) {
        Ok(never) => match never {},
        Err(error) => {
            printer.say(&format!("mainstay: {error}"));
            error.exit_code().into()
        }
    }
}

//! One file a command: arguments in, a call of `deploy`, its result shown.

mod admin;
mod agent;
mod apps;
mod backup;
mod database;
mod database_move;
mod down;
mod drill;
mod entrypoint;
mod export;
mod history;
mod image;
mod logs;
mod man;
mod misread;
mod question;
mod recover;
mod reference;
mod rehearse;
mod release;
mod release_fetch;
mod release_path;
mod release_verify;
mod repair;
mod restart;
mod restore;
mod rollback;
mod security;
mod self_update;
mod settings;
mod shell;
mod status;
mod uninstall;
mod up;
mod upgrade;
mod verify;
mod version;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;

use clap::Parser as _;
use deploy::{Action, Caller, Commands, Consent, Error, Layout, Place, Repair, World};
use finding::Exit;
use plan::{FaultKind, Faults, Plan, Reader};
use tokio_util::sync::CancellationToken;

use crate::cli::{Change, Cli, Command, Common, Operation};
use crate::printer::Printer;
use crate::terminal;

/// The command line.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return misread::report(error).into(),
    };
    let variables = variables();
    // A process has one printer, which is copied.
    let commands = Box::leak(Box::new(commands(&cli.common, &variables)));
    let printer = Printer { json: cli.common.json, verbose: cli.common.verbose, commands };
    match run(cli, printer).and_then(|code| crate::printer::lost().map_or(Ok(code), Err)) {
        Ok(code) => code,
        Err(error) => {
            printer.error(&error);
            error.exit.into()
        }
    }
}

/// How the commands that messages name are typed.
fn commands(common: &Common, variables: &BTreeMap<String, String>) -> Commands {
    let words: Vec<String> =
        std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let layout = layout(common, variables);
    let place = layout.as_ref().map_or_else(|_| Place::of(variables), Layout::place);
    let commands = Commands::at(place).after(&words);
    let flags = || words.iter().take_while(|word| *word != "--");
    let is_named = flags().any(|word| word == "--dir" || word.starts_with("--dir="));
    let commands = match layout {
        Ok(layout) if is_named => commands.in_dir(layout.root()),
        _ => commands,
    };
    // In a pod the engine's name for the container is of no use outside.
    let is_pod = variables.contains_key("KUBERNETES_SERVICE_HOST");
    let id = (place == Place::Container && !is_pod).then(host::here::container_id).flatten();
    commands.in_container(id.and_then(|id| id.get(..12).map(str::to_owned)))
}

fn run(cli: Cli, printer: Printer) -> Result<ExitCode, Error> {
    let common = &cli.common;
    if matches!(cli.command, Command::Operation(_) | Command::Shell(_) | Command::Release(_)) {
        entrypoint::step_down(common)?;
    }
    let exit = match cli.command {
        Command::Entrypoint(args) => return entrypoint::run(printer, common, args),
        Command::Operation(operation) => operate(printer, common, operation)?,
        Command::Shell(args) => shell::run(&world(common)?, &args)?,
        Command::Release(command) => release::run(printer, common, command)?,
        Command::Apps(command) => apps::run(printer, common, command)?,
        Command::Completions { shell } => reference::completions(printer, shell)?,
        Command::Man { output } => man::run(printer, output.as_deref())?,
        Command::Version => version::run(printer),
        Command::Reference { page } => reference::run(printer, page)?,
        Command::Agent { handed_over } => agent::run(&world(common)?, handed_over)?,
        Command::LeaveSession { argv } => return Ok(agent::leave_session(printer, &argv)),
        Command::Confine { work, report, seconds, argv } => {
            return Ok(agent::confine(printer, &work, &report, seconds, &argv));
        }
        Command::Guest { rights, parent, argv } => {
            return Ok(agent::guest(printer, &rights, parent, &argv));
        }
        Command::HoldTo { needs, once, parent, argv } => {
            let needs = needs.filter(|_| once.is_none_or(|once| once.exists()));
            return Ok(agent::hold_to(printer, needs.as_deref(), parent, &argv));
        }
    };
    Ok(exit.into())
}

fn operate(printer: Printer, common: &Common, operation: Operation) -> Result<Exit, Error> {
    trace(common);
    let world = world(common)?;
    if operation.is_of_deployment() {
        deploy::refuse_unreadable(&world.layout)?;
    }
    runtime()?.block_on(async {
        let cancel = interrupted()?;
        match operation {
            Operation::Up(args) => Box::pin(up::run(printer, &world, args, cancel)).await,
            Operation::Status(args) => status::run(printer, &world, &args).await,
            Operation::Logs(args) => logs::run(printer, &world, &args, cancel).await,
            Operation::Down(args) => down::run(printer, &world, &args, cancel).await,
            Operation::Restart(args) => restart::run(printer, &world, args, cancel).await,
            Operation::Recover(args) => recover::run(printer, &world, args, cancel).await,
            Operation::SelfUpdate(args) => Box::pin(self_update::run(printer, &world, args, cancel)).await,
            Operation::Upgrade(args) => upgrade::run(printer, &world, args, cancel).await,
            Operation::Rollback(args) => Box::pin(rollback::run(printer, &world, args, cancel)).await,
            Operation::Security(command) => Box::pin(security::run(printer, &world, command, cancel)).await,
            Operation::History(args) => history::run(printer, &world, &args).await,
            Operation::Restore(args) => Box::pin(restore::run(printer, &world, args, cancel)).await,
            Operation::Uninstall(args) => uninstall::run(printer, &world, &args, cancel).await,
            Operation::Admin(command) => admin::run(printer, &world, command, cancel).await,
            Operation::Verify(args) => Box::pin(verify::run(printer, &world, args, cancel)).await,
            Operation::Settings(command) => settings::run(printer, &world, command, cancel).await,
            Operation::Export(command) => export::run(printer, &world, command),
            Operation::Image(command) => image::run(printer, &world, command, cancel).await,
            Operation::Database(command) => Box::pin(database::run(printer, &world, command, cancel)).await,
            Operation::Backup(command) => Box::pin(backup::run(printer, &world, command, cancel)).await,
        }
    })
}

/// Says on stderr what happens inside, with `--verbose`.
fn trace(common: &Common) {
    if common.verbose {
        let filter = tracing_subscriber::EnvFilter::new("info");
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    }
}

/// What an operation waits with: it has one thing to do at a time.
fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Error::not_ready(format!("cannot start: {error}")))
}

/// The deployment that the command is about.
fn world(common: &Common) -> Result<World, Error> {
    let mainstay = std::env::current_exe().map_err(|error| Error::path("find", "/proc/self/exe", &error))?;
    let variables = variables();
    let mut world = World::new(layout(common, &variables)?, mainstay, crate::VERSION, variables);
    world.builtin = Some(crate::builtin::read_config);
    world.objects = Some(backup::object_storage);
    Ok(world)
}

/// Our environment. What is not UTF-8, in a name or a value, has U+FFFD in it, and is refused where a setting was meant.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the environment comes in; from here on it is a map"
)]
fn variables() -> BTreeMap<String, String> {
    let text = |text: OsString| text.to_string_lossy().into_owned();
    std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect()
}

/// The deployment's paths: the container's own, unless another directory is named.
fn layout(common: &Common, variables: &BTreeMap<String, String>) -> Result<Layout, Error> {
    let container = Layout::container();
    let is_named = common.dir.as_ref().is_some_and(|dir| dir != container.root());
    if deploy::container::is_container(variables) && !is_named {
        return Ok(container);
    }
    Ok(Layout::new(dir(common)?))
}

/// The deployment's directory, absolute.
fn dir(common: &Common) -> Result<PathBuf, Error> {
    let dir = match &common.dir {
        Some(dir) if dir.as_os_str().is_empty() => return Err(Error::new(Exit::Usage, "`--dir` is empty")),
        Some(dir) => dir.clone(),
        None if host::User::current()?.is_root() => "/var/lib/mainstay".into(),
        None => data_home()?.join("mainstay"),
    };
    let dir = std::path::absolute(&dir).map_err(|error| Error::path("find", dir, &error))?;
    let dir = without_dots(&dir);
    deploy::check_directory(&dir)?;
    Ok(dir)
}

/// The path without `..`, as the kernel goes it: above a link is what is above its target. Other links stay as they were named.
fn without_dots(path: &Path) -> PathBuf {
    let mut whole = PathBuf::new();
    for part in path.components() {
        if part == Component::ParentDir {
            whole = whole.canonicalize().unwrap_or(whole);
            whole.pop();
        } else {
            whole.push(part);
        }
    }
    whole
}

#[expect(clippy::disallowed_methods, reason = "a path in the environment may be no text")]
fn data_home() -> Result<PathBuf, Error> {
    let absolute = |path: &PathBuf| path.is_absolute();
    let given = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(absolute);
    let home = std::env::var_os("HOME").map(PathBuf::from).filter(absolute);
    given.or_else(|| home.map(|home| home.join(".local/share"))).ok_or_else(|| {
        Error::new(Exit::Usage, "neither XDG_DATA_HOME nor HOME says where data belongs")
            .hint("name a directory with `--dir`")
    })
}

/// Runs an operation, or shows its plan. `question` is asked before the first change, unless `--yes` was given. `None`: the plan was
/// shown, or the user did not agree.
async fn change<O: deploy::Operation>(
    printer: Printer,
    world: &World,
    operation: &O,
    change: &Change,
    question: Option<&str>,
    cancel: CancellationToken,
) -> Result<Option<O::Report>, Error> {
    if change.plan {
        show_plan(printer, &Box::pin(deploy::planned(operation, world)).await?);
        return Ok(None);
    }
    let mut reader = terminal::reader(printer);
    if change.yes {
        let mut caller = caller(change, &mut *reader, Consent::Given, cancel.clone())?;
        repair(printer, world, operation, &mut caller).await?;
    }
    let mut ask = |_: Option<&Plan<Action>>| question::agreed(printer, question.unwrap_or_default());
    let consent = match question {
        Some(_) if !change.yes => Consent::Ask(&mut ask),
        _ => Consent::Given,
    };
    let report =
        Box::pin(deploy::run(operation, world, caller(change, &mut *reader, consent, cancel)?)).await?;
    if report.is_none() {
        printer.show("Nothing has been changed");
    }
    Ok(report)
}

async fn repair<O: deploy::Operation>(
    printer: Printer,
    world: &World,
    operation: &O,
    caller: &mut Caller<'_>,
) -> Result<(), Error> {
    match deploy::repair_journal(operation, world, caller).await? {
        Some(Repair::SetAside(path)) => {
            printer.say(&format!("The damaged journal is now {}", path.display()));
        }
        Some(Repair::Abandoned(run)) => printer.say(&format!("Run {run} is given up where it stood")),
        None => {}
    }
    Ok(())
}

/// What a changing operation needs to know of us.
fn caller<'a>(
    change: &Change,
    reader: &'a mut dyn Reader,
    consent: Consent<'a>,
    cancel: CancellationToken,
) -> Result<Caller<'a>, Error> {
    let usage = |error: plan::FaultError| Error::new(Exit::Usage, error.to_string());
    let faults = change.inject_failure.iter().map(|fault| (fault, FaultKind::Fail));
    let faults = faults
        .chain(change.inject_kill.iter().map(|fault| (fault, FaultKind::Kill)))
        .try_fold(Faults::default(), |faults, (fault, blow)| faults.with(fault, blow))
        .map_err(usage)?;
    if change.why.contains(char::is_control) {
        let why = change.why.escape_debug();
        return Err(Error::new(Exit::Usage, format!("`--why` is `{why}`; allowed: text of one line")));
    }
    Ok(Caller { who: host::User::current()?.name, why: change.why.clone(), reader, faults, cancel, consent })
}

/// Cancelled by Ctrl-C, or by TERM. A process has one: a signal that came early is seen by whoever looks later.
fn interrupted() -> Result<CancellationToken, Error> {
    use tokio::signal::unix::{SignalKind, signal};
    let hear =
        |kind| signal(kind).map_err(|error| Error::not_ready(format!("cannot listen to signals: {error}")));
    // From here on neither ends the process by itself.
    let mut terminated = hear(SignalKind::terminate())?;
    let mut interrupted = hear(SignalKind::interrupt())?;
    let token = CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminated.recv() => {}
            _ = interrupted.recv() => {}
        }
        cancelled.cancel();
    });
    Ok(token)
}

/// Prints a plan instead of running it.
fn show_plan(printer: Printer, planned: &deploy::Planned) {
    printer.data(planned);
    if let Some(run) = &planned.interrupted {
        printer.say(&format!("note: {run} was interrupted and comes first; the plan is made again after it"));
    }
    for remark in &planned.remarks {
        printer.say(&format!("note: {remark}"));
    }
    printer.show(&planned.plan.to_string());
}

/// A secret of one line from a file, or from stdin (`-`). `what` is its name in errors.
fn secret_text(path: &Path, limit: u64, what: &str) -> Result<String, Error> {
    let mut text = String::new();
    // The secret itself may have been typed in place of its file: it is not repeated.
    if path.to_string_lossy().contains("://") {
        return Err(Error::new(Exit::Usage, format!("what was given in place of a file is a URL: the {what} is read from a file"))
            .hint("write it into a file of mode 0600, and name the file; everybody on the machine sees a command's arguments"));
    }
    let read = if path == Path::new("-") {
        std::io::stdin().take(limit).read_to_string(&mut text)
    } else {
        host::disk::open_named(path).and_then(|file| file.take(limit).read_to_string(&mut text))
    };
    read.map_err(|error| Error::path(&format!("read the {what} from"), path, &error))?;
    match text.trim() {
        "" => Err(Error::new(Exit::Usage, format!("{} holds no {what}", path.display()))),
        text => Ok(text.to_owned()),
    }
}

/// That everybody may read a file with a secret, in words.
fn exposed(path: &Path, what: &str) -> Option<String> {
    use std::os::unix::fs::PermissionsExt as _;
    let meta = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
    let mode = meta.permissions().mode() & 0o7777;
    (mode & 0o004 != 0).then(|| {
        format!(
            "{} can be read by everybody on this machine (mode {mode:04o}), and it holds the {what}: `chmod 600 {0}`",
            path.display()
        )
    })
}

/// The keys of `mainstay.toml` that were given as flags.
fn flags<const N: usize>(given: [(&'static str, Option<String>); N]) -> BTreeMap<&'static str, String> {
    given.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_dots_lead_where_the_kernel_goes() {
        let dir = tempfile::tempdir().expect("a directory");
        let root = dir.path().canonicalize().expect("its path");
        std::fs::create_dir_all(root.join("a/b")).expect("directories");
        std::os::unix::fs::symlink(root.join("a/b"), root.join("link")).expect("a link");
        for (path, is) in [
            ("a/../chat", "chat"),
            ("a/b/../../chat", "chat"),
            ("link/../chat", "a/chat"),
            ("link/chat", "link/chat"),
            ("none/../chat", "chat"),
            ("a/./chat", "a/chat"),
        ] {
            assert_eq!(without_dots(&root.join(path)), root.join(is), "{path}");
        }
        assert_eq!(without_dots(Path::new("/../chat")), Path::new("/chat"));
    }
}

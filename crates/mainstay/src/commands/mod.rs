//! One file a command: arguments in, a call of `deploy`, its result shown.

mod agent;
mod down;
mod logs;
mod reference;
mod release;
mod settings;
mod shell;
mod status;
mod uninstall;
mod up;
mod verify;

use std::collections::BTreeMap;
use std::io::{BufRead as _, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser as _;
use deploy::{Caller, Error, Kind, Layout, World};
use plan::{Blow, Faults, Reader};
use tokio_util::sync::CancellationToken;

use crate::cli::{Change, Cli, Command, Common};
use crate::exit::Exit;
use crate::printer::Printer;

/// The command line.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no mistakes; clap knows the nearest right name of what is one.
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            let _ = error.print();
            return exit.into();
        }
    };
    let printer = Printer { json: cli.common.json, verbose: cli.common.verbose };
    if let Command::HoldTo { parent, argv } = &cli.command {
        return agent::hold_to(printer, *parent, argv);
    }
    match run(cli, printer) {
        Ok(exit) => exit.into(),
        Err(error) => {
            printer.error(&error);
            Exit::from(error.kind).into()
        }
    }
}

fn run(cli: Cli, printer: Printer) -> Result<Exit, Error> {
    let common = &cli.common;
    // These need neither a deployment nor a runtime.
    match cli.command {
        Command::Reference { page } => return reference::run(printer, page),
        Command::Completions { shell } => return reference::completions(printer, shell),
        Command::Agent => return agent::run(&world(common)?),
        Command::Release(command) => return release::run(printer, common, command),
        _ => {}
    }
    if common.verbose {
        let filter = tracing_subscriber::EnvFilter::new("info");
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    }
    let world = world(common)?;
    if let Command::Shell = cli.command {
        return shell::run(&world);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::not_ready(format!("cannot start: {error}")))?;
    runtime.block_on(async {
        match cli.command {
            Command::Up(args) => up::run(printer, &world, args).await,
            Command::Status => status::run(printer, &world).await,
            Command::Logs(args) => logs::run(printer, &world, &args).await,
            Command::Down(args) => down::run(printer, &world, &args).await,
            Command::Uninstall(args) => uninstall::run(printer, &world, &args).await,
            Command::Verify(args) => verify::run(printer, &world, args).await,
            Command::Settings(command) => settings::run(printer, &world, command).await,
            _ => Err(Error::new(Kind::Bug, "this command was handled above")),
        }
    })
}

/// The deployment that the command is about.
fn world(common: &Common) -> Result<World, Error> {
    let mainstay = std::env::current_exe().map_err(|error| Error::path("find", "/proc/self/exe", &error))?;
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Ok(World::new(Layout::new(dir(common)?), mainstay, variables.collect()))
}

/// The deployment's directory, absolute.
fn dir(common: &Common) -> Result<PathBuf, Error> {
    let dir = match &common.dir {
        Some(dir) if dir.as_os_str().is_empty() => return Err(Error::new(Kind::Usage, "`--dir` is empty")),
        Some(dir) => dir.clone(),
        None if host::User::current()?.is_root() => "/var/lib/mainstay".into(),
        None => data_home()?.join("mainstay"),
    };
    std::path::absolute(&dir).map_err(|error| Error::path("find", dir, &error))
}

fn data_home() -> Result<PathBuf, Error> {
    let absolute = |path: &PathBuf| path.is_absolute();
    let given = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(absolute);
    let home = std::env::var_os("HOME").map(PathBuf::from).filter(absolute);
    given.or_else(|| home.map(|home| home.join(".local/share"))).ok_or_else(|| {
        Error::new(Kind::Usage, "neither XDG_DATA_HOME nor HOME says where data belongs")
            .hint("name a directory with `--dir`")
    })
}

/// What a changing operation needs to know of us.
fn caller<'a>(change: &Change, reader: &'a mut dyn Reader) -> Result<Caller<'a>, Error> {
    let usage = |error: plan::FaultError| Error::new(Kind::Usage, error.to_string());
    let faults = change.inject_failure.iter().map(|fault| (fault, Blow::Fail));
    let faults = faults
        .chain(change.inject_kill.iter().map(|fault| (fault, Blow::Kill)))
        .try_fold(Faults::default(), |faults, (fault, blow)| faults.with(fault, blow))
        .map_err(usage)?;
    Ok(Caller {
        who: host::User::current()?.name,
        why: change.why.clone(),
        reader,
        faults,
        cancel: interrupted(),
    })
}

/// Cancelled by Ctrl-C, or by TERM.
fn interrupted() -> CancellationToken {
    use tokio::signal::unix::{SignalKind, signal};
    let token = CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        let (Ok(mut terminated), Ok(mut interrupted)) =
            (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
        else {
            return;
        };
        tokio::select! {
            _ = terminated.recv() => {}
            _ = interrupted.recv() => {}
        }
        cancelled.cancel();
    });
    token
}

/// Prints a plan instead of running it.
fn show_plan<A: serde::Serialize>(printer: Printer, plan: &plan::Plan<A>) -> Exit {
    printer.data(plan);
    printer.show(&plan.to_string());
    Exit::Done
}

/// Whether the user agrees; who cannot be asked must have said `--yes`.
fn agreed(printer: Printer, question: &str, yes: bool) -> Result<bool, Error> {
    if yes {
        return Ok(true);
    }
    if !std::io::stdin().is_terminal() {
        return Err(
            Error::new(Kind::Usage, format!("{question} There is no terminal to ask")).hint("say `--yes`")
        );
    }
    printer.say(&format!("{question} [y/N]"));
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    Ok(read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// The keys of `mainstay.toml` that were given as flags.
fn flags<const N: usize>(given: [(&'static str, Option<String>); N]) -> BTreeMap<&'static str, String> {
    given.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
}

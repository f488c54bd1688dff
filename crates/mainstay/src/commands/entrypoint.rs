//! `mainstay entrypoint`: what an image's ENTRYPOINT is.
//!
//! Started as root it gives the volume to the user that everything runs as and becomes that user for good, by an exec. As
//! process 1 it runs the rest in a child. Only then the work begins; there nobody is root any more, unless `USERMAP_UID` is 0: that is
//! told at each start.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use container_contract::HOME;
use deploy::{Error, Layout, Place, World, container};
use secrecy::ExposeSecret as _;
use tokio_util::sync::CancellationToken;

use super::{interrupted, runtime, up, variables, world};
use crate::cli::{self, Change, Common};
use crate::printer::Printer;
use finding::Exit;

/// The port that an image exposes.
const PORT: host::Listen = host::Listen { address: None, port: 80 };

/// How long to wait for a database server: containers are started together.
const DATABASE_WAIT: Duration = Duration::from_secs(120);

/// What `app:help` prints.
const HELP: &str = "\
Commands of this container:

  app:start      start Mattermost: settings, database, migration, acceptance test (the default)
  app:migrate    bring the database to this image's release, and end
  app:help       print this
  COMMAND ...    run another program of the image, such as `mattermost version` or `mainstay settings list`

In a running container: `docker exec CONTAINER mainstay status`, `verify`, `settings explain NAME`.
Settings are environment variables: `mainstay settings list` has them all. Everything that must survive the container is in
the volume /opt/mattermost/data.";

/// What is asked for.
enum Job {
    Start,
    Migrate,
    Help,
    Program(Vec<OsString>),
}

impl Job {
    fn read(words: Vec<OsString>) -> Result<Self, Error> {
        const APPS: [&str; 3] = ["app:start", "app:migrate", "app:help"];
        let first = words.first().and_then(|word| word.to_str()).unwrap_or_default();
        let job = match first {
            "app:start" => Self::Start,
            "app:migrate" => Self::Migrate,
            "app:help" => Self::Help,
            other if other.starts_with("app:") => {
                let near = settings::nearest(other, APPS).map(|near| format!("did you mean `{near}`?"));
                let near = near.unwrap_or_else(|| format!("allowed: {}, or a program", APPS.join(", ")));
                return Err(Error::new(
                    Exit::Usage,
                    format!("`{other}` is no command of this container; {near}"),
                ));
            }
            _ => return Ok(Self::Program(words)),
        };
        match words.get(1) {
            Some(more) => Err(Error::new(
                Exit::Usage,
                format!("`{first}` takes no arguments, and `{}` follows it", more.to_string_lossy()),
            )
            .hint("settings are given as environment variables: `app:help` says more")),
            None => Ok(job),
        }
    }
}

pub(super) fn run(printer: Printer, common: &Common, args: cli::Entrypoint) -> Result<ExitCode, Error> {
    let cli::Entrypoint { change, words } = args;
    let job = Job::read(words)?;
    if matches!(job, Job::Help) {
        printer.raw(HELP);
        return Ok(Exit::Done.into());
    }
    let variables = variables();
    if !container::is_container(&variables) {
        return Err(Error::new(Exit::Usage, "this is not the container of an image of Mainstay's")
            .hint("`mainstay up` installs on a machine; `mainstay image build` makes an image"));
    }
    let (uid, gid) = container::run_as(&variables)?;
    if host::User::current()?.is_root() {
        if !matches!(job, Job::Program(_)) {
            deploy::take_volume(&world(common)?, (uid, gid))?;
        }
        become_user(uid, gid)?;
    }
    if !matches!(job, Job::Program(_)) {
        deploy::reach_volume(&world(common)?)?;
    }
    if host::init::is_process_one() {
        return process_one(&job, &variables);
    }
    match job {
        Job::Program(words) => Err(not_run(&words[0], &program(&words, &variables).exec())),
        Job::Migrate => Ok(work(printer, common, change, false)?.into()),
        Job::Start | Job::Help => Ok(work(printer, common, change, true)?.into()),
    }
}

/// In a container, root is only the one who came in by `docker exec`: the deployment is its owner's.
pub(super) fn step_down(common: &Common) -> Result<(), Error> {
    let variables = variables();
    let layout = super::layout(common, &variables)?;
    if layout.place() != Place::Container || !host::User::current()?.is_root() {
        return Ok(());
    }
    let (uid, gid) = match std::fs::metadata(layout.root()) {
        Ok(root) => (root.uid(), root.gid()),
        Err(_) => container::run_as(&variables)?,
    };
    become_user(uid, gid)
}

/// Becomes the user and starts over, for good; nothing happens where that is root itself.
fn become_user(uid: u32, gid: u32) -> Result<(), Error> {
    if uid == 0 {
        return Ok(());
    }
    let mut again = this_program();
    again.env("HOME", HOME);
    for (variable, name, text) in deploy::secrets_of_root(&variables(), (uid, gid)) {
        again.env_remove(variable).env(name, text.expose_secret());
    }
    let Err(error) = host::identity::become_user(uid, gid, host::port::is_privileged(PORT), &mut again);
    Err(Error::not_ready(error.to_string()).hint(
        "give the container the capabilities SETUID and SETGID (`--cap-add`), or start it as a user with `--user` and a volume that \
         belongs to it",
    ))
}

/// The same command line once more.
fn this_program() -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("mainstay").args(std::env::args_os().skip(1));
    command
}

/// A program of the image, with the release's own on the path.
fn program(words: &[OsString], variables: &BTreeMap<String, String>) -> Command {
    let mut command = Command::new(&words[0]);
    let path = variables.get("PATH").map_or("/usr/bin", String::as_str);
    command.args(&words[1..]).env("PATH", format!("{HOME}/bin:{path}"));
    if Layout::container().config().exists() {
        command.env("MM_CONFIG", Layout::container().config());
    }
    command
}

fn process_one(job: &Job, variables: &BTreeMap<String, String>) -> Result<ExitCode, Error> {
    let ended = match job {
        Job::Program(words) => {
            host::init::run(&mut program(words, variables)).map_err(|error| not_run(&words[0], &error))
        }
        _ => host::init::run(&mut this_program())
            .map_err(|error| Error::not_ready(format!("cannot start: {error}"))),
    };
    Ok(ExitCode::from(ended?.code()))
}

fn not_run(program: &OsString, error: &std::io::Error) -> Error {
    let name = Path::new(program).display();
    let error = match error.kind() {
        std::io::ErrorKind::NotFound => {
            Error::new(Exit::Usage, format!("there is no program `{name}` in this image"))
        }
        _ => Error::not_ready(format!("cannot run `{name}`: {error}")),
    };
    error.hint("`app:help` lists what there is; the image has no shell")
}

/// `app:start` or `app:migrate`, as the user.
fn work(printer: Printer, common: &Common, change: Change, start: bool) -> Result<Exit, Error> {
    let world = world(common)?;
    if let Some(warning) = world.layout.place().runs_as_root(None) {
        printer.say(&format!("warning: {warning}"));
    }
    let printer = told_of(printer, &world)?;
    runtime()?.block_on(async {
        let cancel = interrupted()?;
        if !start {
            return Box::pin(up::migrate(printer, &world, &change, DATABASE_WAIT, cancel)).await;
        }
        let args = cli::Up {
            edition: None,
            take_over: None,
            release_version: None,
            release: None,
            listen: None,
            site_url: None,
            user: None,
            start_empty: false,
            no_boot: false,
            boot: false,
            at_boot: false,
            foreground: true,
            wait: DATABASE_WAIT.as_secs(),
            database: None,
            install_packages: false,
            create_database: deploy::Creation::asked(&world.variables).map(|_| None),
            // A container has nobody to ask.
            change: Change { yes: true, ..change },
        };
        // What the server says is what `docker logs` shows.
        let (log, ended) = (world.layout.log(deploy::LogPart::Server), CancellationToken::new());
        let follower = tokio::spawn(tell(printer, log, ended.clone()));
        let outcome = Box::pin(up::run(printer, &world, args, cancel)).await;
        // Its last words are in the file by now.
        ended.cancel();
        let _ = follower.await;
        outcome
    })
}

/// Prints the lines of a log from now on, until `ended` and everything is told.
async fn tell(printer: Printer, log: std::path::PathBuf, ended: CancellationToken) {
    let Ok(mut lines) = host::follow(&log, 0, ended) else { return };
    while let Ok(Some(line)) = lines.next().await {
        printer.raw(&line);
    }
    while let Ok(Some(line)) = lines.ready() {
        printer.raw(&line);
    }
}

/// With DEBUG, says what there is to begin with; also every cause from then on.
fn told_of(printer: Printer, world: &World) -> Result<Printer, Error> {
    let release = deploy::present_release(&world.layout);
    let resolved = deploy::settings_of(world, &deploy::wanted_file(&world.layout)?, &release)?;
    if resolved.input("DEBUG").is_none_or(|debug| debug.value != true) {
        return Ok(printer);
    }
    let user = host::User::current()?;
    printer.say(&format!(
        "debug: {release}, as user {}:{}, in {}",
        user.uid,
        user.gid,
        world.layout.root().display()
    ));
    for entry in settings::list(&resolved, None) {
        if let Some(held) = entry.held {
            printer.say(&format!("debug: {} = {} ({})", entry.name, held.value, held.origin));
        }
    }
    Ok(Printer { verbose: true, ..printer })
}

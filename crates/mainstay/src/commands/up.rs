//! `mainstay up`

use std::io::{BufRead as _, Read as _};
use std::time::{Duration, Instant};

use deploy::{Attempt, Consent, Creation, Error, Migrate, Request, StartEmpty, Up, UpReport, World};
use tokio_util::sync::CancellationToken;

use super::{caller, flags};
use crate::cli;
use crate::printer::Printer;
use crate::terminal;
use finding::Exit;

/// How often the start at boot looks whether an operation that runs has ended.
const LOOK: Duration = Duration::from_millis(200);

pub(super) async fn run(
    printer: Printer,
    world: &World,
    args: cli::Up,
    cancel: CancellationToken,
) -> Result<Exit, Error> {
    if !args.at_boot {
        return bring_up(printer, world, args, cancel).await;
    }
    let mut attempt = deploy::attempt(world)?;
    if let Attempt::After(holder) = &attempt {
        printer.say(&format!("The parts are started when this has ended: {holder}"));
    }
    while let Attempt::After(_) = attempt {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = cancel.cancelled() => return Ok(Exit::Done),
        }
        attempt = deploy::attempt(world)?;
    }
    match attempt {
        Attempt::After(_) => {}
        Attempt::LeaveTo(holder) => {
            printer.say(&format!("The parts are left to the operation that started the agent: {holder}"));
            deploy::attempt_ended(world, true);
            return Ok(Exit::Done);
        }
        Attempt::Go(wait) => {
            if !wait.is_zero() {
                printer.say(&format!("The last attempts failed, so the next one is in {} s", wait.as_secs()));
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = cancel.cancelled() => return Ok(Exit::Done),
            }
        }
    }
    let change = cli::Change { why: "systemd started it".to_owned(), ..args.change };
    let ended = bring_up(printer, world, cli::Up { change, ..args }, cancel.clone()).await;
    // Whoever stops the unit meanwhile has not seen it fail.
    if !cancel.is_cancelled() {
        deploy::attempt_ended(world, ended.is_ok());
    }
    ended
}

async fn bring_up(
    printer: Printer,
    world: &World,
    args: cli::Up,
    cancel: CancellationToken,
) -> Result<Exit, Error> {
    let mut request = Request {
        flags: flags([
            ("edition", args.edition),
            ("version", args.release_version),
            ("listen", args.listen.map(|listen| listen.to_string())),
            ("site_url", args.site_url),
            ("user", args.user),
            ("boot", (args.boot || args.no_boot).then(|| args.boot.to_string())),
            ("database", args.database),
        ]),
        keeps_boot: args.at_boot || args.foreground,
        origin: args.release.map(|path| release::Origin::File { path }),
        wait: Some(Duration::from_secs(args.wait)),
        take_over: args.take_over,
        creation: args.create_database.map(|file| file.map_or(Creation::Variable, Creation::File)),
        install_packages: args.install_packages,
    };
    let from_stdin = request.creation == Some(Creation::File("-".into()));
    let mut world = world.clone();
    if from_stdin {
        request.creation = Some(Creation::Variable);
        // In memory and nowhere else: the agent gets an environment of its own.
        world.variables.insert(deploy::ADMINISTRATORS[0].to_owned(), line_of_stdin()?);
    }
    let world = &world;
    if args.start_empty {
        let operation = StartEmpty { request: request.clone() };
        let aside = super::change(printer, world, &operation, &args.change, None, cancel.clone()).await?;
        match aside {
            Some(Some(aside)) => {
                printer.say(&format!("What was left of the deployment is now in {}", aside.display()));
            }
            Some(None) => printer.say("note: nothing is gone here, so `--start-empty` moves nothing"),
            None => return Ok(Exit::Done),
        }
    }
    let began = Instant::now();
    let operation = Up { request };
    let report = super::change(printer, world, &operation, &args.change, None, cancel.clone()).await?;
    let Some(up) = report else { return Ok(Exit::Done) };
    printer.data(&up);
    for line in settings::in_lines(&up.notices) {
        printer.say(&line);
    }
    for warning in &up.warnings {
        printer.say(&format!("warning: {warning}"));
    }
    for cleared in &up.cleared {
        printer.say(&format!("note: {cleared}"));
    }
    let password_command = world.layout.place().password_command();
    printer.show(&summary(&up, began.elapsed().as_secs_f64(), password_command));
    if args.foreground {
        let mut reader = terminal::reader(printer);
        deploy::stay(world, caller(&args.change, &mut *reader, Consent::Given, cancel)?).await?;
    }
    Ok(Exit::Done)
}

/// Brings a container's database to its image's release.
pub(super) async fn migrate(
    printer: Printer,
    world: &World,
    change: &cli::Change,
    wait: Duration,
    cancel: CancellationToken,
) -> Result<Exit, Error> {
    let wait = Some(wait);
    let creation = Creation::asked(&world.variables);
    let operation = Migrate { request: Request { wait, creation, ..Request::default() } };
    if let Some(release) = super::change(printer, world, &operation, change, None, cancel).await? {
        printer.data(&serde_json::json!({ "release": release.to_string() }));
        printer.show(&format!("\nThe database has the schema of {release}. Start it with `app:start`"));
    }
    Ok(Exit::Done)
}

/// The first line, bounded.
fn line_of_stdin() -> Result<String, Error> {
    const MOST: u64 = 64 * 1024;
    let mut line = String::new();
    let read = std::io::stdin().lock().take(MOST).read_line(&mut line);
    read.map_err(|error| Error::path("read the administrator's address on", "stdin", &error))?;
    Ok(line)
}

fn summary(up: &UpReport, seconds: f64, password_command: Option<&str>) -> String {
    let verified = up.verified_at.and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
    let headline = match (up.changed, verified) {
        _ if up.resumed.is_some() => {
            let resumed = up
                .resumed
                .as_ref()
                .map(|resumed| format!("{} of {}", resumed.run, finding::moment(resumed.began)));
            let resumed = resumed.unwrap_or_default();
            format!("\nMattermost is up and verified: run {resumed}, which was interrupted, is finished")
        }
        (true, _) => format!("\nMattermost is up and verified, in {seconds:.1} s"),
        (false, Some(at)) => {
            format!("Mattermost is up; nothing had to be changed. It was verified at {}", finding::moment(at))
        }
        (false, None) => "Mattermost is up; nothing had to be changed".to_owned(),
    };
    let mut lines = vec![headline, String::new(), format!("  Address        {}", up.url)];
    if let Some(name) = &up.administrator {
        let secrets = up.dir.join("secrets.toml");
        lines.push(match password_command {
            Some(command) => format!("  Administrator  {name}; set a password: `{command}`"),
            None => format!("  Administrator  {name}, whose password is in {}", secrets.display()),
        });
    }
    if !up.administrators_kept.is_empty() {
        let names = up.administrators_kept.join(", ");
        lines.push(format!("  Administrators {names}, as before; another one: `mainstay admin create NAME`"));
    }
    lines.push(format!("  Directory      {}", up.dir.display()));
    lines.push(format!("  Release        {}", up.release));
    lines.extend(up.boot.as_ref().map(|boot| format!("  At boot        {}", boot.line())));
    let names = up.unchecked.iter().filter(|what| what.starts_with("the name "));
    lines.extend(names.map(|what| format!("  Not tested     {what}; `mainstay verify` tests it")));
    lines.push(String::new());
    lines.push(
        "Next: `mainstay status`, `mainstay logs -f`, `mainstay verify --browser`, `mainstay down`"
            .to_owned(),
    );
    lines.join("\n")
}

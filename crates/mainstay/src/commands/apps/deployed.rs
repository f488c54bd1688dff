//! `mainstay apps deploy --to local`, `list`, `rollback` and `undeploy`: apps that the agent runs.

use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};

use apps::{ARCHIVE_MAX, About, Bundle, names, route};
use apps_aws::Flags;
use deploy::{AppChanged, DeployApp, Error, LocalApp, NewApp, RollBackApp, UndeployApp, World};
use finding::Exit;
use secrecy::ExposeSecret as _;
use tokio_util::sync::CancellationToken;

use super::local::{Here, variables_in};
use super::{failed, source};
use crate::cli::{self, Apps, Change, Cloud, Common, Provision, Where};
use crate::commands::{change, world};
use crate::printer::Printer;

/// A command about the apps of this machine.
pub(super) enum Command {
    Deploy(Box<cli::DeployApp>),
    List(cli::ListApps),
    Rollback(cli::RollbackApp),
    Undeploy(cli::UndeployApp),
}

impl Command {
    /// The command, if it is about this machine; otherwise it comes back.
    pub(super) fn of(command: Apps) -> Result<Self, Box<Apps>> {
        match command {
            Apps::Deploy(args) | Apps::Provision(Provision::App(args)) if args.to == Where::Local => {
                Ok(Self::Deploy(args))
            }
            Apps::List(args) if args.to == Where::Local => Ok(Self::List(args)),
            Apps::Rollback(args) if args.to == Where::Local => Ok(Self::Rollback(args)),
            Apps::Undeploy(args) if args.to == Where::Local => Ok(Self::Undeploy(args)),
            other => Err(Box::new(other)),
        }
    }
}

pub(super) async fn run(
    printer: Printer,
    here: &Here,
    common: &Common,
    command: Command,
    cancel: CancellationToken,
) -> Result<Exit, Error> {
    let world = world(common)?;
    match command {
        Command::Deploy(args) => deploy(printer, here, &world, &args, cancel).await,
        Command::List(args) => {
            only_aws(&args.cloud, &[])?;
            list(printer, &world).await
        }
        Command::Rollback(args) => {
            only_aws(&args.cloud, &[])?;
            let operation = RollBackApp { app_id: args.id };
            let done = changed(printer, &world, &operation, &args.change, None, cancel).await?;
            say(printer, done, |done| match done.version {
                Some(_) => format!("{} is back at {}", done.app_id, version(done)),
                None => {
                    format!("{} was deployed for the first time: nothing of it is deployed now", done.app_id)
                }
            })
        }
        Command::Undeploy(args) => {
            only_aws(&args.cloud, &[("VERSION", args.version.is_some())])?;
            let question = format!(
                "Remove {} from this machine: its bundles, its secret and its logs? Mattermost calls it in vain then",
                args.id
            );
            let operation = UndeployApp { app_id: args.id };
            let done = changed(printer, &world, &operation, &args.change, Some(&question), cancel).await?;
            say(printer, done, |done| match done.changed {
                true => format!("{} is removed", done.app_id),
                false => nothing_of(&world, &done.app_id),
            })
        }
    }
}

async fn changed<O: deploy::Operation<Report = AppChanged>>(
    printer: Printer,
    world: &World,
    operation: &O,
    args: &Change,
    question: Option<&str>,
    cancel: CancellationToken,
) -> Result<Option<AppChanged>, Error> {
    change(printer, world, operation, args, question, cancel).await
}

fn say(
    printer: Printer,
    done: Option<AppChanged>,
    text: impl FnOnce(&AppChanged) -> String,
) -> Result<Exit, Error> {
    if let Some(done) = done {
        printer.data(&done);
        printer.show(&text(&done));
    }
    Ok(Exit::Done)
}

/// That an app needs no removal.
fn nothing_of(world: &World, id: &str) -> String {
    let text = format!(
        "Nothing of {id} is deployed to this machine: it was removed already, or never deployed here"
    );
    let deployed = deploy::deployed_apps(world);
    match finding::nearest(id, deployed.iter().map(String::as_str)) {
        Some(near) => format!("{text}. Did you mean `{near}`?"),
        None => text,
    }
}

/// The version of an app, in words: it may have none.
fn version(done: &AppChanged) -> &str {
    match done.version.as_deref() {
        None | Some("") => "a version without a name",
        Some(version) => version,
    }
}

async fn deploy(
    printer: Printer,
    here: &Here,
    world: &World,
    args: &cli::DeployApp,
    cancel: CancellationToken,
) -> Result<Exit, Error> {
    let foreign = [
        ("--architecture", args.architecture.is_some()),
        ("--unset-env", !args.unset_env.is_empty()),
        ("--role", args.role.is_some()),
        ("--policy", args.policy.is_some()),
        ("--adopt", args.adopt),
    ];
    only_aws(&args.cloud, &foreign)?;
    let words = |error| failed(printer, error);
    let fetched = source::bring(&args.bundle, &args.source, &Flags::default()).await.map_err(words)?;
    let read = || {
        let bytes = match fetched.path.is_dir() {
            true => apps::pack(&fetched.path)?.bytes,
            false => apps::read_file(&fetched.path, ARCHIVE_MAX)?,
        };
        let bundle = Bundle::from_bytes(&fetched.path, bytes.clone())?;
        Ok((bundle, bytes))
    };
    let (bundle, bytes) = read().map_err(|error: apps::Error| words(fetched.explain(error)))?;
    super::say(printer, &fetched.named(&bundle.warnings));
    let id = bundle.manifest.app_id.clone();
    apps::runtime::check(&bundle.functions).map_err(words)?;
    if bundle.functions.is_empty() {
        return Err(Error::new(Exit::Refused, format!("the bundle of {id} has no function to run"))
            .hint("`mainstay apps serve BUNDLE --command COMMAND` serves an app that answers by HTTP"));
    }
    check_address(args).map_err(words)?;
    let environment = super::deploy::environment(args).map_err(words)?;
    let mut variables = String::new();
    for (name, value) in &environment {
        let value = value.expose_secret();
        if value.contains(['\n', '\r']) {
            return Err(Error::new(Exit::Usage, format!("the value of {name} has more than one line")));
        }
        variables.push_str(&format!("{name}={value}\n"));
    }
    let staged = stage(&bytes, &variables)?;
    if !variables.is_empty() {
        variables_in(&staged.path().join("environment")).map_err(words)?;
    }
    let functions: Vec<_> = bundle.functions.iter().map(|package| package.function.clone()).collect();
    let number = |value: Option<i32>, flag: &str, allowed: std::ops::RangeInclusive<u64>| {
        let Some(value) = value else { return Ok(None) };
        let number = u64::try_from(value).ok().filter(|value| allowed.contains(value));
        number.map(Some).ok_or_else(|| {
            let what = format!("`{flag}` is {value}; allowed: {} to {}", allowed.start(), allowed.end());
            Error::new(Exit::Usage, what)
        })
    };
    let key = names::sha256(&[&bytes[..], variables.as_bytes()].concat());
    let app = NewApp {
        version: bundle.manifest.version.clone(),
        about: About::of(&bundle.manifest),
        source: staged.path().to_owned(),
        sha256: names::sha256(&bytes),
        key: key.get(..16).unwrap_or_default().to_owned(),
        ping: !args.skip_verify && route(&functions, "/ping").is_some(),
        listen: args.address.listen,
        from: (!args.address.from.is_empty()).then(|| args.address.from.clone()),
        root_url: args.address.root_url.clone(),
        memory: number(args.memory, "--memory", 32..=10_240)?,
        timeout: number(args.timeout, "--timeout", 1..=900)?,
        concurrency: args.address.concurrency,
        app_id: id.clone(),
    };
    let question = deploy::replaced_app(world, &app)?
        .map(|other| format!("Replace {other}? Functions, files and calls of it go to the new one"));
    let operation = DeployApp { app };
    let done = changed(printer, world, &operation, &args.change, question.as_deref(), cancel).await?;
    let secret = here.dir(&id).secret();
    say(printer, done, |done| {
        let url = done.url.as_deref().unwrap_or_default();
        let what = if done.changed { "is deployed" } else { "is deployed already, unchanged" };
        format!(
            "\n{id} {} {what}; it answers at {url}\nIn Mattermost: /apps install http {url}/manifest.json\nThe secret that Mattermost asks for is in {}",
            version(done),
            secret.display()
        )
    })
}

/// The bundle and the variables in a directory that their owner alone reads, for the plan to copy.
fn stage(bundle: &[u8], variables: &str) -> Result<tempfile::TempDir, Error> {
    let private = std::fs::Permissions::from_mode(0o700);
    let dir = tempfile::Builder::new()
        .permissions(private)
        .tempdir()
        .map_err(|error| Error::path("make a directory in", std::env::temp_dir(), &error))?;
    let write = |name: &str, bytes: &[u8]| {
        use std::io::Write as _;
        let path = dir.path().join(name);
        let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        file.and_then(|mut file| file.write_all(bytes)).map_err(|error| Error::path("write", &path, &error))
    };
    write("bundle.zip", bundle)?;
    if !variables.is_empty() {
        write("environment", variables.as_bytes())?;
    }
    Ok(dir)
}

/// Whether Mattermost, and nobody else, reaches the app there.
fn check_address(args: &cli::DeployApp) -> Result<(), apps::Error> {
    let address = &args.address;
    if let Some(root_url) = &address.root_url {
        super::serve::check_root_url(root_url)?;
    }
    let Some(listen) = address.listen else { return Ok(()) };
    if listen.port() == 0 {
        return Err(apps::Error::new(
            Exit::Usage,
            format!("`--listen {listen}`: the app would answer at another port after each start"),
        )
        .hint("name a port, or leave `--listen` out: a free one is chosen once"));
    }
    apps::serve::may_listen(listen, &address.from)?;
    super::serve::check_reachable(listen, address.root_url.as_deref())
}

/// Refuses what means something on AWS alone.
fn only_aws(cloud: &Cloud, more: &[(&str, bool)]) -> Result<(), Error> {
    let given = [
        ("--region", cloud.region.is_some()),
        ("--bucket", cloud.bucket.is_some()),
        ("--profile", cloud.profile.is_some()),
        ("--endpoint-url", cloud.endpoint_url.is_some()),
        ("--take-over", cloud.take_over),
    ];
    match given.iter().chain(more).find(|(_, is_given)| *is_given) {
        Some((flag, _)) => Err(Error::new(Exit::Usage, format!("`{flag}` is for apps on AWS"))
            .hint("leave it out, or leave out `--to local`")),
        None => Ok(()),
    }
}

async fn list(printer: Printer, world: &World) -> Result<Exit, Error> {
    let all = deploy::local_apps(world).await?;
    printer.data(&all);
    let apps = &all.apps;
    for what in &all.unreadable {
        printer.say(&format!("warning: {what}"));
    }
    if let Some(run) = &all.unfinished {
        let next = match (run.is_taken_back(), &run.needs_you) {
            (_, Some(why)) => format!("could not be undone: {why}; remove the cause, then run `mainstay up`"),
            (true, None) => "did not end; `mainstay up` takes it back".to_owned(),
            (false, None) => "did not end; `mainstay up` goes on with it".to_owned(),
        };
        printer.say(&format!(
            "warning: run {}, `{}` ({}), {next}. Until then what runs may not be what is listed",
            run.run, run.operation, run.title
        ));
    }
    if let Some(holder) = &all.busy {
        printer.say(&format!(
            "note: {holder} changes the deployment right now: what runs may not be what is listed"
        ));
    }
    let width = apps.iter().map(|app| app.deployed.spec.app_id.len()).max().unwrap_or_default();
    let line = |app: &LocalApp| {
        let spec = &app.deployed.spec;
        let at = jiff::Timestamp::from_millisecond(app.deployed.at);
        let at = at.map(|at| at.strftime("%Y-%m-%d %H:%M").to_string()).unwrap_or_default();
        let state = match (&app.running, &app.trouble) {
            (_, Some(trouble)) => trouble.clone(),
            (Some(running), None) => super::super::status::app_state(running),
            (None, None) => "down; `mainstay up` starts it".to_owned(),
        };
        let earlier = match &app.earlier[..] {
            [] => String::new(),
            earlier => format!("; before it: {}", earlier.join(", ")),
        };
        format!("{:<width$}  {:<10}  {at}  {state}{earlier}", spec.app_id, spec.version)
    };
    let mut lines: Vec<String> = apps.iter().map(line).collect();
    lines.extend(all.unrecorded.iter().map(|app| {
        format!(
            "{:<width$}  {:<10}  its deployment has not ended: {}",
            app.spec.app_id,
            app.spec.version,
            super::super::status::app_state(app)
        )
    }));
    printer.show(&if lines.is_empty() {
        "No app is deployed to this machine".to_owned()
    } else {
        lines.join("\n")
    });
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn staged_files_are_their_owner_s() {
        let dir = stage(b"zip", "A=1\n").expect("written");
        let mode = |path: &Path| std::fs::metadata(path).expect("it").permissions().mode() & 0o077;
        assert_eq!((mode(dir.path()), mode(&dir.path().join("environment"))), (0, 0));
        assert!(!stage(b"zip", "").expect("written").path().join("environment").exists());
    }
}

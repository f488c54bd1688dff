//! `mainstay apps serve`

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use apps::Error;
use apps::runtime::AppDir;
use apps::serve::{Backend, Program, SECRET_MIN, Secret, Unit, bind, may_listen};
use finding::Exit;
use host::guest::{Rights, Slot};
use host::{Log, Policy, Shim, Spawner, State, Status, Supervisor};
use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::local::{Here, announce, answer, note_own_user, open, prepare, word};
use crate::cli::Serve;
use crate::printer::Printer;

pub(super) async fn run(
    printer: Printer,
    here: &Here,
    args: &Serve,
    cancel: CancellationToken,
) -> Result<Exit, Error> {
    let bundle = open(printer, &args.bundle)?;
    let id = &bundle.manifest.app_id;
    if bundle.functions.is_empty() && args.command.is_none() {
        return Err(Error::new(
            Exit::Usage,
            format!("nothing answers the calls of {id}: its bundle has no function"),
        )
        .hint("name the program that does with `--command`"));
    }
    if args.command.as_ref().is_some_and(|command| command.trim().is_empty()) {
        return Err(Error::new(
            Exit::Usage,
            "`--command` is empty; it is the shell command of a program that answers calls",
        )
        .hint("for example `--command 'node server.js'`"));
    }
    may_listen(args.listen, &args.from)?;
    check_reachable(args.listen, args.root_url.as_deref())?;
    if args.unit {
        printer.text(&unit(id, args)?);
        return Ok(Exit::Done);
    }
    if let Some(root_url) = &args.root_url {
        check_root_url(root_url)?;
    }
    let dir = here.dir(id);
    let secret_file = match &args.secret_file {
        Some(file) => {
            std::path::absolute(file).map_err(|error| Error::new(Exit::NotReady, error.to_string()))?
        }
        None => dir.generated_secret()?,
    };
    let secret = secret_in(&secret_file)?;
    let listener = bind(args.listen, &args.from).await?;
    // The kernel chooses the port where 0 was asked for.
    let address = listener.local_addr().map_err(|error| Error::new(Exit::NotReady, error.to_string()))?;
    let root_url = args.root_url.clone().unwrap_or_else(|| format!("http://{address}"));
    let mut settings = here.settings(id, &args.functions)?;
    let (variables, limit) = (std::mem::take(&mut settings.env), settings.limit);
    let (runtime, program) = match &args.command {
        None => {
            settings.env = variables;
            (Some(Arc::new(prepare(&bundle, &bundle.functions, settings)?)), None)
        }
        Some(command) => {
            // The files come from where they would be on S3, and no function runs.
            let memory = settings.memory;
            let files = prepare(&bundle, &[], settings)?;
            let program = Supervised::start(command, &dir, variables, memory)?;
            (Some(Arc::new(files)), Some(program))
        }
    };
    let backend = match (&program, &runtime) {
        (Some(program), _) => Backend::Program(Box::new(Program::new(program.address, limit))),
        (None, Some(runtime)) => Backend::Functions(runtime.clone()),
        (None, None) => return Err(Error::new(Exit::Bug, "nothing answers the calls")),
    };
    let running = announce(&dir, &bundle, &listener, Some(secret_file.clone()))?;
    let manifest_url = format!("{}/manifest.json", root_url.trim_end_matches('/'));
    printer.data(&json!({
        "app_id": id, "version": running.version, "url": running.url, "pid": running.pid,
        "manifest": manifest_url, "secret_file": secret_file,
    }));
    printer.show(&format!("{id} {} answers on {} until it is stopped", running.version, running.url));
    printer.show(&format!(
        "Install it in Mattermost: /apps install http {manifest_url}\nThe secret that Mattermost asks for is in {}",
        secret_file.display()
    ));
    note_own_user(printer);
    if let Some(program) = &program {
        tokio::spawn(say_ends(printer, id.clone(), program.supervisor.status()));
    }
    answer(&bundle, &dir, &root_url, (backend, Some(secret)), (listener, &args.from), cancel).await;
    if let Some(program) = program {
        program.stop().await;
    }
    if let Some(runtime) = runtime {
        runtime.stop().await;
    }
    Ok(Exit::Done)
}

/// Whether it is said where Mattermost reaches the app.
pub(super) fn check_reachable(listen: SocketAddr, root_url: Option<&str>) -> Result<(), Error> {
    if root_url.is_some() || !listen.ip().is_unspecified() {
        return Ok(());
    }
    let what = format!("Mattermost cannot call {listen}, which stands for every address of this machine");
    Err(Error::new(Exit::Usage, what).hint("say with `--root-url` where Mattermost reaches the app"))
}

pub(super) fn check_root_url(root_url: &str) -> Result<(), Error> {
    let url = url::Url::parse(root_url).ok();
    if url.as_ref().is_some_and(|url| !url.username().is_empty() || url.password().is_some()) {
        let what = "`--root-url` has a user or a password: it stands in the app's manifest, which everybody may read";
        return Err(Error::new(Exit::Usage, what));
    }
    let is_url = url.is_some_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none()
    });
    if is_url {
        return Ok(());
    }
    let what =
        format!("`--root-url` is {root_url}; allowed is an absolute URL, http or https, without a query");
    Err(Error::new(Exit::Usage, what))
}

/// The secret in a file, which is never empty, and which not everybody may read.
fn secret_in(path: &Path) -> Result<Secret, Error> {
    let mode = std::fs::metadata(path).map_or(0, |meta| meta.permissions().mode());
    if mode & 0o007 != 0 {
        return Err(Error::new(
            Exit::Refused,
            format!(
                "every user of this machine can read the app's secret in {} (mode {:04o})",
                path.display(),
                mode & 0o7777
            ),
        )
        .hint(format!("close it: `chmod 600 {}`; if others may have read it, make a new one", word(path))));
    }
    let bytes = apps::read_file(path, 4096)?;
    Secret::new(&String::from_utf8_lossy(&bytes)).ok_or_else(|| {
        let what = format!("the secret in {} is shorter than {SECRET_MIN} bytes", path.display());
        Error::new(Exit::Settings, what)
            .hint(format!("make one: `(umask 077; openssl rand -hex 32 > {})`", word(path)))
    })
}

/// A program that answers the calls, and is started again when it ends.
struct Supervised {
    supervisor: Supervisor,
    address: SocketAddr,
    slot: Option<Slot>,
}

impl Supervised {
    fn start(
        command: &str,
        dir: &AppDir,
        variables: BTreeMap<String, String>,
        memory: u64,
    ) -> Result<Self, Error> {
        let not_ready = |error: &dyn std::fmt::Display| Error::new(Exit::NotReady, error.to_string());
        let slot = Slot::take();
        let user = slot.as_ref().and_then(Slot::user);
        let cwd = std::path::absolute(".").map_err(|error| not_ready(&error))?;
        if let Some(user) = &user {
            user.can_enter(&cwd)
                .map_err(|error| not_ready(&format!("the command runs as another user, and {error}")))?;
        }
        let work = dir.root().join("run/work/command");
        std::fs::create_dir_all(&work).map_err(|error| not_ready(&error))?;
        if let Some(user) = &user {
            std::os::unix::fs::chown(&work, Some(user.uid), Some(user.gid))
                .map_err(|error| not_ready(&error))?;
        }
        // Free now; the program is told, and a caller hears when another program was faster.
        let probe =
            std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| not_ready(&error))?;
        let address = probe.local_addr().map_err(|error| not_ready(&error))?;
        drop(probe);
        let rights = Rights {
            read: vec![cwd.clone(), "/opt".into(), "/srv".into()],
            write: vec![work.clone()],
            memory: memory.saturating_add(512 << 20),
            file: 1 << 30,
            processes: 256,
        };
        let mut env = variables;
        env.insert("PORT".into(), address.port().to_string());
        if let Some(slot) = &slot {
            env.insert(host::guest::MARK.into(), host::guest::mark(slot, "command"));
        }
        for name in ["HOME", "TMPDIR"] {
            env.insert(name.into(), work.display().to_string());
        }
        let command = host::process::Command {
            program: "/bin/sh".into(),
            args: ["-c", command].map(Into::into).to_vec(),
            env,
            cwd,
            user,
            log: Log::at(dir.logs().join("command.log")).of_speaker("command"),
            pid_file: Some(dir.root().join("pids/command")),
            shim: Shim::guest().of_guest(&rights),
            stop: host::StopSignal::default(),
        };
        let spawner = Spawner::start().map_err(|error| not_ready(&error))?;
        let policy = Policy { grace: Duration::from_secs(5), ..Policy::default() };
        let supervisor = Supervisor::start(&spawner, command, policy).map_err(|error| not_ready(&error))?;
        Ok(Self { supervisor, address, slot })
    }
}

impl Supervised {
    /// Ends the program and everything that it started.
    async fn stop(self) {
        self.supervisor.stop().await;
        if let Some(slot) = self.slot {
            let _ = tokio::task::spawn_blocking(move || host::guest::end_in(&slot)).await;
        }
    }
}

/// Says each time that the command has ended and when it is started again.
async fn say_ends(printer: Printer, id: String, mut status: watch::Receiver<Status>) {
    loop {
        let state = status.borrow_and_update().state.clone();
        if let State::BackingOff { until_ms, last_exit } = state {
            let wait = until_ms.saturating_sub(jiff::Timestamp::now().as_millisecond()).max(0);
            printer.say(&format!(
                "warning: the command {last_exit}; it is started again in {:.1} s; what it printed: `mainstay apps logs {id}`",
                wait as f64 / 1000.0
            ));
        }
        if status.changed().await.is_err() {
            return;
        }
    }
}

/// The unit that does what these arguments say.
fn unit(app_id: &str, args: &Serve) -> Result<String, Error> {
    let absolute = |path: &Path| -> Result<String, Error> {
        let path =
            std::path::absolute(path).map_err(|error| Error::new(Exit::NotReady, error.to_string()))?;
        let text = path.to_str().map(str::to_owned);
        text.ok_or_else(|| Error::new(Exit::Usage, format!("the path {} is not UTF-8", path.display())))
    };
    let program: PathBuf =
        std::env::current_exe().map_err(|error| Error::new(Exit::NotReady, error.to_string()))?;
    let mut command = vec![absolute(&program)?, "apps".into(), "serve".into(), absolute(&args.bundle)?];
    command.extend(["--listen".into(), args.listen.to_string()]);
    for from in &args.from {
        command.extend(["--from".into(), from.to_string()]);
    }
    let more = [("--root-url", args.root_url.clone()), ("--command", args.command.clone())];
    command.extend(more.into_iter().filter_map(|(flag, value)| Some([flag.to_owned(), value?])).flatten());
    let mut credentials = Vec::new();
    for (flag, file) in [("--secret-file", &args.secret_file), ("--env-file", &args.functions.env_file)] {
        if let Some(file) = file {
            credentials.push((flag, absolute(file)?));
        }
    }
    let functions = &args.functions;
    for (flag, value) in [
        ("--memory", functions.memory),
        ("--timeout", functions.timeout),
        ("--concurrency", functions.concurrency.into()),
    ] {
        command.extend([flag.into(), value.to_string()]);
    }
    Ok(Unit { app_id, command: &command, credentials: &credentials }.text())
}

//! The agent: the long-running process of a deployment.
//!
//! It runs parts by name, as it is told over its control socket, and decides nothing: what shall run is for the plans to say. So a
//! plan that is undone leaves no trace in it, and an agent that is killed takes everything down with it. It can become a newer
//! program in place, which goes on with every part: docs/design/agent.md.

mod abandoned;
mod app;
mod edge;
mod found;
mod liveness;
mod parts;
mod postgres;
mod pulse;
mod running;
mod schedule;
pub(crate) mod server;
mod successor;
mod timetable;

use std::collections::BTreeMap;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::edge::{Hold, Limits};
use host::systemd::Notifier;
use host::{Handover, Spawner, Supervisor};
use plan::{Holder, Lock};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Mutex, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::control::app::AppSpec;
use crate::control::client::{self, ShortPath};
use crate::control::program::{Age, age, version_of};
use crate::control::protocol::{
    Answer, Ask, EdgeSpec, PROTOCOL, PartSpec, PostgresSpec, Refusal, ServerSpec, Status,
};
use crate::error::{Error, Exit, reason};
use crate::place::layout::Layout;
use crate::whereabouts::here;
use crate::world::World;
use edge::OpenEdge;
use parts::{Part, Parts, Run, check_name};
use running::Running;
use schedule::Schedule;
use successor::{Care, Inheritance};

/// Runs the agent of a deployment until it is told to stop, or `cancel` says so. With `handover` it goes on with what another program
/// of this process ran. `spawner` must be the main thread: see [`Spawner::on_this_thread`].
///
/// # Errors
/// Another agent runs here; the control socket cannot be made; what was handed over cannot be taken over.
pub async fn run(
    world: &World,
    spawner: Spawner,
    handover: Option<Handover>,
    cancel: CancellationToken,
) -> Result<(), Error> {
    let layout = world.layout.clone();
    let holder = Holder::new("mainstay", "agent", "it runs the deployment", &world.version).at(here());
    let root = found::identity_of(layout.root());
    let (lock, listener, inherited) = match handover.map(successor::unpack).transpose()? {
        Some(Inheritance { lock, control, asker, parts, schedule, holds }) => {
            let lock = Lock::take_over(&layout.agent_lock(), lock, &holder)?;
            (lock, listener(control.into())?, Some((asker, parts, schedule, holds)))
        }
        None => (Lock::acquire(&layout.agent_lock(), &holder)?, listen(&layout)?, None),
    };
    // Each proxied connection takes two descriptors.
    let nofile = host::limits::raise_open_files().unwrap_or_else(|_| host::limits::open_files());
    let nofile = nofile.soft.unwrap_or(u64::MAX);
    let agent = Arc::new(Agent {
        spawner,
        control: watch::Sender::new(Arc::new(listener)),
        lock: std::sync::Mutex::new(lock),
        holder,
        root,
        layout,
        env: world.env.clone(),
        mainstay: world.mainstay.clone(),
        version: world.version.clone(),
        build: world.build.clone(),
        since: jiff::Timestamp::now().as_millisecond(),
        connections: ::edge::connections_within(nofile),
        hold: Arc::default(),
        turn: Mutex::default(),
        parts: Parts::default(),
        schedule: Schedule::new(world),
        accepts: watch::Sender::new(true),
    });
    if let Some((asker, parts, schedule, holds)) = inherited {
        // Before an edge opens: nobody gets past a hold because the agent became another program.
        if holds {
            agent.hold.begin(&agent.pass()?);
        }
        parts.adopt(&agent.care(), &agent.parts)?;
        agent.schedule.set(schedule)?;
        agent.answer(asker).await;
    }
    tracing::info!(
        pid = std::process::id(),
        version = agent.version,
        connections = agent.connections,
        "the agent is up"
    );
    let notifier = Notifier::of(&world.variables).map(Arc::new);
    if let Some(notifier) = notifier.clone() {
        notifier.ready("the agent answers");
        let (agent, client, stopping) = (Arc::clone(&agent), world.agent.clone(), cancel.clone());
        tokio::spawn(async move {
            liveness::tell(&notifier, &client, &agent.spawner, &agent.parts, &stopping).await;
        });
    }
    tokio::select! {
        () = Arc::clone(&agent).serve(&cancel) => {}
        () = found::keep(&agent) => {}
        () = agent.schedule.keep_time() => {}
        () = abandoned::watch(&agent, world) => {}
        () = pulse::watch(&agent.parts, &agent.layout) => {}
    }
    if let Some(notifier) = notifier {
        notifier.stopping();
    }
    agent.parts.stop_all().await;
    // The socket goes before the process does: whoever finds it finds an agent, or one that was killed.
    let _ = std::fs::remove_file(agent.layout.socket());
    tracing::info!("the agent is down");
    // The kernel frees the lock, at the end of the process: a command that waits for the lock waits for that end.
    std::mem::forget(agent);
    Ok(())
}

/// The control socket, readable by its owner alone. A stale one belongs to a dead agent: we hold the lock.
fn listen(layout: &Layout) -> Result<UnixListener, Error> {
    let path = layout.socket();
    host::disk::remove_file(&path)?;
    let short = ShortPath::of(&path).map_err(|error| Error::path("open", &path, &error))?;
    let listener =
        UnixListener::bind(short.path()).map_err(|error| Error::path("listen at", &path, &error))?;
    // `run` is 0700, so nobody gets in between bind and chmod.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))
        .map_err(|error| Error::path("protect", &path, &error))?;
    Ok(listener)
}

/// The control socket of the program before this one.
fn listener(inherited: std::os::unix::net::UnixListener) -> Result<UnixListener, Error> {
    inherited
        .set_nonblocking(true)
        .and_then(|()| UnixListener::from_std(inherited))
        .map_err(|error| Error::not_ready(format!("the inherited socket cannot be used: {}", reason(&error))))
}

struct Agent {
    layout: Layout,
    /// Its own environment, where an administrator's words for the server's memory are.
    env: BTreeMap<String, String>,
    /// The program that serves apps.
    mainstay: PathBuf,
    /// The version of this program.
    version: String,
    since: i64,
    /// Which build of it this is.
    build: String,
    /// Held while the agent lives. Another one takes its place where its file was deleted.
    lock: std::sync::Mutex<Lock>,
    /// What the lock says.
    holder: Holder,
    /// The deployment's directory, told apart from another one of the same name.
    root: Option<(u64, u64)>,
    /// Where commands connect. Another socket takes its place where its file was deleted.
    control: watch::Sender<Arc<UnixListener>>,
    /// Starts what is supervised.
    spawner: Spawner,
    /// How many connections an edge may hold.
    connections: usize,
    /// Whether requests wait, at every edge.
    hold: Arc<Hold>,
    /// Held while something changes: one change at a time, and the status never waits for it.
    turn: Mutex<()>,
    parts: Parts,
    schedule: Schedule,
    /// Whether connections are accepted; while a successor takes over they wait in the socket's queue.
    accepts: watch::Sender<bool>,
}

impl Agent {
    /// Answers until it is told to stop.
    async fn serve(self: Arc<Self>, cancel: &CancellationToken) {
        let mut accepts = self.accepts.subscribe();
        let mut control = self.control.subscribe();
        loop {
            let listener = Arc::clone(&control.borrow_and_update());
            let accepted = async {
                // The sender is ours, so it is not gone.
                let _ = accepts.wait_for(|accepts| *accepts).await;
                let stopped = async { accepts.wait_for(|accepts| !*accepts).await.map(|_| ()) };
                tokio::select! {
                    biased;
                    _ = stopped => None,
                    accepted = listener.accept() => Some(accepted),
                    // The sender is ours, so it is not gone.
                    _ = control.changed() => None,
                }
            };
            let stream = tokio::select! {
                accepted = accepted => match accepted {
                    Some(Ok((stream, _))) => stream,
                    Some(Err(error)) => {
                        tracing::warn!(%error, "a control connection was lost");
                        continue;
                    }
                    None => continue,
                },
                () = cancel.cancelled() => return,
            };
            tokio::spawn(Arc::clone(&self).converse(stream, cancel.clone()));
        }
    }

    async fn converse(self: Arc<Self>, mut stream: UnixStream, cancel: CancellationToken) {
        let ask = match client::read_line::<Ask>(&mut stream).await {
            Ok(Some(ask)) => ask,
            Ok(None) => return,
            Err(error) => {
                let refused =
                    Error::new(Exit::Refused, format!("the agent does not understand this: {error}"));
                return reply(
                    &mut stream,
                    Err(refused.hint("use the version of Mainstay that runs the agent")),
                )
                .await;
            }
        };
        if ask != Ask::Status {
            tracing::info!(?ask, "asked");
        }
        let stopping = ask == Ask::ShutDown;
        if let Ask::HandOver { program, older } = ask {
            return self.hand_over(stream, &program, older).await;
        }
        // What was asked is finished even when whoever asked hangs up.
        let (done, answer) = oneshot::channel();
        let agent = Arc::clone(&self);
        tokio::spawn(async move { done.send(agent.obey(ask).await) });
        let panicked = |_| Err(Error::new(Exit::Bug, "the agent failed while it did that"));
        reply(&mut stream, answer.await.unwrap_or_else(panicked)).await;
        if stopping {
            cancel.cancel();
        }
    }

    async fn obey(&self, ask: Ask) -> Result<Status, Error> {
        // The status is told at once, whatever is being changed.
        let _turn = match ask {
            Ask::Status => None,
            _ => Some(self.turn.lock().await),
        };
        match ask {
            // A hand-over does not come back here.
            Ask::Status | Ask::HandOver { .. } => {}
            Ask::Start { part, spec } => self.start(part, spec).await?,
            Ask::Stop { part } => self.parts.stop(&part).await,
            Ask::ShutDown => self.parts.stop_all().await,
            Ask::Schedule { entries } => self.schedule.set(entries)?,
            Ask::Hold { on: true } => self.hold.begin(&self.pass()?),
            Ask::Hold { on: false } => drop(self.hold.end()),
        }
        Ok(self.status())
    }

    async fn start(&self, name: String, spec: PartSpec) -> Result<(), Error> {
        check_name(&name)?;
        let running = match spec {
            PartSpec::Server(spec) => self.start_server(&name, spec).await?.map(Run::Server),
            PartSpec::Edge(spec) => self.open_edge(&name, spec).await?.map(Run::Edge),
            PartSpec::App(spec) => self.start_app(&name, spec).await?.map(Run::App),
            PartSpec::Postgres(spec) => self.start_postgres(&name, spec).await?.map(Run::Postgres),
        };
        if let Some(running) = running {
            self.parts.add(Part { name, running });
        }
        self.lead_edges().await
    }

    /// Leads every edge to where the server is now; its listening socket stays open meanwhile. A newer version may start the server on a
    /// socket where an older one had a port, and an undo leads back.
    async fn lead_edges(&self) -> Result<(), Error> {
        let Some(upstream) = self.parts.server().map(|spec| spec.upstream()) else { return Ok(()) };
        for (name, edge) in self.parts.astray(&upstream) {
            edge.drain().await;
            let listener = edge.take_address();
            let edge = OpenEdge::open(edge.spec, upstream.clone(), self.limits(), &self.hold, listener)?;
            self.parts.stop(&name).await;
            self.parts.add(Part { name, running: Run::Edge(edge) });
        }
        Ok(())
    }

    /// The word that lets a request through a hold.
    fn pass(&self) -> Result<String, Error> {
        let path = self.layout.pass();
        std::fs::read_to_string(&path).map_err(|error| Error::path("read", &path, &error))
    }

    /// `None` when it runs already.
    async fn start_server(&self, name: &str, spec: ServerSpec) -> Result<Option<Running<ServerSpec>>, Error> {
        let is_there = self.parts.spec(name) == Some(PartSpec::Server(spec.clone()));
        // One that waits for its next start is started at once, and its waits begin anew: the cause may be gone.
        if is_there && !self.parts.waits_to_start(name) {
            return Ok(None);
        }
        let command = server::command(&self.layout, &self.env, name, &spec)?;
        self.parts.stop(name).await;
        let supervisor = Supervisor::start(&self.spawner, command, server::policy(&self.layout, &spec));
        Running::new(spec, supervisor, name, self.layout.restarts()).map(Some)
    }

    /// `None` when it runs already.
    async fn start_app(&self, name: &str, spec: AppSpec) -> Result<Option<Running<AppSpec>>, Error> {
        if self.parts.spec(name) == Some(PartSpec::App(spec.clone())) && !self.parts.waits_to_start(name) {
            return Ok(None);
        }
        app::check(&self.layout, &spec)?;
        let command = app::command(&self.layout, &self.mainstay, &spec);
        self.parts.stop(name).await;
        let supervisor = Supervisor::start(&self.spawner, command, app::policy(&self.layout));
        Running::new(spec, supervisor, name, self.layout.restarts()).map(Some)
    }

    /// `None` when it runs already.
    async fn start_postgres(
        &self,
        name: &str,
        spec: PostgresSpec,
    ) -> Result<Option<Running<PostgresSpec>>, Error> {
        let is_there = self.parts.spec(name) == Some(PartSpec::Postgres(spec.clone()));
        if is_there && !self.parts.waits_to_start(name) {
            return Ok(None);
        }
        self.parts.stop(name).await;
        postgres::clear(&self.layout)?;
        let command = postgres::command(&self.layout, &self.env, name, &spec)?;
        let supervisor = Supervisor::start(&self.spawner, command, postgres::policy());
        Running::new(spec, supervisor, name, self.layout.restarts()).map(Some)
    }

    /// `None` when it is open already.
    async fn open_edge(&self, name: &str, spec: EdgeSpec) -> Result<Option<OpenEdge>, Error> {
        let Some(upstream) = self.parts.server().map(|spec| spec.upstream()) else {
            return Err(Error::not_ready("the edge opens after the server has started"));
        };
        let open = self.parts.edge(name);
        if open.as_ref().is_some_and(|open| open.spec == spec && open.upstream == upstream) {
            return Ok(None);
        }
        // Elsewhere it is bound before the old one closes; at the same address its socket stays open, where new connections wait; at another
        // address of the same port it must close first.
        let listener = match open {
            Some(open) if open.spec.listen == spec.listen => {
                open.drain().await;
                open.take_address()
            }
            Some(open) if open.spec.listen.port() == spec.listen.port() => {
                self.parts.stop(name).await;
                None
            }
            _ => None,
        };
        let edge = OpenEdge::open(spec, upstream, self.limits(), &self.hold, listener)?;
        self.parts.stop(name).await;
        Ok(Some(edge))
    }

    /// Becomes the program, which then answers; or refuses, and goes on as before.
    async fn hand_over(&self, stream: UnixStream, program: &Path, older: bool) {
        let _turn = self.turn.lock().await;
        let asker = stream.into_std().map(OwnedFd::from);
        let Ok((asker, kept)) = asker.and_then(|asker| Ok((asker.try_clone()?, asker))) else { return };
        let Err(refused) = self.become_program((program, older), asker).await;
        tracing::error!(error = %refused, "the agent goes on as before");
        if let Ok(mut stream) = UnixStream::from_std(kept.into()) {
            reply(&mut stream, Err(refused)).await;
        }
    }

    async fn become_program(
        &self,
        (program, may_be_older): (&Path, bool),
        asker: OwnedFd,
    ) -> Result<std::convert::Infallible, Error> {
        let cannot = |why: &str| {
            Error::not_ready(format!("the agent cannot become {}: {why}", program.display()))
                .hint("it goes on as before; remove the cause, then run the command again")
        };
        // Before anything is drained: what can be known to fail changes nothing.
        let version = version_of(program).await.map_err(|why| cannot(&why))?;
        if !may_be_older && age(&version, &self.version) == Age::Older {
            let what = format!("the agent is Mainstay {}, and {version} is older", self.version);
            return Err(Error::new(Exit::Refused, what));
        }
        let shared = successor::shared(&self.lock(), &self.control.borrow().as_fd(), asker)?;
        for edge in self.parts.edges() {
            edge.drain().await;
        }
        self.accepts.send_replace(false);
        let (running, schedule) = (self.parts.take(), self.schedule.entries());
        let holds = self.hold.is_on();
        let handover = successor::pack(&self.version, running, (schedule, holds), shared).await;
        let dir = self.layout.root().as_os_str().to_owned();
        let args = vec!["agent".into(), "--dir".into(), dir, "--handed-over".into()];
        let error = self.spawner.exec(program, args, &handover).await;
        if let Err(error) =
            successor::unpack(handover).and_then(|back| back.parts.adopt(&self.care(), &self.parts))
        {
            tracing::error!(%error, "a part is lost");
        }
        self.accepts.send_replace(true);
        Err(cannot(&reason(&error)))
    }

    /// Tells the command that asked the program before this one.
    async fn answer(&self, asker: OwnedFd) {
        let asker = std::os::unix::net::UnixStream::from(asker);
        match asker.set_nonblocking(true).and_then(|()| UnixStream::from_std(asker)) {
            Ok(mut stream) => reply(&mut stream, Ok(self.status())).await,
            Err(error) => tracing::warn!(%error, "the command that asked cannot be answered"),
        }
    }

    /// No code that holds it can leave it half changed.
    fn lock(&self) -> std::sync::MutexGuard<'_, Lock> {
        self.lock.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn limits(&self) -> Limits {
        let usual = Limits { max_connections: self.connections, ..Limits::default() };
        Limits { drain: self.layout.place().drain().unwrap_or(usual.drain), ..usual }
    }

    fn care(&self) -> Care<'_> {
        Care {
            layout: &self.layout,
            env: &self.env,
            mainstay: &self.mainstay,
            spawner: &self.spawner,
            limits: self.limits(),
            hold: &self.hold,
        }
    }

    fn status(&self) -> Status {
        Status {
            agent_pid: std::process::id(),
            since: self.since,
            version: Some(self.version.clone()),
            build: (!self.build.is_empty()).then(|| self.build.clone()),
            protocol: PROTOCOL,
            holds: self.hold.is_on(),
            schedule: self.schedule.status(),
            parts: self.parts.status(),
        }
    }
}

async fn reply(stream: &mut UnixStream, outcome: Result<Status, Error>) {
    let answer = match outcome {
        Ok(status) => Answer::Done(Box::new(status)),
        Err(error) => Answer::Refused(Refusal::from(error)),
    };
    if let Err(error) = client::write_line(stream, &answer).await {
        tracing::debug!(%error, "the command has gone before the answer");
    }
}

//! The agent: the long-running process of a deployment.
//!
//! It supervises the server and runs the edge, as it is told over its control socket, and decides nothing: what shall run is the
//! plans' business. So a plan that is undone leaves no trace in it, and an agent that is killed takes everything down with it.

mod parts;

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use edge::{Edge, Limits, Network, Plain};
use host::{Policy, Spawner, Supervisor};
use plan::{Holder, Lock};
use release::Release;
use tokio::net::UnixListener;
use tokio::sync::{Mutex, oneshot};
use tokio_util::sync::CancellationToken;

use crate::control::protocol::{self as control, Answer, Ask, EdgeSpec, ServerSpec, Status};
use parts::{OpenEdge, Parts, Running};

use crate::error::{Error, Kind, reason};
use crate::place::layout::Layout;

/// How long open requests may take to finish when a container is stopped.
const CONTAINER_DRAIN: Duration = Duration::from_secs(3);

/// How long the server may take to stop after that.
const CONTAINER_GRACE: Duration = Duration::from_secs(5);

/// Runs the agent of the deployment in `layout` until it is told to stop, or `cancel` says so.
///
/// # Errors
/// Another agent runs here; the control socket cannot be made.
pub async fn run(layout: Layout, cancel: CancellationToken) -> Result<(), Error> {
    let _lock =
        Lock::acquire(&layout.agent_lock(), &Holder::new("mainstay", "agent", "it runs the deployment"))?;
    let listener = listen(&layout)?;
    // Each proxied connection takes two descriptors.
    let nofile = host::limits::raise_open_files().unwrap_or_else(|_| host::limits::open_files());
    let nofile = nofile.soft.unwrap_or(u64::MAX);
    let spawner = Spawner::start()
        .map_err(|error| Error::not_ready(format!("cannot start a thread: {}", reason(&error))))?;
    let agent = Arc::new(Agent {
        layout,
        spawner,
        since: jiff::Timestamp::now().as_millisecond(),
        connections: edge::connections_within(nofile),
        turn: Mutex::default(),
        parts: Parts::default(),
    });
    tracing::info!(pid = std::process::id(), connections = agent.connections, "the agent is up");
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a control connection was lost");
                    continue;
                }
            },
            () = cancel.cancelled() => break,
        };
        tokio::spawn(Arc::clone(&agent).converse(stream, cancel.clone()));
    }
    let _ = agent.obey(Ask::Stop).await;
    // The socket goes before the process does: whoever finds it finds an agent, or one that was killed.
    let _ = std::fs::remove_file(agent.layout.socket());
    tracing::info!("the agent is down");
    Ok(())
}

/// The control socket, readable by its owner alone. A stale one belongs to a dead agent: we hold the lock.
fn listen(layout: &Layout) -> Result<UnixListener, Error> {
    let path = layout.socket();
    host::disk::remove_file(&path)?;
    let short = control::ShortPath::of(&path).map_err(|error| Error::path("open", &path, &error))?;
    let listener =
        UnixListener::bind(short.path()).map_err(|error| Error::path("listen at", &path, &error))?;
    // `run` is 0700, so nobody gets in between bind and chmod.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))
        .map_err(|error| Error::path("protect", &path, &error))?;
    Ok(listener)
}

struct Agent {
    layout: Layout,
    /// Starts what is supervised.
    spawner: Spawner,
    since: i64,
    /// How many connections the edge may hold.
    connections: usize,
    /// Held while something changes: one change at a time, and the status never waits for it.
    turn: Mutex<()>,
    parts: Parts,
}

impl Agent {
    async fn converse(self: Arc<Self>, mut stream: tokio::net::UnixStream, cancel: CancellationToken) {
        let ask = match control::read_line::<Ask>(&mut stream).await {
            Ok(Some(ask)) => ask,
            Ok(None) => return,
            Err(error) => {
                let refused = Answer::Refused { what: format!("not understood: {error}"), hint: None };
                let _ = control::write_line(&mut stream, &refused).await;
                return;
            }
        };
        let stopping = ask == Ask::Stop;
        if ask != Ask::Status {
            tracing::info!(?ask, "asked");
        }
        // What was asked is finished even when whoever asked hangs up.
        let (done, answer) = oneshot::channel();
        let agent = Arc::clone(&self);
        tokio::spawn(async move { done.send(agent.obey(ask).await) });
        let answer = match answer.await {
            Ok(Ok(status)) => Answer::Done(Box::new(status)),
            Ok(Err(Error { what, hint, .. })) => Answer::Refused { what, hint },
            Err(_) => Answer::Refused { what: "the agent failed while it did that".to_owned(), hint: None },
        };
        if let Err(error) = control::write_line(&mut stream, &answer).await {
            tracing::debug!(%error, "nobody waited for the answer");
        }
        if stopping {
            cancel.cancel();
        }
    }

    async fn obey(&self, ask: Ask) -> Result<Status, Error> {
        // How things are is said at once, whatever is being changed.
        let _turn = match ask {
            Ask::Status => None,
            _ => Some(self.turn.lock().await),
        };
        match ask {
            Ask::Status => {}
            Ask::StartServer(spec) => self.start_server(spec).await?,
            Ask::StopServer => self.parts.stop_server().await,
            Ask::OpenEdge(spec) => self.open_edge(spec).await?,
            Ask::CloseEdge => self.parts.close_edge().await,
            Ask::Stop => {
                self.parts.close_edge().await;
                self.parts.stop_server().await;
            }
        }
        Ok(self.status())
    }

    async fn start_server(&self, spec: ServerSpec) -> Result<(), Error> {
        if self.parts.server().is_some_and(|running| running == spec) {
            return Ok(());
        }
        let user = spec.user.as_deref().map(host::User::named).transpose()?;
        let release = Release::open(&spec.release)?;
        self.parts.stop_server().await;
        let mut call = release.server(&self.layout.config());
        call.env.extend(spec.overrides.clone());
        let command = host::Command {
            program: call.program,
            args: call.args,
            env: call.env,
            cwd: call.cwd,
            user,
            log: host::Log::at(self.layout.log(crate::LogPart::Server)),
            pid_file: Some(self.layout.run().join("server.pid")),
            shim: host::Shim::this_program(),
        };
        let supervisor = Supervisor::start(&self.spawner, command, self.policy())
            .map_err(|error| Error::not_ready(format!("the server cannot be started: {}", reason(&error))))?;
        self.parts.add_server(Running::new(spec, supervisor));
        Ok(())
    }

    async fn open_edge(&self, spec: EdgeSpec) -> Result<(), Error> {
        let Some(upstream) = self.parts.server().map(|spec| spec.listen) else {
            return Err(Error::not_ready("the edge opens after the server has started"));
        };
        let proxies = spec.proxies.iter().map(|network| network.parse()).collect::<Result<Vec<Network>, _>>();
        let proxies =
            proxies.map_err(|error: edge::NetworkError| Error::new(Kind::Settings, error.to_string()))?;
        // The edge has no certificate, so where the site URL is `https`, something in front of it ends TLS.
        let transport = if spec.https { Plain::behind_tls() } else { Plain::http() };
        let open = self.parts.edge();
        if open.as_ref().is_some_and(|open| open.spec == spec && open.upstream == upstream) {
            return Ok(());
        }
        // Elsewhere it is bound before the old one closes; at the same address it must close first.
        if open.is_some_and(|open| open.spec.listen.port() == spec.listen.port()) {
            self.parts.close_edge().await;
        }
        let edge = Edge::bind(spec.listen, upstream, self.limits())?.trusting(&proxies).over(transport);
        self.parts.close_edge().await;
        tracing::info!(?spec, "the edge is open");
        self.parts.add_edge(OpenEdge::serve(edge, spec, upstream));
        Ok(())
    }

    /// A container is killed ten seconds after it was told to stop, so connections and server share less.
    fn policy(&self) -> Policy {
        let usual = Policy::default();
        if self.layout.is_container() { Policy { grace: CONTAINER_GRACE, ..usual } } else { usual }
    }

    fn limits(&self) -> Limits {
        let usual = Limits { max_connections: self.connections, ..Limits::default() };
        if self.layout.is_container() { Limits { drain: CONTAINER_DRAIN, ..usual } } else { usual }
    }

    fn status(&self) -> Status {
        Status {
            agent_pid: std::process::id(),
            since: self.since,
            server: self.parts.server_status(),
            edge: self.parts.edge().map(|open| open.status()),
        }
    }
}

//! The agent: the long-running process of a deployment.
//!
//! It supervises the server and runs the edge, as it is told over its control socket, and decides nothing: what shall run is the
//! plans' business. So a plan that is undone leaves no trace in it, and an agent that is killed takes everything down with it.

mod control;
pub(crate) mod health;

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use edge::{Edge, Limits};
use host::{Policy, Supervisor};
use plan::{Holder, Lock};
use release::Release;
use tokio::net::UnixListener;
use tokio::sync::{Mutex, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) use control::{Answer, Ask, Client, ServerSpec};
pub use control::{EdgeStatus, ServerStatus, Status};

use crate::error::{Error, reason};
use crate::layout::Layout;

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
    let agent = Arc::new(Agent {
        layout,
        since: jiff::Timestamp::now().as_millisecond(),
        connections: edge::connections_within(nofile),
        parts: Mutex::default(),
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
    agent.stop().await;
    // The socket goes before the process does: whoever finds it finds an agent.
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
    since: i64,
    /// How many connections the edge may hold.
    connections: usize,
    parts: Mutex<Parts>,
}

/// What runs. The edge knows its upstream by address, so it may open before the server answers, and stays open while it restarts.
#[derive(Default)]
struct Parts {
    server: Option<(ServerSpec, Supervisor)>,
    edge: Option<OpenEdge>,
}

struct OpenEdge {
    listen: std::net::SocketAddr,
    upstream: std::net::SocketAddr,
    counters: Arc<edge::Counters>,
    drain: CancellationToken,
    task: JoinHandle<()>,
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
            Ok(Ok(status)) => Answer::Done(status),
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
        let mut parts = self.parts.lock().await;
        match ask {
            Ask::Status => {}
            Ask::StartServer(spec) => self.start_server(&mut parts, spec).await?,
            Ask::StopServer => parts.stop_server().await,
            Ask::OpenEdge { listen } => self.open_edge(&mut parts, listen).await?,
            Ask::CloseEdge => parts.close_edge().await,
            Ask::Stop => {
                parts.close_edge().await;
                parts.stop_server().await;
            }
        }
        Ok(self.status(&parts))
    }

    async fn stop(&self) {
        let mut parts = self.parts.lock().await;
        parts.close_edge().await;
        parts.stop_server().await;
    }

    async fn start_server(&self, parts: &mut Parts, spec: ServerSpec) -> Result<(), Error> {
        if parts.server.as_ref().is_some_and(|(running, _)| *running == spec) {
            return Ok(());
        }
        let user = spec.user.as_deref().map(host::User::named).transpose()?;
        let release = Release::open(&spec.release)?;
        parts.stop_server().await;
        let call = release.server(&self.layout.config());
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
        let supervisor = Supervisor::start(command, Policy::default())
            .map_err(|error| Error::not_ready(format!("the server cannot be started: {}", reason(&error))))?;
        parts.server = Some((spec, supervisor));
        Ok(())
    }

    async fn open_edge(&self, parts: &mut Parts, listen: std::net::SocketAddr) -> Result<(), Error> {
        let Some(upstream) = parts.server.as_ref().map(|(spec, _)| spec.listen) else {
            return Err(Error::not_ready("the edge opens after the server has started"));
        };
        if parts.edge.as_ref().is_some_and(|open| open.listen == listen && open.upstream == upstream) {
            return Ok(());
        }
        // Elsewhere it is bound before the old one closes; at the same address it must close first.
        if parts.edge.as_ref().is_some_and(|open| open.listen.port() == listen.port()) {
            parts.close_edge().await;
        }
        let limits = Limits { max_connections: self.connections, ..Limits::default() };
        let edge = Edge::bind(listen, upstream, limits)?;
        parts.close_edge().await;
        let drain = CancellationToken::new();
        let counters = edge.counters();
        let serving = edge.serve(drain.clone());
        let task = tokio::spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(%error, "the edge has ended");
            }
        });
        parts.edge = Some(OpenEdge { listen, upstream, counters, drain, task });
        tracing::info!(%listen, "the edge is open");
        Ok(())
    }

    fn status(&self, parts: &Parts) -> Status {
        Status {
            agent_pid: std::process::id(),
            since: self.since,
            server: parts.server.as_ref().map(|(spec, supervisor)| server_status(spec, supervisor)),
            edge: parts.edge.as_ref().map(OpenEdge::status),
        }
    }
}

impl OpenEdge {
    fn status(&self) -> EdgeStatus {
        let counted = self.counters.read();
        EdgeStatus {
            listen: self.listen,
            connections: counted.connections,
            websockets: counted.websockets,
            requests: counted.requests,
            upstream_errors: counted.upstream_errors,
        }
    }
}

fn server_status(spec: &ServerSpec, supervisor: &Supervisor) -> ServerStatus {
    let status = supervisor.status();
    let status = status.borrow();
    let (pid, last_exit) = match &status.state {
        host::State::Running { pid, .. } => (Some(*pid), None),
        host::State::BackingOff { last_exit, .. } => (None, Some(last_exit.to_string())),
        host::State::Stopped { last_exit } => (None, last_exit.as_ref().map(ToString::to_string)),
        host::State::Starting => (None, None),
    };
    ServerStatus { spec: spec.clone(), pid, restarts: status.restarts.into(), last_exit }
}

impl Parts {
    async fn stop_server(&mut self) {
        if let Some((_, supervisor)) = self.server.take() {
            supervisor.stop().await;
        }
    }

    async fn close_edge(&mut self) {
        if let Some(open) = self.edge.take() {
            open.drain.cancel();
            let _ = open.task.await;
        }
    }
}

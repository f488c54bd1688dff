//! What runs, and how it is: read at any moment, also while a part is being stopped.
//!
//! The edge knows its upstream by address, so it may open before the server answers, and stays open while it restarts.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use edge::Edge;
use host::Supervisor;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::control::protocol::{EdgeSpec, EdgeStatus, ServerSpec, ServerStatus};

/// The parts. Whoever changes them holds the agent's turn; the lock inside is never held across a wait.
#[derive(Default)]
pub(super) struct Parts(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    server: Option<Running>,
    edge: Option<OpenEdge>,
}

/// A server that is supervised.
pub(super) struct Running {
    spec: ServerSpec,
    status: watch::Receiver<host::Status>,
    /// `None` while it is being stopped.
    supervisor: Option<Supervisor>,
}

/// An edge that serves, or is draining.
#[derive(Clone)]
pub(super) struct OpenEdge {
    pub spec: EdgeSpec,
    pub upstream: SocketAddr,
    counters: Arc<edge::Counters>,
    drain: CancellationToken,
    /// Cancelled when it has ended, for whatever reason.
    ended: CancellationToken,
}

impl Parts {
    /// What the server was started as.
    pub(super) fn server(&self) -> Option<ServerSpec> {
        self.inner().server.as_ref().map(|running| running.spec.clone())
    }

    /// How the server is.
    pub(super) fn server_status(&self) -> Option<ServerStatus> {
        self.inner().server.as_ref().map(Running::status)
    }

    /// The edge, unless it has ended.
    pub(super) fn edge(&self) -> Option<OpenEdge> {
        self.inner().edge.clone().filter(|open| !open.ended.is_cancelled())
    }

    pub(super) fn add_server(&self, running: Running) {
        self.inner().server = Some(running);
    }

    pub(super) fn add_edge(&self, open: OpenEdge) {
        self.inner().edge = Some(open);
    }

    /// Returns when the server's process group is gone.
    pub(super) async fn stop_server(&self) {
        let supervisor = self.inner().server.as_mut().and_then(|running| running.supervisor.take());
        if let Some(supervisor) = supervisor {
            supervisor.stop().await;
        }
        self.inner().server = None;
    }

    /// Returns when the last connection is gone.
    pub(super) async fn close_edge(&self) {
        if let Some(open) = self.edge() {
            open.drain.cancel();
            open.ended.cancelled().await;
        }
        self.inner().edge = None;
    }

    /// No code that holds the lock can leave the parts half changed, so a panic elsewhere does not spoil them.
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    pub(super) fn new(spec: ServerSpec, supervisor: Supervisor) -> Self {
        Self { spec, status: supervisor.status(), supervisor: Some(supervisor) }
    }

    fn status(&self) -> ServerStatus {
        let status = self.status.borrow();
        let (pid, last_exit) = match &status.state {
            host::State::Running { pid, .. } => (Some(*pid), None),
            host::State::BackingOff { last_exit, .. } => (None, Some(last_exit.to_string())),
            host::State::Stopped { last_exit } => (None, last_exit.as_ref().map(ToString::to_string)),
            host::State::Starting => (None, None),
        };
        ServerStatus { spec: self.spec.clone(), pid, restarts: status.restarts.into(), last_exit }
    }
}

impl OpenEdge {
    /// Serves in the background until it is told to drain, or fails.
    pub(super) fn serve(edge: Edge, spec: EdgeSpec, upstream: SocketAddr) -> Self {
        let (drain, ended) = (CancellationToken::new(), CancellationToken::new());
        let counters = edge.counters();
        let serving = edge.serve(drain.clone());
        let end = ended.clone().drop_guard();
        tokio::spawn(async move {
            let _end = end;
            if let Err(error) = serving.await {
                tracing::error!(%error, "the edge has ended");
            }
        });
        Self { spec, upstream, counters, drain, ended }
    }

    pub(super) fn status(&self) -> EdgeStatus {
        let counted = self.counters.read();
        EdgeStatus {
            spec: self.spec.clone(),
            connections: counted.connections,
            websockets: counted.websockets,
            requests: counted.requests,
            upstream_errors: counted.upstream_errors,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_edge_that_has_ended_is_no_edge() {
        let any: SocketAddr = ([127, 0, 0, 1], 0).into();
        let edge = Edge::bind(any, any, edge::Limits::default()).expect("a port");
        let spec = EdgeSpec { listen: any, https: false, proxies: Vec::new() };
        let open = OpenEdge::serve(edge, spec, any);
        let parts = Parts::default();
        parts.add_edge(open.clone());
        assert!(parts.edge().is_some());
        // As if it had ended by itself: nobody told the parts.
        open.drain.cancel();
        open.ended.cancelled().await;
        assert!(parts.edge().is_none());
        parts.close_edge().await;
    }
}

//! The edge: the one door between the network and the server on loopback.
//!
//! An HTTP/1.1 reverse proxy with websocket relay. It promises:
//!
//! - **Bodies stream.** Both ways, with backpressure, never whole in memory. Trailers are dropped.
//! - **The server learns the truth about the client.** `X-Forwarded-For`, `-Proto`, `-Host` and `X-Real-IP` come from the
//!   connection; what a client says about itself counts only when it is a [trusted](Front::proxies) proxy. `Host` passes
//!   unchanged, because Mattermost compares it with a websocket's `Origin`.
//! - **One reading of every message.** Both sides are parsed and framed anew, so a request that two parsers would read
//!   differently cannot pass through as two.
//! - **Everything ends.** Each wait has a [limit](Limits); a full edge answers 503 at once; draining lets requests finish
//!   and tells websockets "going away" (1001) instead of cutting them.
//! - **Honest answers.** When the server is away the client is told so, in the form it understands (`outage.rs`, which is
//!   also where a hold belongs).
//!
//! It refuses: CONNECT and TRACE, every upgrade but the websocket, transfer codings other than chunked, a request whose
//! host is missing, doubled or at odds with its target. A request with both a length and chunks is framed by its chunks,
//! passed on without the length, and the last on its connection (RFC 9112 section 6.3). It does not cache, compress or
//! rewrite bodies.
//!
//! Rejected designs:
//!
//! - *hyper-util's pooled client*: made for many hosts, with keys, connectors and a background task per connection that
//!   one upstream has no use for. Set aside by design, not by measurement. The pool here is a stack of connections, each
//!   driven by the request that borrows it (`upstream.rs`): no task switch per request.
//! - *The caller's runtime for everything*: its tasks move between threads, and locks and wake-ups with them. Threads that
//!   share nothing (`worker.rs`) took about a tenth less processor time for a request, on a busy machine where single
//!   runs differed by more than that.
//! - *`tokio::io::copy_bidirectional` for websockets*: holds 16 KiB per idle socket and cannot tell where a frame ends,
//!   so it cannot say goodbye properly (`relay.rs`).
//! - *A proxy framework (pingora)*: owns process, signals and runtimes; the edge is a guest in the agent's.

mod body;
mod client;
mod counters;
mod exchange;
mod forwarded;
mod frames;
mod headers;
mod limits;
mod listener;
mod network;
mod outage;
mod page;
mod patience;
mod relay;
mod upstream;
mod websocket;
mod worker;

pub use counters::{Counters, Reading};
pub use limits::{Limits, connections_within};
pub use listener::EdgeError;
pub use network::{Network, NetworkError};

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::client::Peer;
use crate::listener::Listener;
use crate::upstream::Upstream;
use crate::worker::Worker;

/// How long a connection that was turned away may take to read its 503.
const TURNED_AWAY: Duration = Duration::from_secs(1);

/// How many such connections may be reading at once; further ones are closed without a word.
const TURNED_AWAY_AT_ONCE: u64 = 64;

/// A bound edge, ready to [serve](Edge::serve).
#[derive(Debug)]
pub struct Edge {
    listener: Listener,
    upstream: SocketAddr,
    limits: Limits,
    front: Front,
    counters: Arc<Counters>,
}

/// What stands between people and an edge: nothing, unless said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Front {
    /// Load balancers, whose forwarding headers are believed.
    pub proxies: Vec<Network>,
    /// Whether TLS ends there. The upstream is told `https` then, wherever no trusted proxy says otherwise: an edge takes
    /// plain HTTP alone, so that a site of HTTPS is reached through something that has the certificate.
    pub https: bool,
}

/// What the connections of one worker share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) limits: Limits,
    pub(crate) front: Front,
    pub(crate) counters: Arc<Counters>,
    /// Connections and websocket relays still at work.
    pub(crate) tasks: TaskTracker,
    /// Finish what you are doing.
    pub(crate) drain: CancellationToken,
}

impl Edge {
    /// Takes the address `listen` (port 0: any free one) and will relay to `upstream`, normally on loopback.
    /// The upstream need not be there yet.
    ///
    /// # Errors
    /// The address is in use, is not an address of this machine, or may not be taken by this user.
    pub fn bind(listen: SocketAddr, upstream: SocketAddr, limits: Limits) -> Result<Edge, EdgeError> {
        Ok(Edge {
            listener: Listener::bind(listen)?,
            upstream,
            limits,
            front: Front::default(),
            counters: Arc::default(),
        })
    }

    /// Stands behind `front`.
    #[must_use]
    pub fn behind(mut self, front: Front) -> Edge {
        self.front = front;
        self
    }

    /// The address taken, with the real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    /// Live counters, to be read while the edge serves.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Serves until `stop` is cancelled, then drains and returns: no new connection is taken, requests in flight
    /// finish, websockets get Close 1001. What is still open after [`Limits::drain`] is cut.
    ///
    /// Serving itself happens on threads of the edge's own ([`Limits::workers`]); this future takes the connections.
    ///
    /// # Errors
    /// The system grants no threads or descriptors to serve with.
    pub async fn serve(self, stop: CancellationToken) -> Result<(), EdgeError> {
        let mut arrivals = self.listener.listen()?;
        let drain = CancellationToken::new();
        // Also when this future is dropped: the workers then drain by themselves.
        let _draining = drain.clone().drop_guard();
        let workers = (0..self.limits.workers.max(1))
            .map(|number| {
                let shared = Shared {
                    upstream: Upstream::new(self.upstream, &self.limits),
                    limits: self.limits.clone(),
                    front: self.front.clone(),
                    counters: Arc::clone(&self.counters),
                    tasks: TaskTracker::new(),
                    drain: drain.child_token(),
                };
                Worker::start(number, Arc::new(shared))
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(EdgeError::Workers)?;

        let leaving = TaskTracker::new();
        while let Some((stream, address)) = stop.run_until_cancelled(arrivals.next()).await {
            if let Some(seat) = self.counters.seat(self.limits.max_connections) {
                let peer = Peer::new(address, &self.front, seat);
                let least_busy = workers.iter().min_by_key(|worker| worker.load());
                if let Some(Err(error)) = least_busy.map(|worker| worker.take(stream, peer)) {
                    tracing::warn!(%error, "cannot serve a connection");
                }
            } else if let Some(place) = self.counters.turn_away(TURNED_AWAY_AT_ONCE) {
                leaving.spawn(async move {
                    // Late or gone: nothing is owed to a client that will not read.
                    let _ = tokio::time::timeout(TURNED_AWAY, client::turn_away(stream)).await;
                    drop(place);
                });
            }
        }

        drop(arrivals);
        drain.cancel();
        // All are told before the first is waited for.
        let ending: Vec<_> = workers.into_iter().map(Worker::end).collect();
        for worker in ending {
            worker.await;
        }
        leaving.close();
        leaving.wait().await;
        Ok(())
    }
}

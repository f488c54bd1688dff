//! The edge: the one door between the network and the server on loopback.
//!
//! An HTTP/1.1 reverse proxy with websocket relay. It promises:
//!
//! - **Bodies stream.** Both ways, with backpressure, never whole in memory. Trailers are dropped.
//! - **The server learns the truth about the client.** `X-Forwarded-For`, `-Proto`, `-Host` and `X-Real-IP` come from the
//!   connection; what a client says about itself counts only when it is a [trusted](Edge::trusting) proxy. `Host` passes
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
mod transport;
mod upstream;
mod websocket;
mod worker;

pub use counters::{Counters, Reading};
pub use limits::{Limits, connections_within};
pub use listener::EdgeError;
pub use network::{Network, NetworkError};
pub use transport::{ConnectionInfo, Plain, Tls, Transport};

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::listener::Listener;
use crate::upstream::Upstream;
use crate::worker::Worker;

/// How long a connection that was turned away may take to read its 503.
const TURNED_AWAY: Duration = Duration::from_secs(1);

/// How many such connections may be reading at once; further ones are closed without a word.
const TURNED_AWAY_AT_ONCE: u64 = 64;

/// A bound edge, ready to [serve](Edge::serve).
#[derive(Debug)]
pub struct Edge<T = Plain> {
    listener: Listener,
    upstream: SocketAddr,
    limits: Limits,
    trusted: Arc<[Network]>,
    transport: T,
    counters: Arc<Counters>,
}

/// What the connections of one worker share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) limits: Limits,
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
        Ok(Edge::on(Listener::bind(listen)?, upstream, limits))
    }

    /// Like [`bind`](Edge::bind), with a socket that listens already: one that another process bound, so that the
    /// address is never free in between. A socket that was inherited as standard input becomes a listener with
    /// `TcpListener::from(std::io::stdin().as_fd().try_clone_to_owned()?)`.
    ///
    /// # Errors
    /// The socket is not a TCP socket that listens.
    pub fn from_listener(
        listener: TcpListener,
        upstream: SocketAddr,
        limits: Limits,
    ) -> Result<Edge, EdgeError> {
        Ok(Edge::on(Listener::from_std(listener)?, upstream, limits))
    }

    fn on(listener: Listener, upstream: SocketAddr, limits: Limits) -> Edge {
        Edge {
            listener,
            upstream,
            limits,
            trusted: Arc::default(),
            transport: Plain::http(),
            counters: Arc::default(),
        }
    }
}

impl<T: Transport> Edge<T> {
    /// Believes the forwarding headers of these proxies; without this, of none.
    #[must_use]
    pub fn trusting(mut self, proxies: &[Network]) -> Edge<T> {
        self.trusted = proxies.into();
        self
    }

    /// Takes connections with `transport`; without this, [plain HTTP](Plain::http).
    #[must_use]
    pub fn over<U: Transport>(self, transport: U) -> Edge<U> {
        let Edge { listener, upstream, limits, trusted, transport: _, counters } = self;
        Edge { listener, upstream, limits, trusted, transport, counters }
    }

    /// The address taken, with the real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    /// One more descriptor of the listening socket, for a process that shall [take it over](Edge::from_listener).
    ///
    /// While it is open the address stays taken, also when the edge has ended: connections then wait in the socket's
    /// queue until somebody accepts them. Close it when nobody will.
    ///
    /// # Errors
    /// The process has no free descriptor.
    pub fn try_clone_listener(&self) -> io::Result<TcpListener> {
        self.listener.try_clone()
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
                    counters: Arc::clone(&self.counters),
                    tasks: TaskTracker::new(),
                    drain: drain.child_token(),
                };
                Worker::start(number, self.transport.clone(), Arc::new(shared))
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(EdgeError::Workers)?;

        let leaving = TaskTracker::new();
        while let Some((socket, info)) = stop.run_until_cancelled(arrivals.next(&self.trusted)).await {
            if let Some(seat) = self.counters.seat(self.limits.max_connections) {
                let least_busy = workers.iter().min_by_key(|worker| worker.load());
                if let Some(Err(error)) = least_busy.map(|worker| worker.take(socket, info, seat)) {
                    tracing::warn!(%error, "cannot serve a connection");
                }
            } else if let Some(place) = self.counters.turn_away(TURNED_AWAY_AT_ONCE) {
                let telling = client::turn_away(self.transport.clone(), socket, info);
                leaving.spawn(async move {
                    // A client that does not read it in time is closed all the same.
                    let _ = tokio::time::timeout(TURNED_AWAY, telling).await;
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

//! An edge: listens on an address, and serves it until it is stopped.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::{Book, Log};
use crate::addresses::Addresses;
use crate::admission::Admission;
use crate::client;
use crate::counters::Counters;
use crate::hold::Hold;
use crate::limits::Limits;
use crate::listener::{EdgeError, Listener, Proxies};
use crate::local::{LocalPeers, LocalProxies};
use crate::network::Network;
use crate::shared::Shared;
use crate::silence::Silence;
use crate::transport::{Plain, Transport};
use crate::upstream::Upstream;
use crate::upstream_socket::UpstreamAddress;
use crate::worker::Worker;

/// How long a connection that was turned away may take to read its 503.
const TURNED_AWAY: Duration = Duration::from_secs(1);

/// How many such connections there may be at once; any further one is closed without an answer.
const TURNED_AWAY_AT_ONCE: u64 = 64;

/// A bound edge, ready to [serve](Edge::serve).
#[derive(Debug)]
pub struct Edge<T = Plain> {
    listener: Listener,
    upstream: UpstreamAddress,
    limits: Limits,
    trusted: Arc<[Network]>,
    local_proxies: LocalProxies,
    transport: T,
    counters: Arc<Counters>,
    silence: Arc<Silence>,
    hold: Arc<Hold>,
}

impl Edge {
    /// Listens on the address `listen` (port 0: any free one), and will relay to `upstream`, which need not run yet.
    ///
    /// # Errors
    /// The address is in use, is not an address of this machine, or this user may not listen on it.
    pub fn bind(
        listen: SocketAddr,
        upstream: impl Into<UpstreamAddress>,
        limits: Limits,
    ) -> Result<Edge, EdgeError> {
        Ok(Edge::on(Listener::bind(listen)?, upstream.into(), limits))
    }

    /// Like [`bind`](Edge::bind), with a socket that is already listening, such as one that another process has
    /// [handed over](Edge::try_clone_listener). A process that inherits it as its standard input gets it with
    /// `TcpListener::from(std::io::stdin().as_fd().try_clone_to_owned()?)`.
    ///
    /// # Errors
    /// It is not a TCP socket, or not listening.
    pub fn from_listener(
        listener: TcpListener,
        upstream: impl Into<UpstreamAddress>,
        limits: Limits,
    ) -> Result<Edge, EdgeError> {
        Ok(Edge::on(Listener::from_std(listener)?, upstream.into(), limits))
    }

    fn on(listener: Listener, upstream: UpstreamAddress, limits: Limits) -> Edge {
        Edge {
            listener,
            upstream,
            limits,
            trusted: Arc::default(),
            local_proxies: LocalProxies::default(),
            transport: Plain::http(),
            counters: Arc::default(),
            silence: Arc::default(),
            hold: Arc::default(),
        }
    }
}

impl<T: Transport> Edge<T> {
    /// Believes the forwarding headers of these proxies. By default, of none.
    #[must_use]
    pub fn trusting(mut self, proxies: &[Network]) -> Edge<T> {
        self.trusted = proxies.into();
        self
    }

    /// Of the programs on this machine, takes only those of these users for trusted proxies. By default, those of services.
    #[must_use]
    pub fn with_local_proxies(mut self, of: LocalProxies) -> Edge<T> {
        self.local_proxies = of;
        self
    }

    /// Lets requests wait while this hold is on. By default, a hold of its own, which is never on.
    #[must_use]
    pub fn held_by(mut self, hold: Arc<Hold>) -> Edge<T> {
        self.hold = hold;
        self
    }

    /// Turns connections into streams of HTTP with `transport`. By default, [plain HTTP](Plain::http).
    #[must_use]
    pub fn over<U: Transport>(self, transport: U) -> Edge<U> {
        let Edge {
            listener,
            upstream,
            limits,
            trusted,
            local_proxies,
            transport: _,
            counters,
            silence,
            hold,
        } = self;
        Edge { listener, upstream, limits, trusted, local_proxies, transport, counters, silence, hold }
    }

    /// The address that it listens on, with the real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    /// Another descriptor of the listening socket, for the process that will [take it over](Edge::from_listener).
    ///
    /// As long as it is open, the socket listens, even after the edge has ended: new connections then wait in its queue
    /// until another edge accepts them. Close it if none will, or those clients wait in vain.
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

    /// For whoever watches the upstream, to tell the edge that it answers nothing.
    pub fn silence(&self) -> Arc<Silence> {
        Arc::clone(&self.silence)
    }

    /// Serves until `stop` is cancelled, then drains and returns. Draining accepts no new connection, finishes the
    /// requests in flight, and sends Close 1001 to websockets. A client that has only just connected has half a second for
    /// its first request. Connections that are open after [`Limits::drain`] are cut off.
    ///
    /// This future only accepts the connections. They are served on threads of the edge's own ([`Limits::workers`]).
    ///
    /// # Errors
    /// The process gets no more threads or descriptors.
    pub async fn serve(self, stop: CancellationToken) -> Result<(), EdgeError> {
        let proxies = Proxies { networks: self.trusted, local: LocalPeers::new(self.local_proxies) };
        let mut arrivals = self.listener.listen(proxies)?;
        let drain = CancellationToken::new();
        // If this future is dropped, the workers drain all the same.
        let _draining = drain.clone().drop_guard();
        let connections = Arc::<Addresses>::default();
        let requests = Arc::<Addresses>::default();
        // The first book is for connections that no worker gets.
        let turned_away = Arc::<Book>::default();
        let mut books = vec![Arc::clone(&turned_away)];
        let workers = (0..self.limits.workers.max(1))
            .map(|number| {
                let book = Arc::<Book>::default();
                books.push(Arc::clone(&book));
                let shared = Shared {
                    upstream: Upstream::new(self.upstream.clone(), &self.limits, Arc::clone(&self.silence)),
                    limits: self.limits.clone(),
                    counters: Arc::clone(&self.counters),
                    connections: Arc::clone(&connections),
                    requests: Arc::clone(&requests),
                    book,
                    silence: Arc::clone(&self.silence),
                    hold: Arc::clone(&self.hold),
                    tasks: TaskTracker::new(),
                    drain: drain.child_token(),
                };
                Worker::start(number, self.transport.clone(), Arc::new(shared))
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(EdgeError::Workers)?;
        let log_ends = CancellationToken::new();
        let _log_ends = log_ends.clone().drop_guard();
        let logging = tokio::spawn(Log::of(books).keep(log_ends.clone()));

        let admission = Admission { limits: self.limits, counters: Arc::clone(&self.counters), connections };
        let being_turned_away = TaskTracker::new();
        while let Some((socket, info)) = stop.run_until_cancelled(arrivals.next()).await {
            match admission.admit(&info) {
                Ok((counted, seat)) => {
                    let least_busy = workers.iter().min_by_key(|worker| worker.load());
                    if let Some(Err(error)) =
                        least_busy.map(|worker| worker.take(socket, info, counted, seat))
                    {
                        tracing::warn!(%error, "a connection cannot be served");
                    }
                }
                Err(crowd) => {
                    turned_away.note_unread(info.peer.ip(), crowd.status());
                    if let Some(counted) = self.counters.turn_away(TURNED_AWAY_AT_ONCE) {
                        let telling = client::turn_away(self.transport.clone(), socket, info, crowd);
                        being_turned_away.spawn(async move {
                            // If the client does not read it in time, the connection is closed all the same.
                            let _ = tokio::time::timeout(TURNED_AWAY, telling).await;
                            drop(counted);
                        });
                    }
                }
            }
        }

        drop(arrivals);
        drain.cancel();
        // All of them begin to end before this waits for the first.
        let ending: Vec<_> = workers.into_iter().map(Worker::end).collect();
        for worker in ending {
            worker.await;
        }
        being_turned_away.close();
        being_turned_away.wait().await;
        log_ends.cancel();
        // Fails only if the runtime ends, and the log with it.
        let _ = logging.await;
        Ok(())
    }
}

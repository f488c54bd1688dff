//! The limits of an edge, and where each default comes from.

use std::net::IpAddr;
use std::thread;
use std::time::Duration;

use crate::network::Network;

/// Descriptors reserved for everything in the process that is not a relayed connection: the database, logs, the control
/// socket, idle upstream connections, clients that are being turned away.
const RESERVED_DESCRIPTORS: u64 = 256;

/// The edge uses no more cores than this, and leaves the others to the server.
const MOST_WORKERS: usize = 8;

/// The soft descriptor limit a Linux process starts with.
const USUAL_NOFILE: u64 = 1024;

/// Bytes of a head, start line included, that the edge passes on, of a request and of an answer.
pub const HEAD_BYTES: usize = 64 * 1024;

/// Header lines of a head that the edge passes on, of a request and of an answer. It is what hyper has room for unless told otherwise:
/// a number that is set makes it fill two tables for each head, a twentieth of all the work for a request.
pub const HEAD_LINES: usize = 100;

/// Bytes that the edge may add to a request's head: the forwarding headers. A server behind it must accept that much more.
pub const ADDED_BYTES: usize = 4 * 1024;

/// Header lines that the edge may add to a request's head.
pub const ADDED_LINES: usize = 8;

/// The smallest head limit that hyper accepts.
const LEAST_HEAD_BYTES: usize = 8192;

/// One address may take this part of all connections.
const SHARE_OF_ONE_ADDRESS: usize = 4;

/// A small edge lets one address have this many: the browsers of a small office behind one router.
const LEAST_FOR_ONE_ADDRESS: usize = 32;

/// Limits of one edge. The defaults follow Mattermost's own nginx sample where it names a value.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Open client connections, websockets included; any further one gets a 503. Default: what fits into a limit of 1024
    /// descriptors. Callers that know their limit use [`connections_within`].
    pub max_connections: usize,
    /// Threads that serve; they share nothing. Default: one per core, at most 8. A proxy has no long computations, so
    /// work need not move between them.
    pub workers: usize,
    /// Of them, those that one address may have: a client's own, and websockets that a trusted proxy opens for a client.
    /// An IPv6 client has its whole /64 network. Any further one gets a 429. Default: a quarter of `max_connections`, at
    /// least 32 ([`for_one_address`]).
    pub connections_per_address: Option<usize>,
    /// Requests that one client behind trusted proxies may have under way; any further one gets a 429. A client without
    /// a proxy has one on each connection. Default: half of `connections_per_address`.
    pub requests_per_address: Option<usize>,
    /// Addresses without such a limit. Default: loopback, because a local proxy that is not trusted connects from there
    /// for all of its clients.
    pub unlimited: Vec<Network>,
    /// Bytes of a head, start line included. A larger request is answered 431, a larger answer becomes a 502. At least
    /// 8 192. Default [`HEAD_BYTES`]: Mattermost's own limit on a URL is 2 KiB, the rest is for cookies and the tokens
    /// that proxies add. The number of lines is limited to [`HEAD_LINES`].
    pub header_bytes: usize,
    /// Time to send a whole request head, and to send the next one on a kept-alive connection; a handshake of the
    /// [transport](crate::Transport) has the same time again. Default 30 s: a browser sends a head at once, so a slower
    /// client only takes a connection from others.
    pub headers_timeout: Duration,
    /// How long a client may keep the edge waiting inside a request's body: waiting uses it up, and every
    /// [`least_rate`](Limits::least_rate) bytes give one second back. So a client may pause this long now and then, and
    /// must send at the least rate otherwise. Default 60 s, the sample's `client_body_timeout`.
    pub upload_pause: Duration,
    /// The same for a client that receives: an answer's body, or a websocket. Default 300 s, the sample's `send_timeout`.
    pub download_pause: Duration,
    /// The least bytes a second, on average, of a client that keeps the edge waiting. Default 500, which a slow mobile
    /// connection exceeds.
    pub least_rate: u32,
    /// How long a client may keep the edge waiting in one request's body altogether, at whatever rate. Default 6 h: 1 GB at
    /// 50 kB a second.
    pub upload_total: Duration,
    /// After an answer to a request that the client has not sent completely: how long the edge receives and drops the
    /// rest, so that the client reads the answer. It ends early after 5 s without a byte. Default 30 s, nginx's
    /// `lingering_time`.
    pub linger: Duration,
    /// Time to open a connection to the upstream. Default 90 s, the sample's `proxy_connect_timeout`. A refused
    /// connection is reported at once.
    pub upstream_connect_timeout: Duration,
    /// Longest pause of the upstream, before and inside an answer. Default 600 s, the sample's `proxy_read_timeout`:
    /// an export or an import can take minutes before it answers.
    pub upstream_response_timeout: Duration,
    /// How long a request waits in a [hold](crate::Hold) for the next server. Default 60 s: browsers and apps give up later.
    pub hold: Duration,
    /// Longest time in which neither side of a websocket sends anything. Default 300 s: Mattermost pings every 60 s and
    /// disconnects a client that is silent for 100 s, so the server acts first.
    pub websocket_idle: Duration,
    /// Time for open requests to finish after draining has begun. Default 30 s: a restart must not wait for ever, even if
    /// that cuts off a large upload on a slow line.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_connections: connections_within(USUAL_NOFILE),
            workers: thread::available_parallelism().map_or(1, |cores| cores.get().min(MOST_WORKERS)),
            connections_per_address: None,
            requests_per_address: None,
            unlimited: Network::LOOPBACK.to_vec(),
            header_bytes: HEAD_BYTES,
            headers_timeout: Duration::from_secs(30),
            upload_pause: Duration::from_secs(60),
            download_pause: Duration::from_secs(300),
            least_rate: 500,
            upload_total: Duration::from_secs(6 * 3600),
            linger: Duration::from_secs(30),
            upstream_connect_timeout: Duration::from_secs(90),
            upstream_response_timeout: Duration::from_secs(600),
            hold: Duration::from_secs(60),
            websocket_idle: Duration::from_secs(300),
            drain: Duration::from_secs(30),
        }
    }
}

impl Limits {
    pub(crate) fn head_bytes(&self) -> usize {
        self.header_bytes.max(LEAST_HEAD_BYTES)
    }

    /// Connections that one address may have.
    pub(crate) fn connections_of_one(&self) -> usize {
        self.connections_per_address.unwrap_or_else(|| for_one_address(self.max_connections))
    }

    /// Requests under way that one client behind a proxy may have.
    pub(crate) fn requests_of_one(&self) -> usize {
        self.requests_per_address
            .unwrap_or_else(|| (self.connections_of_one() / 2).max(LEAST_FOR_ONE_ADDRESS))
    }

    /// Whether an address is counted at all.
    pub(crate) fn is_limited(&self, address: IpAddr) -> bool {
        !self.unlimited.iter().any(|network| network.contains(address))
    }
}

/// How many of `connections` one address may have unless told otherwise: a quarter, so that a single client cannot take
/// every seat; at least 32, for an office behind one router.
pub fn for_one_address(connections: usize) -> usize {
    (connections / SHARE_OF_ONE_ADDRESS).max(LEAST_FOR_ONE_ADDRESS).min(connections.max(1))
}

/// How many client connections fit into a limit of `nofile` descriptors. Each needs two: its own, and one to the upstream.
/// At least 8, so that an edge with a tiny limit is slow, but not closed.
pub fn connections_within(nofile: u64) -> usize {
    let pairs = nofile.saturating_sub(RESERVED_DESCRIPTORS) / 2;
    usize::try_from(pairs).unwrap_or(usize::MAX).max(8)
}

#[cfg(test)]
mod tests {
    use super::{Limits, connections_within, for_one_address};

    #[test]
    fn one_address_never_has_every_seat_of_a_usual_edge() {
        for (seats, one) in [(9872, 2468), (384, 96), (100, 32), (8, 8), (1, 1)] {
            assert_eq!(for_one_address(seats), one);
        }
        let limits = Limits { max_connections: 9872, ..Limits::default() };
        assert_eq!((limits.connections_of_one(), limits.requests_of_one()), (2468, 1234));
        assert!(limits.is_limited([203, 0, 113, 7].into()) && !limits.is_limited([127, 3, 2, 1].into()));
    }

    #[test]
    fn a_connection_needs_two_descriptors() {
        assert_eq!(connections_within(1024), 384);
        assert_eq!(connections_within(1_048_576), 524_160);
        assert_eq!(connections_within(0), 8);
        assert!(connections_within(u64::MAX) > 1 << 40);
    }
}

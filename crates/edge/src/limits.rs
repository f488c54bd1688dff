//! The limits of an edge, and where each default comes from.

use std::thread;
use std::time::Duration;

/// Descriptors reserved for everything in the process that is not a relayed connection: the database, logs, the control
/// socket, idle upstream connections, clients that are being turned away.
const RESERVED_DESCRIPTORS: u64 = 256;

/// The edge uses no more cores than this, and leaves the others to the server.
const MOST_WORKERS: usize = 8;

/// The soft descriptor limit a Linux process starts with.
const USUAL_NOFILE: u64 = 1024;

/// Limits of one edge. The defaults follow Mattermost's own nginx sample where it names a value.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Open client connections, websockets included; any further one gets a 503. Default: what fits into a limit of 1024
    /// descriptors. Callers that know their limit use [`connections_within`].
    pub max_connections: usize,
    /// Threads that serve; they share nothing. Default: one per core, at most 8. A proxy has no long computations, so
    /// work need not move between them.
    pub workers: usize,
    /// Bytes of a request's head, start line included; a larger one is answered 431. At least 8 192. Default 64 KiB:
    /// Mattermost's own limit on a URL is 2 KiB, the rest is for cookies and the tokens that proxies add.
    pub header_bytes: usize,
    /// Time to send a whole request head, and to send the next one on a kept-alive connection; a handshake of the
    /// [transport](crate::Transport) has the same time again. Default 30 s: a browser sends a head at once, so a slower
    /// client only takes a connection from others.
    pub headers_timeout: Duration,
    /// Longest pause of a client inside a body, sending or receiving. Default 300 s, the sample's `proxy_send_timeout`.
    pub body_idle_timeout: Duration,
    /// Time to open a connection to the upstream. Default 90 s, the sample's `proxy_connect_timeout`. A refused
    /// connection is reported at once.
    pub upstream_connect_timeout: Duration,
    /// Longest pause of the upstream, before and inside an answer. Default 600 s, the sample's `proxy_read_timeout`:
    /// an export or an import can take minutes before it answers.
    pub upstream_response_timeout: Duration,
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
            header_bytes: 64 * 1024,
            headers_timeout: Duration::from_secs(30),
            body_idle_timeout: Duration::from_secs(300),
            upstream_connect_timeout: Duration::from_secs(90),
            upstream_response_timeout: Duration::from_secs(600),
            websocket_idle: Duration::from_secs(300),
            drain: Duration::from_secs(30),
        }
    }
}

/// How many client connections fit into a limit of `nofile` descriptors. Each needs two: its own, and one to the upstream.
/// At least 8, so that an edge with a tiny limit is slow, but not closed.
pub fn connections_within(nofile: u64) -> usize {
    let pairs = nofile.saturating_sub(RESERVED_DESCRIPTORS) / 2;
    usize::try_from(pairs).unwrap_or(usize::MAX).max(8)
}

#[cfg(test)]
mod tests {
    use super::connections_within;

    #[test]
    fn a_connection_needs_two_descriptors() {
        assert_eq!(connections_within(1024), 384);
        assert_eq!(connections_within(1_048_576), 524_160);
        assert_eq!(connections_within(0), 8);
        assert!(connections_within(u64::MAX) > 1 << 40);
    }
}

//! What an edge has done and is doing: counted as it happens, read at any time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Live counters of one edge. Cheap to bump; [`read`](Counters::read) gives a picture for `status`.
#[derive(Debug, Default)]
pub struct Counters {
    connections: AtomicU64,
    websockets: AtomicU64,
    leaving: AtomicU64,
    requests: AtomicU64,
    upstream_errors: AtomicU64,
    turned_away: AtomicU64,
}

/// The counters at one moment. Fields are read one after another, so they may differ by what happened between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Client connections open now, websockets included.
    pub connections: u64,
    /// Websockets open now.
    pub websockets: u64,
    /// Requests received since the start.
    pub requests: u64,
    /// Requests since the start that the upstream did not answer: away, late or broken.
    pub upstream_errors: u64,
    /// Connections refused since the start because the edge was full.
    pub turned_away: u64,
}

impl Counters {
    /// The counters now.
    pub fn read(&self) -> Reading {
        Reading {
            connections: self.connections.load(Relaxed),
            websockets: self.websockets.load(Relaxed),
            requests: self.requests.load(Relaxed),
            upstream_errors: self.upstream_errors.load(Relaxed),
            turned_away: self.turned_away.load(Relaxed),
        }
    }

    pub(crate) fn request(&self) {
        self.requests.fetch_add(1, Relaxed);
    }

    pub(crate) fn upstream_error(&self) {
        self.upstream_errors.fetch_add(1, Relaxed);
    }

    /// A place among at most `limit` connections.
    pub(crate) fn seat(self: &Arc<Self>, limit: usize) -> Option<Held> {
        self.hold(|counters| &counters.connections, limit as u64)
    }

    /// Counts a refused connection; a place among at most `limit` that are being told so.
    pub(crate) fn turn_away(self: &Arc<Self>, limit: u64) -> Option<Held> {
        self.turned_away.fetch_add(1, Relaxed);
        self.hold(|counters| &counters.leaving, limit)
    }

    /// An open websocket.
    pub(crate) fn websocket(self: &Arc<Self>) -> Held {
        self.websockets.fetch_add(1, Relaxed);
        self.held(|counters| &counters.websockets)
    }

    fn hold(self: &Arc<Self>, of: fn(&Counters) -> &AtomicU64, limit: u64) -> Option<Held> {
        let taken = of(self).fetch_update(Relaxed, Relaxed, |n| (n < limit).then_some(n + 1));
        taken.is_ok().then(|| self.held(of))
    }

    fn held(self: &Arc<Self>, of: fn(&Counters) -> &AtomicU64) -> Held {
        Held { counters: Arc::clone(self), of }
    }
}

/// One unit of a counter of open things, given back on drop.
#[derive(Debug)]
pub(crate) struct Held {
    counters: Arc<Counters>,
    of: fn(&Counters) -> &AtomicU64,
}

impl Drop for Held {
    fn drop(&mut self) {
        (self.of)(&self.counters).fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_limited_and_given_back() {
        let counters = Arc::new(Counters::default());
        let first = counters.seat(1);
        assert!(first.is_some());
        assert!(counters.seat(1).is_none());
        drop(first);
        assert!(counters.seat(1).is_some());
        assert_eq!(counters.read().connections, 0);
    }
}

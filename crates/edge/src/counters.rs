//! Counts what an edge does; can be read at any time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Live counters of one edge.
#[derive(Debug, Default)]
pub struct Counters {
    connections: AtomicU64,
    websockets: AtomicU64,
    being_turned_away: AtomicU64,
    requests: AtomicU64,
    upstream_errors: AtomicU64,
    turned_away: AtomicU64,
}

/// The counters at one moment. They are read one after the other, so they may differ by what happened in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Client connections open now, websockets included.
    pub connections: u64,
    /// Websockets open now.
    pub websockets: u64,
    /// Requests received since the start.
    pub requests: u64,
    /// Requests since the start that the upstream did not answer: it was unreachable, late or broke the connection.
    pub upstream_errors: u64,
    /// Connections refused since the start because the edge was full.
    pub turned_away: u64,
}

impl Counters {
    /// The counters now.
    pub fn read(&self) -> Counts {
        Counts {
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

    /// Counts a connection, unless there are `limit` already.
    pub(crate) fn connection(self: &Arc<Self>, limit: usize) -> Option<Counted> {
        self.count_below(|counters| &counters.connections, limit as u64)
    }

    /// Counts a connection that is turned away. None if `limit` of them are being told so already.
    pub(crate) fn turn_away(self: &Arc<Self>, limit: u64) -> Option<Counted> {
        self.turned_away.fetch_add(1, Relaxed);
        self.count_below(|counters| &counters.being_turned_away, limit)
    }

    /// Counts a websocket.
    pub(crate) fn websocket(self: &Arc<Self>) -> Counted {
        self.websockets.fetch_add(1, Relaxed);
        self.count(|counters| &counters.websockets)
    }

    fn count_below(self: &Arc<Self>, of: fn(&Counters) -> &AtomicU64, limit: u64) -> Option<Counted> {
        let taken = of(self).fetch_update(Relaxed, Relaxed, |n| (n < limit).then_some(n + 1));
        taken.is_ok().then(|| self.count(of))
    }

    fn count(self: &Arc<Self>, of: fn(&Counters) -> &AtomicU64) -> Counted {
        Counted { counters: Arc::clone(self), of }
    }
}

/// Something that is counted as long as it is open: the counter goes down again on drop.
#[derive(Debug)]
pub(crate) struct Counted {
    counters: Arc<Counters>,
    of: fn(&Counters) -> &AtomicU64,
}

impl Drop for Counted {
    fn drop(&mut self) {
        (self.of)(&self.counters).fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_limited_and_counted_down() {
        let counters = Arc::new(Counters::default());
        let first = counters.connection(1);
        assert!(first.is_some());
        assert!(counters.connection(1).is_none());
        drop(first);
        assert!(counters.connection(1).is_some());
        assert_eq!(counters.read().connections, 0);
    }
}

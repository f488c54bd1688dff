//! The other end of one client connection.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::addresses::{Addresses, Seat};
use crate::counters::Counted;
use crate::forwarded::Origin;
use crate::limits::Limits;
use crate::transport::ConnectionInfo;

/// The other end of one client connection. A websocket keeps it after the HTTP connection has ended, so that it stays
/// counted.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) origin: Origin,
    /// Whether a request was answered before all of its body had been read.
    unread: AtomicBool,
    _counted: Counted,
    /// None where this address is not limited, or is a proxy's.
    _seat: Option<Seat>,
}

impl Peer {
    pub(crate) fn new(info: &ConnectionInfo, counted: Counted, seat: Option<Seat>) -> Peer {
        Peer { origin: Origin::new(info), unread: AtomicBool::new(false), _counted: counted, _seat: seat }
    }

    /// The rest of a request's body will not be read.
    pub(crate) fn leave_unread(&self) {
        self.unread.store(true, Relaxed);
    }

    pub(crate) fn has_unread(&self) -> bool {
        self.unread.load(Relaxed)
    }

    /// A seat for what a client behind a trusted proxy does; `Ok(None)` where no limit applies. The connections of other clients
    /// were counted when they were accepted, and have one request under way each.
    pub(crate) fn seat(
        &self,
        client: IpAddr,
        of: &Arc<Addresses>,
        limit: usize,
        limits: &Limits,
    ) -> Result<Option<Seat>, TooMany> {
        if !self.origin.is_trusted(client) && self.origin.is_proxy() && limits.is_limited(client) {
            of.take(client, limit).map(Some).ok_or(TooMany)
        } else {
            Ok(None)
        }
    }
}

/// This client has as many as one may have.
#[derive(Debug)]
pub(crate) struct TooMany;

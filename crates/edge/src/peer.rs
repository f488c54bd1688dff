//! The other end of one client connection.

use crate::counters::Counted;
use crate::forwarded::Origin;
use crate::transport::ConnectionInfo;

/// The other end of one client connection. A websocket keeps it after the HTTP connection has ended, so that it stays
/// counted.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) origin: Origin,
    _counted: Counted,
}

impl Peer {
    pub(crate) fn new(info: &ConnectionInfo, counted: Counted) -> Peer {
        Peer { origin: Origin::new(info), _counted: counted }
    }
}

//! Which connections are served.

use std::sync::Arc;

use crate::addresses::{Addresses, Seat};
use crate::counters::{Counted, Counters};
use crate::limits::Limits;
use crate::overload::Crowd;
use crate::transport::ConnectionInfo;

/// Decides about each connection that arrives.
#[derive(Debug)]
pub(crate) struct Admission {
    pub(crate) limits: Limits,
    pub(crate) counters: Arc<Counters>,
    /// The connections of each client.
    pub(crate) connections: Arc<Addresses>,
}

impl Admission {
    /// Room for one more connection: among those of its address, and among all of them.
    pub(crate) fn admit(&self, info: &ConnectionInfo) -> Result<(Counted, Option<Seat>), Crowd> {
        let address = info.peer.ip();
        // A trusted proxy's clients are told apart by their requests.
        let is_proxy = info.trusted.iter().any(|network| network.contains(address));
        let seat = if is_proxy || !self.limits.is_limited(address) {
            None
        } else {
            Some(self.connections.take(address, self.limits.connections_of_one()).ok_or(Crowd::OneAddress)?)
        };
        let counted = self.counters.connection(self.limits.max_connections).ok_or(Crowd::All)?;
        Ok((counted, seat))
    }
}

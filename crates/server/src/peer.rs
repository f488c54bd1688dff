//! Who sent a request: the other end of its connection.

use std::net::IpAddr;

/// The other end of a connection. The listener puts it into the extensions of every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// A machine, by its address.
    Network(IpAddr),
    /// A process that may open the local channel's socket: the server's own user, or root.
    LocalChannel,
}

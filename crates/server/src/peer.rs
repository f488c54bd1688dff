//! Who sent a request: the other end of its connection, and the client behind a proxy.

use std::convert::Infallible;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{Extensions, HeaderMap};

/// The other end of a connection. The listener puts it into the extensions of every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// A machine, by its address.
    Network(IpAddr),
    /// The edge, or another process that may open its socket: the server's own user, or root.
    Edge,
    /// A process that may open the local channel's socket: the server's own user, or root.
    LocalChannel,
}

/// The client of a request.
///
/// The edge is believed about the client's address (`X-Real-IP`, which it sets for every request). Nobody else is: anybody can send
/// that header, also on loopback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Client(Peer);

impl Client {
    pub(crate) fn of(extensions: &Extensions, headers: &HeaderMap) -> Client {
        // Every request has a peer. Without one, nothing that it says about itself is believed.
        let peer = extensions.get().copied().unwrap_or(Peer::Network(Ipv6Addr::UNSPECIFIED.into()));
        let told = || headers.get("x-real-ip")?.to_str().ok()?.trim().parse::<IpAddr>().ok();
        Client(match peer {
            // Without the header it is Mainstay that asks, from this machine.
            Peer::Edge => {
                Peer::Network(told().map_or(Ipv4Addr::LOCALHOST.into(), |told| told.to_canonical()))
            }
            other => other,
        })
    }

    /// Whether requests of this client count towards the rate limit: not the local channel's, and not those that Mainstay itself
    /// sends over the edge's socket.
    pub(crate) fn is_counted(extensions: &Extensions, headers: &HeaderMap) -> bool {
        match extensions.get() {
            Some(Peer::LocalChannel) => false,
            Some(Peer::Edge) => headers.contains_key("x-real-ip"),
            _ => true,
        }
    }

    /// What attempts to sign in are counted by: the address, or the IPv6 network of 64 bits, of which a single client has
    /// every address.
    pub(crate) fn origin(&self) -> String {
        match self.0 {
            Peer::Network(IpAddr::V6(address)) => {
                let network = Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX));
                format!("{network}/64")
            }
            _ => self.to_string(),
        }
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Peer::Network(address) => address.fmt(f),
            Peer::LocalChannel => f.write_str("local channel"),
            // `of` has replaced it by the address that it told.
            Peer::Edge => f.write_str("edge"),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Client, Infallible> {
        Ok(Client::of(&parts.extensions, &parts.headers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn client(peer: Peer, told: &'static str) -> Client {
        let mut extensions = Extensions::new();
        extensions.insert(peer);
        let mut headers = HeaderMap::new();
        headers.insert("x-real-ip", HeaderValue::from_static(told));
        Client::of(&extensions, &headers)
    }

    #[test]
    fn only_the_edge_is_believed() {
        let network = |address: &str| Peer::Network(address.parse().unwrap_or(Ipv6Addr::UNSPECIFIED.into()));
        for (peer, told, expected) in [
            (Peer::Edge, "203.0.113.9", "203.0.113.9"),
            (Peer::Edge, "2001:db8::1", "2001:db8::1"),
            (Peer::Edge, "::ffff:203.0.113.9", "203.0.113.9"),
            (Peer::Edge, "not an address", "127.0.0.1"),
            (network("127.0.0.1"), "203.0.113.9", "127.0.0.1"),
            (network("::1"), "203.0.113.9", "::1"),
            (network("198.51.100.7"), "203.0.113.9", "198.51.100.7"),
            (Peer::LocalChannel, "203.0.113.9", "local channel"),
        ] {
            assert_eq!(client(peer, told).to_string(), expected);
        }
    }

    #[test]
    fn all_addresses_of_an_ipv6_network_are_one_origin() {
        let origin = |address: &'static str| client(Peer::Edge, address).origin();
        assert_eq!(origin("2001:db8:1:2:3::4"), "2001:db8:1:2::/64");
        assert_eq!(origin("203.0.113.9"), "203.0.113.9");
    }
}

//! Who sent a request: the other end of its connection, and the client behind a proxy.

use std::convert::Infallible;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{Extensions, HeaderMap};

/// The other end of a connection. The listener puts it into the extensions of every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// A machine, by its address.
    Network(IpAddr),
    /// A process that may open the local channel's socket: the server's own user, or root.
    LocalChannel,
}

/// The client of a request.
///
/// A proxy on this machine, as the edge is, is believed about the client's address (`X-Real-IP`, which the edge sets for
/// every request). Nobody else is: anybody can send that header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Client(Peer);

impl Client {
    pub(crate) fn of(extensions: &Extensions, headers: &HeaderMap) -> Client {
        // Every request has a peer. Without one, nothing that it says about itself is believed.
        let peer = extensions.get().copied().unwrap_or(Peer::Network(Ipv6Addr::UNSPECIFIED.into()));
        let told = || headers.get("x-real-ip")?.to_str().ok()?.trim().parse::<IpAddr>().ok();
        Client(match peer {
            Peer::Network(address) if address.is_loopback() => {
                Peer::Network(told().map_or(address, |told| told.to_canonical()))
            }
            other => other,
        })
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

    fn client(peer: &str, told: &'static str) -> Option<Client> {
        let mut extensions = Extensions::new();
        extensions.insert(Peer::Network(peer.parse().ok()?));
        let mut headers = HeaderMap::new();
        headers.insert("x-real-ip", HeaderValue::from_static(told));
        Some(Client::of(&extensions, &headers))
    }

    #[test]
    fn only_a_proxy_on_this_machine_is_believed() {
        for (peer, told, expected) in [
            ("127.0.0.1", "203.0.113.9", "203.0.113.9"),
            ("::1", "2001:db8::1", "2001:db8::1"),
            ("127.0.0.1", "::ffff:203.0.113.9", "203.0.113.9"),
            ("127.0.0.1", "not an address", "127.0.0.1"),
            ("198.51.100.7", "203.0.113.9", "198.51.100.7"),
        ] {
            assert_eq!(client(peer, told).map(|client| client.to_string()).as_deref(), Some(expected));
        }
    }

    #[test]
    fn all_addresses_of_an_ipv6_network_are_one_origin() {
        let origin = |address: &str| client(address, "").map(|client| client.origin());
        assert_eq!(origin("2001:db8:1:2:3::4").as_deref(), Some("2001:db8:1:2::/64"));
        assert_eq!(origin("203.0.113.9").as_deref(), Some("203.0.113.9"));
    }
}

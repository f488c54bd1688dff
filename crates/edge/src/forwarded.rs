//! What the upstream is told about the client.
//!
//! What an ordinary client says about itself is replaced by what the connection shows. A trusted proxy is believed: its
//! `X-Forwarded-For` gets one more entry, and its `-Proto` and `-Host` are kept, because only the proxy saw them.
//! `X-Real-IP` is never taken over, not even from a trusted proxy, because many proxies pass on what the client sent. It
//! is the last address in the chain that is not a trusted proxy's.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http::header::{FORWARDED, HOST};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::network::Network;
use crate::transport::ConnectionInfo;

pub(crate) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(crate) const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub(crate) const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(crate) const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");

/// What one connection shows about its other end, as header values. Made once per connection; a request only clones it.
#[derive(Debug)]
pub(crate) struct Origin {
    ip: IpAddr,
    address: HeaderValue,
    scheme: HeaderValue,
    /// Whether the peer is one of `trusted`.
    is_trusted: bool,
    trusted: Arc<[Network]>,
}

impl Origin {
    pub(crate) fn new(info: &ConnectionInfo) -> Origin {
        let address = info.peer.ip().to_canonical();
        Origin {
            ip: address,
            address: text(address.to_string()),
            scheme: HeaderValue::from_static(info.tls.scheme()),
            is_trusted: info.trusted.iter().any(|network| network.contains(address)),
            trusted: Arc::clone(&info.trusted),
        }
    }

    /// Whether the peer is a trusted proxy.
    pub(crate) fn is_proxy(&self) -> bool {
        self.is_trusted
    }

    /// Whether an address is a trusted proxy's.
    pub(crate) fn is_trusted(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }

    /// Who sends a request with these headers: the peer, or the client that a trusted proxy names.
    pub(crate) fn client(&self, headers: &HeaderMap) -> IpAddr {
        if !self.is_trusted || !headers.contains_key(X_FORWARDED_FOR) {
            return self.ip;
        }
        client_of(&self.chain(headers), &self.trusted).unwrap_or(self.ip)
    }

    /// The forwarding chain that a trusted proxy sent, and the proxy itself.
    fn chain(&self, headers: &HeaderMap) -> Vec<u8> {
        let mut chain: Vec<u8> = Vec::new();
        for value in headers.get_all(X_FORWARDED_FOR) {
            chain.extend_from_slice(value.as_bytes());
            chain.extend_from_slice(b", ");
        }
        chain.extend_from_slice(self.address.as_bytes());
        chain
    }

    /// Writes the forwarding headers of one request of [this client](Origin::client).
    pub(crate) fn describe(&self, client: IpAddr, headers: &mut HeaderMap) {
        if self.is_trusted {
            self.describe_behind_proxy(client, headers);
            return;
        }
        headers.remove(FORWARDED);
        headers.remove(X_FORWARDED_PORT);
        headers.insert(X_FORWARDED_FOR, self.address.clone());
        headers.insert(X_REAL_IP, self.address.clone());
        headers.insert(X_FORWARDED_PROTO, self.scheme.clone());
        match headers.get(HOST).cloned() {
            Some(host) => headers.insert(X_FORWARDED_HOST, host),
            None => headers.remove(X_FORWARDED_HOST),
        };
    }

    fn describe_behind_proxy(&self, client: IpAddr, headers: &mut HeaderMap) {
        let chain = self.chain(headers);
        headers.insert(X_REAL_IP, text(client.to_string()));
        // Valid, because it is made of valid values; the fallback is never used.
        let chain = HeaderValue::from_maybe_shared(Bytes::from(chain));
        headers.insert(X_FORWARDED_FOR, chain.unwrap_or_else(|_| self.address.clone()));
        headers.entry(X_FORWARDED_PROTO).or_insert_with(|| self.scheme.clone());
        if let Some(host) = headers.get(HOST).cloned() {
            headers.entry(X_FORWARDED_HOST).or_insert(host);
        }
    }
}

/// The last address of a forwarding chain that is not a trusted proxy: what comes before it may be invented. If all are
/// trusted proxies, the first. An entry that is not an address ends the search, because nothing before it can be believed.
fn client_of(chain: &[u8], trusted: &[Network]) -> Option<IpAddr> {
    let mut client = None;
    for entry in chain.rsplit(|&c| c == b',') {
        let Some(address) = std::str::from_utf8(entry.trim_ascii()).ok().and_then(address_of) else {
            break;
        };
        client = Some(address);
        if !trusted.iter().any(|network| network.contains(address)) {
            break;
        }
    }
    client
}

/// An entry of a chain: an address, with which some proxies also give the port.
fn address_of(entry: &str) -> Option<IpAddr> {
    let address = entry.parse().or_else(|_| entry.parse::<SocketAddr>().map(|with_port| with_port.ip()));
    address.ok().map(|address| address.to_canonical())
}

fn text(ascii: String) -> HeaderValue {
    HeaderValue::from_maybe_shared(Bytes::from(ascii)).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::Tls;

    fn described(peer: &str, trusted: &[&str], said: &[(&str, &str)]) -> Vec<String> {
        described_with(Tls::None, peer, trusted, said)
    }

    fn described_with(tls: Tls, peer: &str, trusted: &[&str], said: &[(&str, &str)]) -> Vec<String> {
        let info = ConnectionInfo {
            peer: SocketAddr::new(peer.parse().unwrap(), 50_000),
            local: ([192, 0, 2, 1], 8065).into(),
            tls,
            trusted: trusted.iter().map(|text| text.parse().unwrap()).collect(),
        };
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("chat.example"));
        for (name, value) in said {
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        let origin = Origin::new(&info);
        origin.describe(origin.client(&headers), &mut headers);
        headers.remove(HOST);
        let mut lines: Vec<String> =
            headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        lines.sort_unstable();
        lines
    }

    const FORGED: &[(&str, &str)] = &[
        ("x-forwarded-for", "1.1.1.1"),
        ("x-forwarded-for", "2.2.2.2"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-port", "1"),
        ("x-real-ip", "3.3.3.3"),
        ("forwarded", "for=4.4.4.4"),
    ];

    #[test]
    fn what_a_client_says_about_itself_is_replaced() {
        assert_eq!(
            described("203.0.113.9", &["10.0.0.0/8"], FORGED),
            [
                "x-forwarded-for: 203.0.113.9",
                "x-forwarded-host: chat.example",
                "x-forwarded-proto: http",
                "x-real-ip: 203.0.113.9",
            ]
        );
    }

    #[test]
    fn a_trusted_proxy_is_believed_except_for_its_real_ip() {
        assert_eq!(
            described("10.0.0.1", &["10.0.0.0/8"], FORGED),
            [
                "forwarded: for=4.4.4.4",
                "x-forwarded-for: 1.1.1.1, 2.2.2.2, 10.0.0.1",
                "x-forwarded-host: evil.example",
                "x-forwarded-port: 1",
                "x-forwarded-proto: https",
                "x-real-ip: 2.2.2.2",
            ]
        );
    }

    #[test]
    fn a_trusted_proxy_that_sends_no_headers_counts_as_the_client() {
        assert_eq!(
            described("::ffff:10.0.0.1", &["10.0.0.0/8"], &[]),
            [
                "x-forwarded-for: 10.0.0.1",
                "x-forwarded-host: chat.example",
                "x-forwarded-proto: http",
                "x-real-ip: 10.0.0.1",
            ]
        );
    }

    #[test]
    fn the_server_is_told_of_tls_unless_a_trusted_proxy_says_otherwise() {
        for tls in [Tls::InFront, Tls::Here { server_name: None }] {
            let proto = |peer, said| described_with(tls.clone(), peer, &["10.0.0.0/8"], said).remove(2);
            assert_eq!(proto("203.0.113.9", &[("x-forwarded-proto", "http")]), "x-forwarded-proto: https");
            assert_eq!(proto("10.0.0.1", &[]), "x-forwarded-proto: https");
            assert_eq!(proto("10.0.0.1", &[("x-forwarded-proto", "http")]), "x-forwarded-proto: http");
        }
    }

    #[test]
    fn the_client_of_a_chain() {
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        for (chain, client) in [
            ("1.1.1.1, 2.2.2.2, 10.0.0.2, 10.0.0.1", "2.2.2.2"),
            ("10.0.0.3, 10.0.0.1", "10.0.0.3"),
            ("1.1.1.1, garbage, 10.0.0.1", "10.0.0.1"),
            ("2001:db8::7,10.0.0.1", "2001:db8::7"),
            ("2.2.2.2:50123, 10.0.0.1", "2.2.2.2"),
            ("[2001:db8::7]:443, 10.0.0.1", "2001:db8::7"),
            ("::ffff:2.2.2.2, 10.0.0.1", "2.2.2.2"),
        ] {
            assert_eq!(client_of(chain.as_bytes(), &trusted), client.parse().ok(), "{chain}");
        }
        assert_eq!(client_of(b"", &trusted), None);
    }
}

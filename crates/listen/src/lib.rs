//! An address to listen on: `mainstay.toml`, the command line and the environment are all read by this one parser.
//!
//! - `:8065` and `8065` are every address of the machine, IPv4 and IPv6. As a socket address that is `[::]`, whose socket takes IPv4
//!   connections too.
//! - `127.0.0.1:8065`, `[::1]:8065` and `localhost:8065` are this machine alone.
//! - Names are refused, other than `localhost`: a name can lead to another machine, and an address must be this machine's own.
//!   Port 0 is read, because tests listen there; who decides about people's settings refuses it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What may be written.
pub const FORMS: &str =
    "ADDRESS:PORT, as in 127.0.0.1:8065 or [::1]:8065; or :PORT for every address of this machine";

/// Names of services that people write for a port.
const SERVICES: [(&str, u16); 3] = [("http", 80), ("https", 443), ("http-alt", 8080)];

/// Where to listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Listen {
    /// `None` is every address, IPv4 and, if the machine has it, IPv6.
    pub address: Option<IpAddr>,
    /// With 0 the kernel chooses.
    pub port: u16,
}

/// The text is not an address to listen on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is no address to listen on: {why}. Allowed: {FORMS}")]
pub struct ListenError {
    /// The text.
    pub given: String,
    /// What is wrong with it.
    pub why: String,
}

impl Listen {
    /// The socket address: `[::]` for every address.
    pub fn socket_addr(&self) -> SocketAddr {
        SocketAddr::new(self.address.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED)), self.port)
    }

    /// The address at which a client on this machine can reach it.
    pub fn reachable(&self) -> SocketAddr {
        let address = match self.address {
            // Every address has IPv4 in any case.
            None => Ipv4Addr::LOCALHOST.into(),
            Some(IpAddr::V4(address)) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            Some(address) => address,
        };
        SocketAddr::new(address, self.port)
    }

    /// The host of a URL that leads there: `localhost` for loopback, `machine` for every address.
    pub fn url_host(&self, machine: &str) -> String {
        match self.address {
            // `localhost` is these two, and no other loopback address.
            Some(IpAddr::V4(Ipv4Addr::LOCALHOST) | IpAddr::V6(Ipv6Addr::LOCALHOST)) => "localhost".to_owned(),
            None => machine.to_owned(),
            Some(address) if address.is_unspecified() => machine.to_owned(),
            Some(IpAddr::V6(address)) => format!("[{address}]"),
            Some(IpAddr::V4(address)) => address.to_string(),
        }
    }

    /// Where that is, for a message.
    pub fn words(&self) -> String {
        match self.address {
            None => format!("port {} of every address", self.port),
            Some(IpAddr::V4(address)) if address.is_unspecified() => {
                format!("port {} of every IPv4 address", self.port)
            }
            Some(_) => self.to_string(),
        }
    }
}

impl From<SocketAddr> for Listen {
    fn from(address: SocketAddr) -> Self {
        let ip = address.ip();
        Self { address: (ip != IpAddr::V6(Ipv6Addr::UNSPECIFIED)).then_some(ip), port: address.port() }
    }
}

impl FromStr for Listen {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Self, ListenError> {
        let fail = |why: String| ListenError { given: text.to_owned(), why };
        if text.contains("://") {
            return Err(fail("it is a URL; people's address is `site_url`".to_owned()));
        }
        if text.parse::<Ipv6Addr>().is_ok() {
            return Err(fail(match text.rsplit_once(':') {
                Some((address, port)) if address.parse::<Ipv6Addr>().is_ok() => {
                    format!("an IPv6 address needs brackets: [{text}]:PORT, or [{address}]:{port}")
                }
                _ => format!("an IPv6 address needs brackets, and a port: [{text}]:8065"),
            }));
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if host.ends_with(']') || !host.contains(':') => (host, port),
            Some((host, port)) if !host.starts_with('[') => {
                return Err(fail(format!("an IPv6 address needs brackets: [{host}]:{port}")));
            }
            Some(_) if text.ends_with(']') => return Err(fail(format!("it has no port: {text}:8065"))),
            Some(_) => return Err(fail("the bracket is not closed".to_owned())),
            None => ("", text),
        };
        Ok(Self { port: port_of(host, port).map_err(fail)?, address: address_of(host, port).map_err(fail)? })
    }
}

fn port_of(host: &str, port: &str) -> Result<u16, String> {
    if port.is_empty() {
        return Err("it has no port".to_owned());
    }
    if let Some((_, number)) = SERVICES.iter().find(|(name, _)| port.eq_ignore_ascii_case(name)) {
        return Err(format!("`{port}` is a name; write its port, {host}:{number}"));
    }
    if !port.bytes().all(|byte| byte.is_ascii_digit()) {
        let lacks = host.is_empty() && (port.parse::<IpAddr>().is_ok() || port == "localhost");
        return Err(if lacks {
            format!("it has no port: {port}:8065")
        } else {
            format!("`{port}` is not a port, a number from 1 to 65535")
        });
    }
    port.parse().map_err(|_| format!("port {port} is above 65535"))
}

fn address_of(host: &str, port: &str) -> Result<Option<IpAddr>, String> {
    if let Some(inside) = host.strip_prefix('[') {
        let inside = inside.strip_suffix(']').unwrap_or_default();
        let address: Ipv6Addr = inside.parse().map_err(|_| format!("`{inside}` is not an IPv6 address"))?;
        return Ok((!address.is_unspecified()).then_some(IpAddr::V6(address)));
    }
    match host {
        "" => Ok(None),
        "*" => Err(format!("every address is written :{port}")),
        _ if host.eq_ignore_ascii_case("localhost") => Ok(Some(Ipv4Addr::LOCALHOST.into())),
        _ => match host.parse::<Ipv4Addr>() {
            Ok(address) => Ok(Some(address.into())),
            Err(_) if host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') => {
                Err(format!("`{host}` is not an IPv4 address"))
            }
            Err(_) => Err(format!(
                "`{host}` is a name; write an address of this machine, or :{port} for all of them"
            )),
        },
    }
}

impl TryFrom<String> for Listen {
    type Error = ListenError;

    fn try_from(text: String) -> Result<Self, ListenError> {
        text.parse()
    }
}

impl From<Listen> for String {
    fn from(listen: Listen) -> Self {
        listen.to_string()
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => SocketAddr::new(address, self.port).fmt(f),
            None => write!(f, ":{}", self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for (text, shown, socket, reachable, url) in [
            ("127.0.0.1:8065", "127.0.0.1:8065", "127.0.0.1:8065", "127.0.0.1:8065", "localhost"),
            ("localhost:80", "127.0.0.1:80", "127.0.0.1:80", "127.0.0.1:80", "localhost"),
            ("LocalHost:80", "127.0.0.1:80", "127.0.0.1:80", "127.0.0.1:80", "localhost"),
            (":8065", ":8065", "[::]:8065", "127.0.0.1:8065", "chat-1"),
            ("8065", ":8065", "[::]:8065", "127.0.0.1:8065", "chat-1"),
            ("[::]:8065", ":8065", "[::]:8065", "127.0.0.1:8065", "chat-1"),
            ("[::1]:8065", "[::1]:8065", "[::1]:8065", "[::1]:8065", "localhost"),
            (
                "[2001:db8::1]:443",
                "[2001:db8::1]:443",
                "[2001:db8::1]:443",
                "[2001:db8::1]:443",
                "[2001:db8::1]",
            ),
            ("0.0.0.0:80", "0.0.0.0:80", "0.0.0.0:80", "127.0.0.1:80", "chat-1"),
            ("192.0.2.7:0", "192.0.2.7:0", "192.0.2.7:0", "192.0.2.7:0", "192.0.2.7"),
        ] {
            let listen: Listen = text.parse().expect(text);
            assert_eq!(listen.to_string(), shown, "{text}");
            assert_eq!(listen.socket_addr().to_string(), socket, "{text}");
            assert_eq!(listen.reachable().to_string(), reachable, "{text}");
            assert_eq!(listen.url_host("chat-1"), url, "{text}");
            assert_eq!(Listen::from(listen.socket_addr()), listen, "{text}");
            assert_eq!(shown.parse(), Ok(listen), "{text}");
        }
    }

    #[test]
    fn what_is_refused_says_what_to_write() {
        for (text, why) in [
            ("", "it has no port"),
            ("127.0.0.1:", "it has no port"),
            ("127.0.0.1", "it has no port: 127.0.0.1:8065"),
            ("localhost", "it has no port: localhost:8065"),
            ("[::1]", "it has no port: [::1]:8065"),
            (":65536", "port 65536 is above 65535"),
            ("99999999999999999999", "is above 65535"),
            (":-1", "`-1` is not a port"),
            (":+1", "`+1` is not a port"),
            (": 80", "` 80` is not a port"),
            (":http", "write its port, :80"),
            ("127.0.0.1:HTTPS", "write its port, 127.0.0.1:443"),
            ("::1:8065", "needs brackets"),
            ("fe80::1:2:8065x", "needs brackets: [fe80::1:2]:8065x"),
            ("::1", "[::1]:8065"),
            ("[::1:8065", "not closed"),
            ("[]:8065", "not an IPv6 address"),
            ("[127.0.0.1]:80", "not an IPv6 address"),
            ("chat.example.com:80", "`chat.example.com` is a name; write an address of this machine, or :80"),
            ("*:80", "every address is written :80"),
            ("256.1.1.1:80", "`256.1.1.1` is not an IPv4 address"),
            ("1.2.3:80", "`1.2.3` is not an IPv4 address"),
            ("http://127.0.0.1:80", "it is a URL"),
        ] {
            let error = text.parse::<Listen>().map(|l| l.to_string()).map_err(|e| e.to_string());
            assert!(
                matches!(&error, Err(e) if e.contains(why) && e.contains("Allowed:")),
                "{text}: {error:?}"
            );
        }
    }

    #[test]
    fn words() {
        let words = |text: &str| text.parse::<Listen>().expect(text).words();
        assert_eq!(words(":80"), "port 80 of every address");
        assert_eq!(words("0.0.0.0:80"), "port 80 of every IPv4 address");
        assert_eq!(words("[::1]:80"), "[::1]:80");
    }
}

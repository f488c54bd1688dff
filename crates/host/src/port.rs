//! Addresses to listen on: reads them, binds them, and explains why one cannot be bound.
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::procfs;
use crate::sockets;

/// Where to listen: `ADDR:PORT`, `[ADDR]:PORT`, or `:PORT` and `PORT` for every address of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Listen {
    /// `None` is every address, including IPv6 if the machine has it.
    pub address: Option<IpAddr>,
    /// With 0 the kernel chooses.
    pub port: u16,
}

/// A process that listens on a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its id and short name; `None` if it belongs to another user and only root may see it.
    pub process: Option<(u32, String)>,
    /// Where it listens.
    pub at: SocketAddr,
}

/// Why it is not possible to listen on an address.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// The text is not an address.
    #[error(
        "{given:?} is no address to listen on ({why}); write ADDR:PORT (127.0.0.1:8065), [::1]:8065 or :8065"
    )]
    Malformed {
        /// The text.
        given: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Another process listens there.
    #[error("port {} on {} is taken by {holder}; stop it, or choose another port with --listen", listen.port, listen.place())]
    Taken {
        /// The address.
        listen: Listen,
        /// The process that listens there.
        holder: Holder,
    },
    /// The machine has no such address.
    #[error("{} is not an address of this machine; its addresses are {ours}. Choose one of them with --listen, or :{} for all", listen.place(), listen.port)]
    NotOurs {
        /// The address.
        listen: Listen,
        /// The addresses of this machine, separated by commas.
        ours: String,
    },
    /// A low port, which needs root.
    #[error("port {} needs root: run this as root, allow it with `sysctl net.ipv4.ip_unprivileged_port_start={}`, or choose a port from 1024 up with --listen", listen.port, listen.port)]
    Privileged {
        /// The address.
        listen: Listen,
    },
    /// Another error.
    #[error("cannot listen on {listen}: {source}")]
    Other {
        /// The address.
        listen: Listen,
        /// The kernel's error.
        source: io::Error,
    },
}

impl Listen {
    /// Binds it. The only way to know that an address is free is to bind it and to keep it.
    pub fn bind(&self) -> Result<TcpListener, PortError> {
        let bound = match self.address {
            Some(address) => TcpListener::bind((address, self.port)),
            // One IPv6 socket accepts both families, unless IPv6 is off.
            None => TcpListener::bind((Ipv6Addr::UNSPECIFIED, self.port)).or_else(|e| match e.kind() {
                io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied => Err(e),
                _ => TcpListener::bind((Ipv4Addr::UNSPECIFIED, self.port)),
            }),
        };
        bound.map_err(|source| self.explain(source))
    }

    /// Checks that it can be bound now.
    pub fn check(&self) -> Result<(), PortError> {
        self.bind().map(drop)
    }

    /// True when only root may bind it.
    pub fn is_privileged(&self) -> bool {
        let first_free = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start")
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(1024);
        self.port != 0 && self.port < first_free
    }

    /// The processes that listen where this address would.
    pub fn holder(&self) -> Option<Holder> {
        let hit = sockets::listening().into_iter().find(|socket| {
            socket.port == self.port
                && (socket.address.is_unspecified()
                    || self.address.is_none_or(|a| a.is_unspecified() || a == socket.address))
        })?;
        let process = sockets::holder(hit.inode)
            .map(|pid| (pid, procfs::program_name(pid).unwrap_or_else(|| "a program".into())));
        Some(Holder { process, at: SocketAddr::new(hit.address, hit.port) })
    }

    /// The address at which a client on this machine can reach it.
    pub fn reachable(&self) -> SocketAddr {
        let address = match self.address {
            None => Ipv4Addr::LOCALHOST.into(),
            Some(IpAddr::V4(a)) if a.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            Some(IpAddr::V6(a)) if a.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            Some(address) => address,
        };
        SocketAddr::new(address, self.port)
    }

    fn explain(self, source: io::Error) -> PortError {
        match source.kind() {
            io::ErrorKind::AddrInUse => match self.holder() {
                Some(holder) => PortError::Taken { listen: self, holder },
                None => PortError::Other { listen: self, source },
            },
            io::ErrorKind::AddrNotAvailable => {
                let ours: Vec<String> = sockets::own_addresses().iter().map(IpAddr::to_string).collect();
                PortError::NotOurs { listen: self, ours: ours.join(", ") }
            }
            io::ErrorKind::PermissionDenied if self.is_privileged() => PortError::Privileged { listen: self },
            _ => PortError::Other { listen: self, source },
        }
    }

    fn place(&self) -> String {
        self.address.map_or_else(|| "every address".into(), |a| a.to_string())
    }
}

impl FromStr for Listen {
    type Err = PortError;

    fn from_str(text: &str) -> Result<Self, PortError> {
        let fail = |why| PortError::Malformed { given: text.to_owned(), why };
        if text.contains("://") {
            return Err(fail("it is a URL"));
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, _)) if host.contains(':') && !host.starts_with('[') => {
                return Err(fail("an IPv6 address needs brackets"));
            }
            Some(parts) => parts,
            None => ("", text),
        };
        if port.is_empty() {
            return Err(fail("it has no port"));
        }
        if !port.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(fail("the port is not a number"));
        }
        let port = port.parse().map_err(|_| fail("the port is above 65535"))?;
        let bracketed = host.strip_prefix('[').map(|h| h.strip_suffix(']').unwrap_or(""));
        let address = match (host, bracketed) {
            ("", _) => None,
            ("localhost", _) => Some(Ipv4Addr::LOCALHOST.into()),
            (_, Some(v6)) => Some(IpAddr::V6(v6.parse().map_err(|_| fail("not an IPv6 address"))?)),
            (v4, None) => Some(IpAddr::V4(v4.parse().map_err(|_| fail("not an IP address"))?)),
        };
        Ok(Self { address, port })
    }
}

impl TryFrom<String> for Listen {
    type Error = PortError;

    fn try_from(text: String) -> Result<Self, PortError> {
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

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.process {
            Some((pid, name)) => write!(f, "{name} (pid {pid})"),
            None => write!(f, "a program of another user (`ss -ltnp` as root names it)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for (text, shown) in [
            ("127.0.0.1:8065", "127.0.0.1:8065"),
            ("localhost:80", "127.0.0.1:80"),
            (":8065", ":8065"),
            ("8065", ":8065"),
            ("[::1]:8065", "[::1]:8065"),
            ("0.0.0.0:0", "0.0.0.0:0"),
        ] {
            assert_eq!(text.parse::<Listen>().map(|l| l.to_string()).ok().as_deref(), Some(shown), "{text}");
        }
    }

    #[test]
    fn malformed_ones_say_what_is_wrong() {
        for (text, why) in [
            ("", "it has no port"),
            ("127.0.0.1:", "it has no port"),
            ("127.0.0.1", "the port is not a number"),
            (":65536", "the port is above 65535"),
            (":-1", "the port is not a number"),
            (":+1", "the port is not a number"),
            ("::1:8065", "an IPv6 address needs brackets"),
            ("[::1:8065", "not an IPv6 address"),
            ("[]:8065", "not an IPv6 address"),
            ("chat.example.com:80", "not an IP address"),
            ("http://127.0.0.1:80", "it is a URL"),
        ] {
            let error = text.parse::<Listen>().map(|l| l.to_string()).map_err(|e| e.to_string());
            assert!(matches!(&error, Err(e) if e.contains(why)), "{text}: {error:?}");
        }
    }
}

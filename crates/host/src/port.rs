//! Addresses to listen on: binds them, and explains why one cannot be bound.
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, TcpListener};

pub use listen::Listen;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use crate::procfs;
use crate::sockets;

/// Connections that may wait to be accepted; the kernel cuts it to `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

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
    /// Another process listens there.
    #[error("port {} on {} is taken by {holder}; stop it, or choose another port with --listen", listen.port, place(*listen))]
    Taken {
        /// The address.
        listen: Listen,
        /// The process that listens there.
        holder: Holder,
    },
    /// The machine has no such address.
    #[error("{} is not an address of this machine; its addresses are {ours}. Choose one of them with --listen, or :{} for all", place(*listen), listen.port)]
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

impl PortError {
    /// The process that has the address, where that is the reason and the process may be seen.
    pub fn holder(&self) -> Option<u32> {
        match self {
            Self::Taken { holder, .. } => holder.process.as_ref().map(|(pid, _)| *pid),
            _ => None,
        }
    }
}

/// Binds it. The only way to know that an address is free is to bind it and to keep it.
///
/// # Errors
/// Why it cannot be bound.
pub fn bind(listen: Listen) -> Result<TcpListener, PortError> {
    let bound = match listen.address {
        Some(address) => TcpListener::bind((address, listen.port)),
        None => every_address(listen.port, both_families),
    };
    bound.map_err(|source| explain(listen, source))
}

/// Checks that it can be bound now.
///
/// # Errors
/// Why it cannot be bound.
pub fn check(listen: Listen) -> Result<(), PortError> {
    bind(listen).map(drop)
}

/// One IPv6 socket takes connections of both families. Where IPv6 is off, an IPv4 socket has to do.
fn every_address(port: u16, both: fn(u16) -> io::Result<TcpListener>) -> io::Result<TcpListener> {
    both(port).or_else(|error| match error.kind() {
        io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied => Err(error),
        _ => TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)),
    })
}

/// The standard library leaves it to `net.ipv6.bindv6only` whether such a socket takes IPv4 connections.
fn both_families(port: u16) -> io::Result<TcpListener> {
    let socket =
        rustix::net::socket_with(AddressFamily::INET6, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_ipv6_v6only(&socket, false)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    rustix::net::bind(&socket, &SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, port, 0, 0))?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

/// True when only root may bind it.
pub fn is_privileged(listen: Listen) -> bool {
    let first_free = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(1024);
    listen.port != 0 && listen.port < first_free
}

/// The processes that listen where this address would.
pub fn holder(listen: Listen) -> Option<Holder> {
    let hit = sockets::listening().into_iter().find(|socket| {
        socket.port == listen.port
            && (socket.address.is_unspecified()
                || listen.address.is_none_or(|a| a.is_unspecified() || a == socket.address))
    })?;
    let process = sockets::holder(hit.inode)
        .map(|pid| (pid, procfs::program_name(pid).unwrap_or_else(|| "a program".into())));
    Some(Holder { process, at: SocketAddr::new(hit.address, hit.port) })
}

fn explain(listen: Listen, source: io::Error) -> PortError {
    match source.kind() {
        io::ErrorKind::AddrInUse => match holder(listen) {
            Some(holder) => PortError::Taken { listen, holder },
            None => PortError::Other { listen, source },
        },
        io::ErrorKind::AddrNotAvailable => {
            let ours: Vec<String> = sockets::own_addresses().iter().map(IpAddr::to_string).collect();
            PortError::NotOurs { listen, ours: ours.join(", ") }
        }
        io::ErrorKind::PermissionDenied if is_privileged(listen) => PortError::Privileged { listen },
        _ => PortError::Other { listen, source },
    }
}

fn place(listen: Listen) -> String {
    listen.address.map_or_else(|| "every address".into(), |address| address.to_string())
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.process {
            Some((pid, name)) => write!(f, "{name} (pid {pid})"),
            None => write!(f, "a program of another user (`ss -ltnp` as root names it)"),
        }
    }
}

/// The user whose process on this machine has made the connection from `from` to `to`; None where there is none.
pub fn user_of(from: std::net::SocketAddr, to: std::net::SocketAddr) -> Option<u32> {
    crate::sockets::user(from, to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;

    #[test]
    fn every_address_is_both_families_and_ipv4_alone_where_ipv6_is_off() {
        let off = |_| Err(io::Error::from(rustix::io::Errno::AFNOSUPPORT));
        let alone = every_address(0, off).expect("IPv4");
        let address = alone.local_addr().expect("an address");
        assert_eq!(address.ip(), IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        TcpStream::connect((Ipv4Addr::LOCALHOST, address.port())).expect("over IPv4");

        let every = bind(Listen { address: None, port: 0 }).expect("every address");
        let address = every.local_addr().expect("an address");
        TcpStream::connect((Ipv4Addr::LOCALHOST, address.port())).expect("over IPv4");
        if address.is_ipv6() {
            TcpStream::connect((Ipv6Addr::LOCALHOST, address.port())).expect("over IPv6");
        }
        assert!(matches!(
            check(Listen { address: None, port: address.port() }),
            Err(PortError::Taken { .. })
        ));
    }
}

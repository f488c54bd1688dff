//! The listening socket: binds an address, and accepts connections whatever errors come up.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use crate::local::LocalPeers;
use crate::network::Network;
use crate::transport::{ConnectionInfo, Tls};

/// Pause after a failed accept. It doubles with every further failure, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Why an edge cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    /// Another socket listens on the address.
    #[error("{address} is already in use: stop the program that listens there, or listen on another port")]
    InUse {
        /// The address to listen on.
        address: SocketAddr,
    },
    /// No network interface of this machine has the address.
    #[error("{address} is not an address of this machine: use one of its own, or 0.0.0.0 for all of them")]
    NotOurs {
        /// The address to listen on.
        address: SocketAddr,
    },
    /// The user may not listen on the port.
    #[error(
        "this user may not listen on {address}: ports below 1024 need root or CAP_NET_BIND_SERVICE; choose a higher port"
    )]
    Forbidden {
        /// The address to listen on.
        address: SocketAddr,
    },
    /// Any other error of the operating system.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address to listen on.
        address: SocketAddr,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A socket that was handed over is not a listening TCP socket.
    #[error("the socket that was handed over does not listen on a TCP address: {0}")]
    NotListening(#[source] io::Error),
    /// The threads that serve cannot be started.
    #[error("cannot start the edge's threads: {0}")]
    Workers(#[source] io::Error),
}

impl EdgeError {
    fn of(address: SocketAddr, source: io::Error) -> EdgeError {
        match source.kind() {
            io::ErrorKind::AddrInUse => EdgeError::InUse { address },
            io::ErrorKind::AddrNotAvailable => EdgeError::NotOurs { address },
            io::ErrorKind::PermissionDenied => EdgeError::Forbidden { address },
            _ => EdgeError::Listen { address, source },
        }
    }
}

/// Makes room for more connections that were made and wait to be accepted: the standard library asks for 128, and after a restart
/// everybody connects at once. The kernel cuts it to `net.core.somaxconn`.
fn deepen(socket: &StdListener) -> io::Result<()> {
    Ok(rustix::net::listen(socket, 4096)?)
}

/// A bound socket, outside any runtime.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: StdListener,
    address: SocketAddr,
}

impl Listener {
    pub(crate) fn bind(address: SocketAddr) -> Result<Listener, EdgeError> {
        let open = || {
            let socket = StdListener::bind(address)?;
            deepen(&socket)?;
            socket.set_nonblocking(true)?;
            let address = socket.local_addr()?;
            Ok(Listener { socket, address })
        };
        open().map_err(|source| EdgeError::of(address, source))
    }

    /// Takes over a socket that is already listening.
    pub(crate) fn from_std(socket: StdListener) -> Result<Listener, EdgeError> {
        let check = || {
            // On any other socket, every accept fails.
            if !rustix::net::sockopt::socket_acceptconn(&socket)? {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not in the listening state"));
            }
            deepen(&socket)?;
            socket.set_nonblocking(true)?;
            socket.local_addr()
        };
        let address = check().map_err(EdgeError::NotListening)?;
        Ok(Listener { socket, address })
    }

    /// Another descriptor of the same socket.
    pub(crate) fn try_clone(&self) -> io::Result<StdListener> {
        self.socket.try_clone()
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Accepts connections from now on, on the current runtime.
    pub(crate) fn listen(self, proxies: Proxies) -> Result<Arrivals, EdgeError> {
        let socket =
            TcpListener::from_std(self.socket).map_err(|source| EdgeError::of(self.address, source))?;
        Ok(Arrivals { socket, proxies, pause: FIRST_PAUSE })
    }
}

/// Who is a trusted proxy.
#[derive(Debug)]
pub(crate) struct Proxies {
    pub(crate) networks: Arc<[Network]>,
    /// Of these networks, on this machine.
    pub(crate) local: LocalPeers,
}

impl Proxies {
    /// The proxies that are believed on a connection: none where its other end is none of them.
    fn of(&self, peer: SocketAddr, local: SocketAddr) -> Arc<[Network]> {
        let is_named = self.networks.iter().any(|network| network.contains(peer.ip()));
        if is_named && self.local.may_be_proxy(peer, local) {
            Arc::clone(&self.networks)
        } else {
            Arc::default()
        }
    }
}

/// Connections as they arrive.
#[derive(Debug)]
pub(crate) struct Arrivals {
    socket: TcpListener,
    proxies: Proxies,
    pause: Duration,
}

impl Arrivals {
    /// The next connection. Never fails: if the process has no free descriptor, it logs that and tries again after a pause.
    pub(crate) async fn next(&mut self) -> (TcpStream, ConnectionInfo) {
        loop {
            match self.socket.accept().await {
                Ok((socket, peer)) => {
                    self.pause = FIRST_PAUSE;
                    // Answers are written in one piece; Nagle's algorithm would only delay them.
                    if let Ok(()) = socket.set_nodelay(true)
                        && let Ok(local) = socket.local_addr()
                    {
                        let trusted = self.proxies.of(peer, local);
                        return (socket, ConnectionInfo { peer, local, tls: Tls::None, trusted });
                    }
                }
                Err(error) if client_left(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, pause_ms = self.pause.as_millis(), "cannot accept connections");
                    tokio::time::sleep(self.pause).await;
                    self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }
}

/// Whether accept failed only because this client left before it was accepted. The next accept needs no pause.
fn client_left(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

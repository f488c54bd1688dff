//! From an accepted TCP connection to the stream that HTTP is read from, and what is known about that connection.
//!
//! This is the only file that knows what lies between TCP and HTTP. TLS that the edge ends itself is one more
//! [`Transport`]: requests, headers and websockets see its stream and its [`ConnectionInfo`], nothing else.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::network::Network;

/// What is known about a connection before its first request.
#[derive(Debug, Clone)]
pub struct ConnectionInfo {
    /// Address of the client, or of the proxy that connects for it.
    pub peer: SocketAddr,
    /// Address of this machine that it connected to.
    pub local: SocketAddr,
    /// Where the client's TLS ends.
    pub tls: Tls,
    /// Proxies whose forwarding headers are believed.
    pub trusted: Arc<[Network]>,
}

/// Where the TLS of a connection ends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Tls {
    /// There is none: the client speaks plain HTTP.
    #[default]
    None,
    /// In front of the edge: something that holds the certificate decrypts, and passes plain HTTP on.
    InFront,
    /// In the edge.
    Here {
        /// The host that the client asked for (SNI).
        server_name: Option<String>,
    },
}

impl Tls {
    /// The scheme of the URL that the client used.
    pub(crate) fn scheme(&self) -> &'static str {
        match self {
            Tls::None => "http",
            Tls::InFront | Tls::Here { .. } => "https",
        }
    }
}

/// Turns accepted sockets into streams of HTTP.
///
/// It is cloned for every connection, so a clone should be cheap.
pub trait Transport: Clone + Send + Sync + 'static {
    /// The stream that HTTP is read from and written to.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Does what comes before HTTP, such as a TLS handshake, and completes `info` with what that revealed.
    ///
    /// The edge ends a handshake after [`Limits::headers_timeout`](crate::Limits::headers_timeout), and when it drains.
    /// An error closes the connection; it goes to the log at debug level.
    fn accept(
        &self,
        socket: TcpStream,
        info: ConnectionInfo,
    ) -> impl Future<Output = io::Result<(Self::Stream, ConnectionInfo)>> + Send;
}

/// HTTP directly over TCP.
#[derive(Debug, Clone, Default)]
pub struct Plain {
    tls: Tls,
}

impl Plain {
    /// For clients that connect with plain HTTP.
    pub fn http() -> Plain {
        Plain { tls: Tls::None }
    }

    /// For clients of a load balancer that ends TLS and connects with plain HTTP.
    pub fn behind_tls() -> Plain {
        Plain { tls: Tls::InFront }
    }
}

impl Transport for Plain {
    type Stream = TcpStream;

    async fn accept(
        &self,
        socket: TcpStream,
        mut info: ConnectionInfo,
    ) -> io::Result<(TcpStream, ConnectionInfo)> {
        info.tls = self.tls.clone();
        Ok((socket, info))
    }
}

//! How the upstream is reached: by TCP, or over a Unix socket.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::str::FromStr;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// How long to wait when the queue of a Unix socket is full. The system reports that at once, where TCP waits by itself.
const FULL_QUEUE: Duration = Duration::from_millis(10);

/// Where the upstream listens.
///
/// Everybody on the machine reaches a TCP address, and can claim there to be the edge. A Unix socket reaches only who may enter its
/// directory, so the upstream can believe what the edge says about the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamAddress {
    /// An address, normally on loopback.
    Tcp(SocketAddr),
    /// The absolute path of a socket.
    Unix(PathBuf),
}

/// The text is not an [`UpstreamAddress`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not where a server listens: write ADDRESS:PORT, or the absolute path of a Unix socket")]
pub struct UpstreamAddressError {
    text: String,
}

impl From<SocketAddr> for UpstreamAddress {
    fn from(address: SocketAddr) -> UpstreamAddress {
        UpstreamAddress::Tcp(address)
    }
}

impl From<PathBuf> for UpstreamAddress {
    fn from(path: PathBuf) -> UpstreamAddress {
        UpstreamAddress::Unix(path)
    }
}

impl FromStr for UpstreamAddress {
    type Err = UpstreamAddressError;

    fn from_str(text: &str) -> Result<UpstreamAddress, UpstreamAddressError> {
        match text.strip_prefix('/') {
            Some(_) => Ok(UpstreamAddress::Unix(text.into())),
            None => {
                let address = text.parse().map_err(|_| UpstreamAddressError { text: text.to_owned() })?;
                Ok(UpstreamAddress::Tcp(address))
            }
        }
    }
}

impl fmt::Display for UpstreamAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UpstreamAddress::Tcp(address) => address.fmt(f),
            UpstreamAddress::Unix(path) => path.display().fmt(f),
        }
    }
}

/// One connection to the upstream.
#[derive(Debug)]
pub(crate) enum UpstreamSocket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl UpstreamSocket {
    pub(crate) async fn connect(address: &UpstreamAddress) -> io::Result<UpstreamSocket> {
        match address {
            UpstreamAddress::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Ok(UpstreamSocket::Tcp(stream))
            }
            UpstreamAddress::Unix(path) => loop {
                match UnixStream::connect(path).await {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        tokio::time::sleep(FULL_QUEUE).await;
                    }
                    connected => return connected.map(UpstreamSocket::Unix),
                }
            },
        }
    }
}

/// Calls the same method of whichever stream it is.
macro_rules! on_stream {
    ($socket:expr, $stream:ident => $call:expr) => {
        match $socket {
            UpstreamSocket::Tcp($stream) => $call,
            UpstreamSocket::Unix($stream) => $call,
        }
    };
}

impl AsyncRead for UpstreamSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        on_stream!(&mut *self, stream => Pin::new(stream).poll_read(cx, into))
    }
}

impl AsyncWrite for UpstreamSocket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        on_stream!(&mut *self, stream => Pin::new(stream).poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on_stream!(&mut *self, stream => Pin::new(stream).poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        on_stream!(self, stream => stream.is_write_vectored())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(&mut *self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(&mut *self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_it_is_written() {
        for text in ["127.0.0.1:18065", "[::1]:8065", "/run/chat/http.sock"] {
            assert_eq!(text.parse::<UpstreamAddress>().unwrap().to_string(), text);
        }
        for wrong in ["", "localhost", "run/http.sock", "8065"] {
            assert!(wrong.parse::<UpstreamAddress>().unwrap_err().to_string().contains(wrong));
        }
    }
}

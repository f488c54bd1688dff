//! Accepts connections and serves HTTP/1.1 on them until the server stops.

use std::io;
use std::os::fd::AsFd;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::bounds::SEND_BUFFER;
use crate::failure::ServerError;
use crate::peer::Peer;

/// How long running requests may still take once the server has to stop.
pub(crate) const GRACE: Duration = Duration::from_secs(10);

/// How long a client may take to send a request's head, and how long a connection may be idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);

/// The largest head that is read, and the buffer of a connection, in bytes: what the edge passes on, 64 KiB, with the headers that
/// it adds. A buffer grows only as far as it is needed, so thousands of idle connections take little.
pub const HEAD_BYTES: usize = 68 << 10;

/// Header lines that are read: the 100 that the edge passes on, and those that it adds.
pub const HEAD_LINES: usize = 108;

/// A socket that accepts connections.
pub(crate) trait Listener {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    async fn accept(&self) -> io::Result<(Self::Stream, Peer)>;
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<(TcpStream, Peer)> {
        let (stream, address) = TcpListener::accept(self).await?;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY was not set");
        }
        bound_send_buffer(&stream);
        Ok((stream, Peer::Network(address.ip().to_canonical())))
    }
}

/// The socket on which the edge connects.
pub(crate) struct EdgeSocket(pub(crate) UnixListener);

impl Listener for EdgeSocket {
    type Stream = UnixStream;

    async fn accept(&self) -> io::Result<(UnixStream, Peer)> {
        let (stream, _) = self.0.accept().await?;
        bound_send_buffer(&stream);
        Ok((stream, Peer::Edge))
    }
}

/// The socket of the local channel.
pub(crate) struct LocalSocket(pub(crate) UnixListener);

impl Listener for LocalSocket {
    type Stream = UnixStream;

    async fn accept(&self) -> io::Result<(UnixStream, Peer)> {
        let (stream, _) = self.0.accept().await?;
        Ok((stream, Peer::LocalChannel))
    }
}

/// The system's own bound is several megabytes for each slow reader, and a thousand of them would exhaust its memory.
fn bound_send_buffer(stream: &impl AsFd) {
    if let Err(error) = rustix::net::sockopt::set_socket_send_buffer_size(stream, SEND_BUFFER) {
        tracing::debug!(%error, "the size of the send buffer was not set");
    }
}

/// Serves `router` on `listener` until `stop` is cancelled.
pub(crate) async fn run(
    listener: impl Listener,
    router: Router,
    stop: CancellationToken,
) -> Result<(), ServerError> {
    let connections = TaskTracker::new();
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(HEAD_LINES)
        .max_header_size(HEAD_BYTES)
        .max_buf_size(HEAD_BYTES);
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) if is_temporary(&error) => {
                    // Probably too many open files: wait until some connection ends.
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
                Err(error) => return Err(ServerError::Listener(error)),
            },
            () = stop.cancelled() => break,
        };
        connections.spawn(serve(stream, peer, server.clone(), router.clone(), stop.clone()));
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(GRACE, connections.wait()).await.is_err() {
        tracing::warn!("some requests did not end in time and were cut off");
    }
    Ok(())
}

/// Serves one connection. After `stop` is cancelled, only finishes the running request.
async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    peer: Peer,
    server: http1::Builder,
    router: Router,
    stop: CancellationToken,
) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        router.call(request)
    });
    let mut connection = pin!(server.serve_connection(TokioIo::new(stream), service).with_upgrades());
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // Invalid data, a reset or a timeout: not a fault of the server.
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Whether the same listener may accept connections again later.
fn is_temporary(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, NotConnected};
    !matches!(error.kind(), InvalidInput | NotConnected)
}

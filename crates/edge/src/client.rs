//! One client connection, from its first byte to its end.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

use crate::counters::Counted;
use crate::inactivity::InactivityTimer;
use crate::limits::Limits;
use crate::peer::Peer;
use crate::service;
use crate::shared::Shared;
use crate::transport::{ConnectionInfo, Transport};

/// The smallest read buffer that hyper accepts.
const LEAST_HEADER_BYTES: usize = 8192;

/// How long a client that has connected and asked for nothing yet may go on when the edge drains. Its first request is
/// most likely on the way, and would fail if the connection were closed at once.
const FIRST_REQUEST: Duration = Duration::from_millis(500);

/// Serves requests on `socket` until the client disconnects, breaks the protocol or a limit, or the edge drains.
pub(crate) async fn serve<T: Transport>(
    transport: T,
    socket: TcpStream,
    info: ConnectionInfo,
    counted: Counted,
    shared: Arc<Shared>,
) {
    let Some((stream, info)) = handshake(transport, socket, info, &shared).await else {
        return;
    };
    tracing::trace!(?info, "connected");
    let peer = Arc::new(Peer::new(&info, counted));
    let stream = TimedWrites { stream, inactivity: InactivityTimer::new(shared.limits.body_idle_timeout) };
    let has_request = AtomicBool::new(false);
    let service = service_fn(|request| {
        has_request.store(true, Relaxed);
        async { Ok::<_, std::convert::Infallible>(service::answer(request, &peer, &shared).await) }
    });
    let mut connection =
        pin!(protocol(&shared.limits).serve_connection(TokioIo::new(stream), service).with_upgrades());
    let ended = match shared.drain.run_until_cancelled(connection.as_mut()).await {
        Some(ended) => ended,
        None => {
            let mut first_request = pin!(tokio::time::sleep(FIRST_REQUEST));
            let mut is_last = false;
            poll_fn(|cx| {
                let ended = connection.as_mut().poll(cx);
                if ended.is_ready() || is_last {
                    return ended;
                }
                if !has_request.load(Relaxed) {
                    ready!(first_request.as_mut().poll(cx));
                }
                is_last = true;
                connection.as_mut().graceful_shutdown();
                connection.as_mut().poll(cx)
            })
            .await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}

/// The stream to read HTTP from. None if the handshake failed, took too long, or did not end when the edge drained.
async fn handshake<T: Transport>(
    transport: T,
    socket: TcpStream,
    info: ConnectionInfo,
    shared: &Shared,
) -> Option<(T::Stream, ConnectionInfo)> {
    let mut accepting =
        pin!(tokio::time::timeout(shared.limits.headers_timeout, transport.accept(socket, info)));
    let outcome = match shared.drain.run_until_cancelled(accepting.as_mut()).await {
        Some(outcome) => outcome,
        None => tokio::time::timeout(FIRST_REQUEST, accepting).await.ok()?,
    };
    match outcome {
        Ok(Ok(accepted)) => Some(accepted),
        Ok(Err(error)) => {
            tracing::debug!(%error, "the handshake failed");
            None
        }
        Err(_) => {
            tracing::debug!("the handshake took too long");
            None
        }
    }
}

fn protocol(limits: &Limits) -> http1::Builder {
    let header_bytes = limits.header_bytes.max(LEAST_HEADER_BYTES);
    let mut protocol = http1::Builder::new();
    protocol
        .timer(TokioTimer::new())
        .header_read_timeout(limits.headers_timeout)
        .max_header_size(header_bytes)
        .max_buf_size(header_bytes);
    protocol
}

/// Tells a client that the edge is full, and waits until it has read that. If the socket were closed at once, with the
/// request unread, the client's kernel would throw the answer away.
pub(crate) async fn turn_away<T: Transport>(
    transport: T,
    socket: TcpStream,
    info: ConnectionInfo,
) -> io::Result<()> {
    let (mut stream, _) = transport.accept(socket, info).await?;
    stream
        .write_all(
            b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nRetry-After: 2\r\n\
              Content-Length: 52\r\nConnection: close\r\n\r\nThere are too many open connections. Try again soon.",
        )
        .await?;
    stream.shutdown().await?;
    let mut unread = [0; 1024];
    while stream.read(&mut unread).await? > 0 {}
    Ok(())
}

/// A stream whose writes fail when the client reads nothing for too long.
#[derive(Debug)]
struct TimedWrites<S> {
    stream: S,
    inactivity: InactivityTimer,
}

impl<S: Unpin> TimedWrites<S> {
    fn time<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let written = write(Pin::new(&mut self.stream), cx);
        if written.is_ready() {
            self.inactivity.reset();
            return written;
        }
        ready!(self.inactivity.poll_expired(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TimedWrites<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TimedWrites<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.time(cx, |stream, cx| stream.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.time(cx, |stream, cx| stream.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.time(cx, |stream, cx| stream.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.time(cx, |stream, cx| stream.poll_shutdown(cx))
    }
}

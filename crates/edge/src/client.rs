//! One client connection, from its first byte to its end.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::ready;
use std::time::Duration;

use http::StatusCode;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::addresses::Seat;
use crate::client_stream::{self, ClientStream};
use crate::counters::Counted;
use crate::limits::Limits;
use crate::overload::Crowd;
use crate::patience::Patience;
use crate::peer::Peer;
use crate::service;
use crate::shared::Shared;
use crate::transport::{ConnectionInfo, Transport};

/// How long a client that has connected and asked for nothing yet may go on when the edge drains. Its first request is
/// most likely on the way, and would fail if the connection were closed at once.
const FIRST_REQUEST: Duration = Duration::from_millis(500);

/// How long a client may send nothing while the rest of its request is received and dropped.
const LINGER_QUIET: Duration = Duration::from_secs(5);

/// Serves requests on `socket` until the client disconnects, breaks the protocol or a limit, or the edge drains.
pub(crate) async fn serve<T: Transport>(
    transport: T,
    socket: TcpStream,
    info: ConnectionInfo,
    counted: Counted,
    seat: Option<Seat>,
    shared: Arc<Shared>,
) {
    let Some((stream, info)) = handshake(transport, socket, info, &shared).await else {
        return;
    };
    tracing::trace!(?info, "connected");
    let peer = Arc::new(Peer::new(&info, counted, seat));
    let limits = &shared.limits;
    let patience = Patience::new(limits.download_pause, limits.least_rate, Duration::MAX);
    let (stream, returned) = ClientStream::new(stream, patience);
    let ended = speak(stream, &peer, &shared).await;
    let mut lingers = peer.has_unread();
    if let Err(error) = &ended {
        tracing::debug!(%error, "connection ended");
        if error.is_parse() {
            let status = if error.is_parse_too_large() {
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
            } else {
                StatusCode::BAD_REQUEST
            };
            shared.book.note_unread(info.peer.ip(), status);
            lingers = true;
        }
    }
    if lingers && let Some(stream) = client_stream::take_back(&returned) {
        linger(stream, &shared).await;
    }
}

/// Speaks HTTP on the stream to its end, and drops it.
async fn speak<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: ClientStream<S>,
    peer: &Arc<Peer>,
    shared: &Arc<Shared>,
) -> hyper::Result<()> {
    let has_request = AtomicBool::new(false);
    let service = service_fn(|request| {
        has_request.store(true, Relaxed);
        // hyper keeps room for this future while a connection is idle: boxed, it takes less.
        Box::pin(service::answer(request, peer, shared))
    });
    let mut connection =
        pin!(protocol(&shared.limits).serve_connection(TokioIo::new(stream), service).with_upgrades());
    match shared.drain.run_until_cancelled(connection.as_mut()).await {
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
    }
}

/// Receives and drops what the client still sends after its answer. If the connection were closed with that unread, the client's
/// kernel would throw the answer away.
async fn linger<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, shared: &Shared) {
    let dropping = async {
        // The client learns that the answer is over.
        stream.shutdown().await?;
        let mut unread = vec![0; 16 * 1024];
        while tokio::time::timeout(LINGER_QUIET, stream.read(&mut unread)).await?? > 0 {}
        io::Result::Ok(())
    };
    let mut dropping = pin!(tokio::time::timeout(shared.limits.linger, dropping));
    if shared.drain.run_until_cancelled(dropping.as_mut()).await.is_none() {
        let _ = tokio::time::timeout(FIRST_REQUEST, dropping).await;
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
    let mut protocol = http1::Builder::new();
    protocol
        .timer(TokioTimer::new())
        .header_read_timeout(limits.headers_timeout)
        .max_header_size(limits.head_bytes())
        .max_buf_size(limits.head_bytes());
    protocol
}

/// Tells a client that there are too many connections, and waits until it has read that. If the socket were closed at once, with
/// the request unread, the client's kernel would throw the answer away.
pub(crate) async fn turn_away<T: Transport>(
    transport: T,
    socket: TcpStream,
    info: ConnectionInfo,
    crowd: Crowd,
) -> io::Result<()> {
    let (mut stream, _) = transport.accept(socket, info).await?;
    stream.write_all(crowd.response().as_bytes()).await?;
    stream.shutdown().await?;
    let mut unread = [0; 1024];
    while stream.read(&mut unread).await? > 0 {}
    Ok(())
}

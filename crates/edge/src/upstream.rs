//! Connections to the upstream: a stack of idle ones, lent to one request at a time.
//!
//! A lent connection is driven by the task of the request that borrowed it, not by a task of its own, so a request costs
//! no task switch. Nothing drives an idle one: whether the upstream has closed it shows when it is lent again. The
//! connection that was used last is lent first, so that those not needed grow old and are closed.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;

use crate::inactivity::{End, WatchfulTimer};
use crate::limits::Limits;
use crate::outage::Outage;
use crate::silence::{LOOK, Silence};
use crate::upload::{Fault, Upload};
use crate::upstream_socket::{UpstreamAddress, UpstreamSocket};
use crate::upstream_stream::UpstreamStream;

/// Less than the 60 s after which Mattermost closes an idle connection, so that a request rarely gets one that is closed.
const LONGEST_IDLE: Duration = Duration::from_secs(30);

/// Idle connections that a worker keeps, at most.
const MOST_IDLE: usize = 64;

/// The upstream and the idle connections to it.
#[derive(Debug)]
pub(crate) struct Upstream {
    address: UpstreamAddress,
    connect_timeout: Duration,
    response_timeout: Duration,
    head_bytes: usize,
    silence: Arc<Silence>,
    idle: Mutex<VecDeque<Idle>>,
    /// Whether the last attempt to connect failed.
    unreachable: AtomicBool,
}

#[derive(Debug)]
struct Idle {
    connection: Box<Connection>,
    since: Instant,
}

/// One connection. hyper splits it in two: a sender of requests, and a driver that must be polled for bytes to move.
#[derive(Debug)]
struct Connection {
    sender: SendRequest<Upload>,
    /// Dropped when it has ended, which is how hyper tells the receiver of an answer that none will come.
    driver: Option<http1::Connection<TokioIo<UpstreamStream>, Upload>>,
    /// The driver has finished and must not be polled again.
    ended: bool,
    inactivity: WatchfulTimer,
}

impl Upstream {
    pub(crate) fn new(address: UpstreamAddress, limits: &Limits, silence: Arc<Silence>) -> Arc<Upstream> {
        Arc::new(Upstream {
            address,
            connect_timeout: limits.upstream_connect_timeout,
            response_timeout: limits.upstream_response_timeout,
            head_bytes: limits.head_bytes(),
            silence,
            idle: Mutex::default(),
            unreachable: AtomicBool::new(false),
        })
    }

    pub(crate) fn address(&self) -> &UpstreamAddress {
        &self.address
    }

    /// A connection for one request: an idle one, or a new one.
    pub(crate) async fn lease(self: &Arc<Self>) -> Result<Lease, Outage> {
        let (connection, reused) = match self.take_idle() {
            Some(connection) => (connection, true),
            // Rare, and a large future: boxed, that of a request stays small.
            None => (Box::new(Box::pin(self.connect()).await?), false),
        };
        Ok(Lease { connection, reused, upstream: Arc::clone(self) })
    }

    fn take_idle(&self) -> Option<Box<Connection>> {
        loop {
            let Idle { mut connection, since } = self.idle().pop_back()?;
            if since.elapsed() > LONGEST_IDLE {
                // All others are older.
                self.idle().clear();
                return None;
            }
            if connection.is_reusable() {
                return Some(connection);
            }
        }
    }

    fn keep_idle(&self, connection: Box<Connection>) {
        let since = Instant::now();
        let mut idle = self.idle();
        if idle.front().is_some_and(|oldest| {
            idle.len() == MOST_IDLE || since.duration_since(oldest.since) > LONGEST_IDLE
        }) {
            idle.pop_front();
        }
        idle.push_back(Idle { connection, since });
    }

    fn idle(&self) -> MutexGuard<'_, VecDeque<Idle>> {
        // No code that holds the lock leaves the list half changed, so a panic elsewhere does not spoil it.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self) -> Result<Connection, Outage> {
        let connecting = tokio::time::timeout(self.connect_timeout, UpstreamSocket::connect(&self.address));
        let stream = tokio::select! {
            biased;
            connected = connecting => connected.unwrap_or_else(|late| Err(io::Error::from(late))),
            // It takes no connections any more, either.
            () = self.silence.begins() => return Err(Outage::Silent),
        };
        self.log_change(stream.as_ref().err());
        let stream = stream.map_err(Outage::Unreachable)?;
        let stream = TokioIo::new(UpstreamStream::new(stream));
        let mut protocol = http1::Builder::new();
        protocol.max_header_size(self.head_bytes);
        let (sender, driver) = protocol.handshake(stream).await.map_err(Outage::Broken)?;
        Ok(Connection {
            sender,
            driver: Some(driver),
            ended: false,
            inactivity: WatchfulTimer::new(self.response_timeout, LOOK),
        })
    }

    /// Logs when the upstream becomes unreachable or reachable, not each request that fails meanwhile.
    fn log_change(&self, error: Option<&io::Error>) {
        let was_unreachable = self.unreachable.swap(error.is_some(), Relaxed);
        match error {
            Some(error) if !was_unreachable => {
                tracing::warn!(upstream = %self.address, %error, "the server cannot be reached");
            }
            None if was_unreachable => {
                tracing::info!(upstream = %self.address, "the server can be reached again");
            }
            _ => {}
        }
    }
}

impl Connection {
    /// Moves bytes in both directions as far as possible without waiting.
    fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(driver) = &mut self.driver
            && !self.ended
        {
            // Whoever waits for the answer or its body gets the error.
            self.ended = driver.poll_without_shutdown(cx).is_ready();
        }
    }

    /// Drops a driver that has finished; whether there was one.
    fn drop_ended_driver(&mut self) -> bool {
        self.ended && self.driver.take().is_some()
    }

    fn is_reusable(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop()));
        !self.ended && self.sender.is_ready()
    }
}

/// A connection lent to one request.
#[derive(Debug)]
pub(crate) struct Lease {
    connection: Box<Connection>,
    reused: bool,
    upstream: Arc<Upstream>,
}

/// Why a request got no answer.
#[derive(Debug)]
pub(crate) enum SendError {
    /// An idle connection turned out to be closed before anything was written. The request can be sent again.
    NotSent(Box<Request<Upload>>),
    /// The client did not send its whole body.
    Upload(Fault),
    /// The upstream failed.
    Outage(Outage),
}

impl Lease {
    /// Sends a request and waits for the head of its answer. The body is still sent while the answer is read.
    pub(crate) fn send(
        &mut self,
        request: Box<Request<Upload>>,
    ) -> impl Future<Output = Result<Response<Incoming>, SendError>> {
        let upload = request.body().progress();
        let reused = self.reused;
        let silence = &*self.upstream.silence;
        let connection = &mut *self.connection;
        connection.inactivity.reset();
        let mut answer = Box::pin(connection.sender.try_send_request(*request));
        async move {
            let outcome = poll_fn(|cx| {
                // Only `drive` produces the answer, so it needs no waker of its own.
                let mut no_waker = Context::from_waker(Waker::noop());
                let mut driven = false;
                loop {
                    match answer.as_mut().poll(&mut no_waker) {
                        Poll::Ready(outcome) => return Poll::Ready(Ok(outcome)),
                        Poll::Pending if connection.drop_ended_driver() => {}
                        Poll::Pending if driven => break,
                        Poll::Pending => {
                            connection.drive(cx);
                            driven = true;
                        }
                    }
                }
                if upload.as_ref().is_some_and(|upload| upload.take_moved()) {
                    connection.inactivity.reset();
                }
                connection.inactivity.poll_ended(cx, || silence.is_silent()).map(Err)
            })
            .await;

            let outcome = match outcome {
                Ok(outcome) => outcome,
                Err(End::Expired) => return Err(SendError::Outage(Outage::TimedOut)),
                Err(End::InVain) => return Err(SendError::Outage(Outage::FellSilent)),
            };
            connection.inactivity.reset();
            outcome.map_err(|mut failed| match failed.take_message() {
                Some(request) if reused => SendError::NotSent(Box::new(request)),
                _ => match upload.and_then(|upload| upload.fault()) {
                    Some(fault) => SendError::Upload(fault),
                    None => SendError::Outage(Outage::Broken(failed.into_error())),
                },
            })
        }
    }

    /// The next bytes of the body of an answer that came over this connection.
    pub(crate) fn poll_data(
        &mut self,
        incoming: &mut Incoming,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, AnswerError>>> {
        let connection = &mut *self.connection;
        let mut no_waker = Context::from_waker(Waker::noop());
        let mut driven = false;
        loop {
            match Pin::new(&mut *incoming).poll_frame(&mut no_waker) {
                Poll::Ready(Some(Ok(frame))) => {
                    connection.inactivity.reset();
                    // Frames other than data are trailers, which are dropped.
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(AnswerError::Broken(error)))),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending if connection.drop_ended_driver() => {}
                Poll::Pending if driven => {
                    // An answer that has begun may go on, also after a silence.
                    ready!(connection.inactivity.poll_ended(cx, || false));
                    return Poll::Ready(Some(Err(AnswerError::TimedOut)));
                }
                Poll::Pending => {
                    connection.drive(cx);
                    driven = true;
                }
            }
        }
    }

    /// Gives the connection back after its answer has been read to the end. If the request's body is still being sent,
    /// no other request can use it, and it is closed.
    pub(crate) fn release(mut self) {
        // The poll that read the last byte has usually made the connection ready for the next request already.
        let connection = &mut self.connection;
        if (!connection.ended && connection.sender.is_ready()) || connection.is_reusable() {
            self.upstream.keep_idle(self.connection);
        }
    }

    /// The stream after a 101, and what has been read from it beyond that.
    pub(crate) async fn into_stream(mut self) -> Option<(UpstreamSocket, Bytes)> {
        poll_fn(|cx| {
            self.connection.drive(cx);
            if self.connection.ended { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        let parts = self.connection.driver?.into_parts();
        Some((parts.io.into_inner().into_inner(), parts.read_buf))
    }
}

/// Why the body of an answer ended early. The head has been sent by then, so all the client can be given is a connection
/// that breaks.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnswerError {
    /// The upstream closed the connection.
    #[error("the server broke the connection in the middle of its answer: {0}")]
    Broken(#[source] hyper::Error),
    /// The upstream stopped sending.
    #[error("the server stopped sending in the middle of its answer")]
    TimedOut,
}

//! Connections to the upstream: a stack of idle ones, lent to one request at a time.
//!
//! A lent connection is driven by the task of the request that borrowed it, not by one of its own, so relaying a request
//! needs no task switch. An idle one is driven by nobody; whether the upstream closed it meanwhile is asked when it is
//! lent again. The last one used is lent first, so that the others can age out.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::body::Upload;
use crate::limits::Limits;
use crate::outage::Outage;
use crate::patience::Patience;

/// Shorter than the 60 s after which Mattermost closes an idle connection, so that a request seldom meets one just closed.
const LONGEST_IDLE: Duration = Duration::from_secs(30);

/// Idle connections a worker keeps, at most.
const MOST_IDLE: usize = 64;

/// The upstream and the idle connections to it.
#[derive(Debug)]
pub(crate) struct Upstream {
    address: SocketAddr,
    connect_timeout: Duration,
    response_timeout: Duration,
    idle: Mutex<VecDeque<Idle>>,
    away: AtomicBool,
}

#[derive(Debug)]
struct Idle {
    link: Box<Link>,
    since: Instant,
}

#[derive(Debug)]
struct Link {
    sender: SendRequest<Upload>,
    connection: Option<Connection<TokioIo<TcpStream>, Upload>>,
    /// The connection has nothing more to do and must not be polled again.
    ended: bool,
    patience: Patience,
}

impl Upstream {
    pub(crate) fn new(address: SocketAddr, limits: &Limits) -> Arc<Upstream> {
        Arc::new(Upstream {
            address,
            connect_timeout: limits.upstream_connect_timeout,
            response_timeout: limits.upstream_response_timeout,
            idle: Mutex::default(),
            away: AtomicBool::new(false),
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A connection for one request: an idle one, or a new one.
    pub(crate) async fn lease(self: &Arc<Self>) -> Result<Lease, Outage> {
        let (link, reused) = match self.take_idle() {
            Some(link) => (link, true),
            None => (Box::new(self.connect().await?), false),
        };
        Ok(Lease { link, reused, home: Arc::clone(self) })
    }

    fn take_idle(&self) -> Option<Box<Link>> {
        loop {
            let Idle { mut link, since } = self.idle().pop_back()?;
            if since.elapsed() > LONGEST_IDLE {
                // All below it are older.
                self.idle().clear();
                return None;
            }
            if link.is_reusable() {
                return Some(link);
            }
        }
    }

    fn keep_idle(&self, link: Box<Link>) {
        let since = Instant::now();
        let mut idle = self.idle();
        if idle.front().is_some_and(|oldest| {
            idle.len() == MOST_IDLE || since.duration_since(oldest.since) > LONGEST_IDLE
        }) {
            idle.pop_front();
        }
        idle.push_back(Idle { link, since });
    }

    fn idle(&self) -> MutexGuard<'_, VecDeque<Idle>> {
        // Whole at every moment, so a panic elsewhere leaves it sound.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self) -> Result<Link, Outage> {
        let connecting = async {
            let stream = TcpStream::connect(self.address).await?;
            stream.set_nodelay(true)?;
            Ok(stream)
        };
        let stream = tokio::time::timeout(self.connect_timeout, connecting)
            .await
            .unwrap_or_else(|late| Err(io::Error::from(late)));
        self.note(stream.as_ref().err());
        let stream = stream.map_err(Outage::Away)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(Outage::Broken)?;
        Ok(Link {
            sender,
            connection: Some(connection),
            ended: false,
            patience: Patience::new(self.response_timeout),
        })
    }

    /// Logs when the upstream goes and comes, not every request that finds it gone.
    fn note(&self, error: Option<&io::Error>) {
        let was_away = self.away.swap(error.is_some(), Relaxed);
        match error {
            Some(error) if !was_away => {
                tracing::warn!(upstream = %self.address, %error, "the server is away");
            }
            None if was_away => tracing::info!(upstream = %self.address, "the server is back"),
            _ => {}
        }
    }
}

impl Link {
    /// Moves bytes both ways as far as they go.
    fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(connection) = &mut self.connection
            && !self.ended
        {
            // Its error is told to whoever waits for the answer or the body.
            self.ended = connection.poll_without_shutdown(cx).is_ready();
        }
    }

    fn is_reusable(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop()));
        !self.ended && self.sender.is_ready()
    }
}

/// A connection lent to one request.
#[derive(Debug)]
pub(crate) struct Lease {
    link: Box<Link>,
    reused: bool,
    home: Arc<Upstream>,
}

/// Why a request got no answer.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// An idle connection was closed before anything was written: the request is unharmed.
    Unsent(Box<Request<Upload>>),
    /// The client did not finish its body.
    Unfinished,
    /// The upstream failed.
    Outage(Outage),
}

impl Lease {
    /// Sends a request and waits for the head of its answer. Sending the body goes on while the answer is read.
    pub(crate) async fn send(&mut self, request: Request<Upload>) -> Result<Response<Incoming>, Unanswered> {
        let flow = request.body().flow();
        let reused = self.reused;
        let link = &mut *self.link;
        link.patience.progressed();
        let mut answer = pin!(link.sender.try_send_request(request));

        let outcome = poll_fn(|cx| {
            // The answer only ever comes out of `drive`, so it needs no waker of its own.
            let mut unwoken = Context::from_waker(Waker::noop());
            let mut driven = false;
            loop {
                match answer.as_mut().poll(&mut unwoken) {
                    Poll::Ready(outcome) => return Poll::Ready(Some(outcome)),
                    // Dropping the connection is what tells the answer that none will come.
                    Poll::Pending if link.ended && link.connection.take().is_some() => {}
                    Poll::Pending if driven => break,
                    Poll::Pending => {
                        link.drive(cx);
                        driven = true;
                    }
                }
            }
            if flow.as_ref().is_some_and(|flow| flow.moved()) {
                link.patience.progressed();
            }
            link.patience.poll_exhausted(cx).map(|()| None)
        })
        .await;

        let Some(outcome) = outcome else {
            return Err(Unanswered::Outage(Outage::Late));
        };
        link.patience.progressed();
        outcome.map_err(|mut failed| match failed.take_message() {
            Some(request) if reused => Unanswered::Unsent(Box::new(request)),
            _ if flow.is_some_and(|flow| flow.broke_off()) => Unanswered::Unfinished,
            _ => Unanswered::Outage(Outage::Broken(failed.into_error())),
        })
    }

    /// The next piece of an answer that came over this connection.
    pub(crate) fn poll_piece(
        &mut self,
        incoming: &mut Incoming,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Broken>>> {
        let mut unwoken = Context::from_waker(Waker::noop());
        let mut driven = false;
        loop {
            match Pin::new(&mut *incoming).poll_frame(&mut unwoken) {
                Poll::Ready(Some(Ok(frame))) => {
                    self.link.patience.progressed();
                    // What is not data is trailers: dropped.
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(Broken::Off(error)))),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending if self.link.ended && self.link.connection.take().is_some() => {}
                Poll::Pending if driven => {
                    ready!(self.link.patience.poll_exhausted(cx));
                    return Poll::Ready(Some(Err(Broken::Late)));
                }
                Poll::Pending => {
                    self.link.drive(cx);
                    driven = true;
                }
            }
        }
    }

    /// Gives the connection back once its answer has been read to the end. If the request's body is still being sent
    /// it is of no use to others, and closed.
    pub(crate) fn release(mut self) {
        // What read the last byte has usually gone on to wait for a request already.
        let link = &mut self.link;
        if (!link.ended && link.sender.is_ready()) || link.is_reusable() {
            self.home.keep_idle(self.link);
        }
    }

    /// The bare stream after a 101, with what was already read of it.
    pub(crate) async fn into_stream(mut self) -> Option<(TcpStream, Bytes)> {
        poll_fn(|cx| {
            self.link.drive(cx);
            if self.link.ended { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        let parts = self.link.connection?.into_parts();
        Some((parts.io.into_inner(), parts.read_buf))
    }
}

/// Why an answer's body ended early. The client sees its connection break, which is the only way left to tell it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// The upstream broke off.
    #[error("the server broke off inside its answer: {0}")]
    Off(#[source] hyper::Error),
    /// The upstream fell silent.
    #[error("the server fell silent inside its answer")]
    Late,
}

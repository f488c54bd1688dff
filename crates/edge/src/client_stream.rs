//! The stream of one client connection, as hyper gets it.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::patience::Patience;

/// A stream whose writes fail when the client reads too slowly. When it is dropped, the stream inside goes back to whoever made it:
/// hyper keeps what it gets to itself, and a connection must not be closed before the client has read its answer.
#[derive(Debug)]
pub(crate) struct ClientStream<S> {
    /// None while it is being dropped.
    stream: Option<S>,
    patience: Patience,
    returned: Returned<S>,
}

/// Where the stream goes when hyper has ended.
pub(crate) type Returned<S> = Arc<Mutex<Option<S>>>;

/// The stream, if it has come back and the client has not ended it.
pub(crate) fn take_back<S>(returned: &Returned<S>) -> Option<S> {
    returned.lock().unwrap_or_else(PoisonError::into_inner).take()
}

impl<S> ClientStream<S> {
    pub(crate) fn new(stream: S, patience: Patience) -> (ClientStream<S>, Returned<S>) {
        let returned = Returned::default();
        (ClientStream { stream: Some(stream), patience, returned: Arc::clone(&returned) }, returned)
    }
}

impl<S> Drop for ClientStream<S> {
    fn drop(&mut self) {
        *self.returned.lock().unwrap_or_else(PoisonError::into_inner) = self.stream.take();
    }
}

impl<S: Unpin> ClientStream<S> {
    fn inner(&mut self) -> io::Result<Pin<&mut S>> {
        self.stream.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    fn time<T>(
        &mut self,
        cx: &mut Context<'_>,
        bytes: impl FnOnce(&T) -> usize,
        write: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let written = write(self.inner()?, cx);
        if let Poll::Ready(outcome) = &written {
            self.patience.moved(outcome.as_ref().map_or(0, bytes));
            return written;
        }
        ready!(self.patience.poll_exhausted(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ClientStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.inner()?.poll_read(cx, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ClientStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.time(cx, |written| *written, |stream, cx| stream.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.time(cx, |written| *written, |stream, cx| stream.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.time(cx, |()| 0, |stream, cx| stream.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.time(cx, |()| 0, |stream, cx| stream.poll_shutdown(cx))
    }
}

//! The stream of one connection to the upstream, as hyper gets it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::upstream_socket::UpstreamSocket;

/// A stream that is read to its end even if the upstream takes no more bytes.
///
/// A server that answers before it has the whole request (413, 401) may close the connection then. The next write fails, but the
/// answer has arrived by then and waits to be read. hyper would end at the failed write; so it is not told of it, the bytes are
/// dropped, and reading brings the answer, or the end of the stream.
#[derive(Debug)]
pub(crate) struct UpstreamStream {
    stream: UpstreamSocket,
    takes_no_more: bool,
}

impl UpstreamStream {
    pub(crate) fn new(stream: UpstreamSocket) -> UpstreamStream {
        UpstreamStream { stream, takes_no_more: false }
    }

    pub(crate) fn into_inner(self) -> UpstreamSocket {
        self.stream
    }

    fn write(
        &mut self,
        len: usize,
        write: impl FnOnce(Pin<&mut UpstreamSocket>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if self.takes_no_more {
            return Poll::Ready(Ok(len));
        }
        match write(Pin::new(&mut self.stream)) {
            Poll::Ready(Err(error)) if closed(&error) => {
                self.takes_no_more = true;
                Poll::Ready(Ok(len))
            }
            other => other,
        }
    }
}

/// Whether the other side has closed the connection.
fn closed(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted
    )
}

impl AsyncRead for UpstreamStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for UpstreamStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.write(bytes.len(), |stream| stream.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let len = slices.iter().map(|slice| slice.len()).sum();
        self.write(len, |stream| stream.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.takes_no_more {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.takes_no_more {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

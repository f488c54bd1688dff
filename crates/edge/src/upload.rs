//! The body of a request on its way from the client to the upstream.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use crate::limits::Limits;
use crate::patience::Patience;
use crate::peer::Peer;

/// A client's body on its way to the upstream.
#[derive(Debug)]
pub(crate) struct Upload {
    incoming: Incoming,
    /// None for a request without a body, as most are.
    watch: Option<Box<Watch>>,
}

#[derive(Debug)]
struct Watch {
    patience: Patience,
    progress: Arc<Progress>,
    /// Whose body it is.
    peer: Arc<Peer>,
    /// The body has ended.
    ended: bool,
}

/// How an upload goes, for the code that waits for the answer to it.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    moved: AtomicBool,
    fault: OnceLock<Fault>,
}

/// Why a body did not arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The client disconnected, or kept the edge waiting for too long.
    Late,
    /// It cannot be read: a chunk has no length, or does not end where it should.
    Malformed,
}

impl Progress {
    /// Whether bytes moved since the last call.
    pub(crate) fn take_moved(&self) -> bool {
        self.moved.swap(false, Relaxed)
    }

    /// Why the body did not arrive, if it did not.
    pub(crate) fn fault(&self) -> Option<Fault> {
        self.fault.get().copied()
    }
}

/// The client did not send its whole body.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UploadError {
    #[error("the client disconnected in the middle of its request: {0}")]
    Disconnected(#[source] hyper::Error),
    #[error("the client sends its request's body too slowly")]
    TooSlow,
    #[error("the client's request has a malformed body: {0}")]
    Malformed(#[source] hyper::Error),
}

impl UploadError {
    fn of(error: hyper::Error) -> UploadError {
        use io::ErrorKind::{InvalidData, InvalidInput};
        let source = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<io::Error>());
        match source.map(io::Error::kind) {
            Some(InvalidData | InvalidInput) => UploadError::Malformed(error),
            _ => UploadError::Disconnected(error),
        }
    }

    fn fault(&self) -> Fault {
        match self {
            UploadError::Disconnected(_) | UploadError::TooSlow => Fault::Late,
            UploadError::Malformed(_) => Fault::Malformed,
        }
    }
}

impl Upload {
    /// Fails when the client keeps the edge waiting for too long.
    pub(crate) fn new(incoming: Incoming, peer: &Arc<Peer>, limits: &Limits) -> Upload {
        let watch = (!incoming.is_end_stream()).then(|| {
            Box::new(Watch {
                patience: Patience::new(limits.upload_pause, limits.least_rate, limits.upload_total),
                progress: Arc::default(),
                peer: Arc::clone(peer),
                ended: false,
            })
        });
        Upload { incoming, watch }
    }

    /// None for a request without a body.
    pub(crate) fn progress(&self) -> Option<Arc<Progress>> {
        self.watch.as_ref().map(|watch| Arc::clone(&watch.progress))
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(watch) = &self.watch
            && !watch.ended
            && !self.incoming.is_end_stream()
        {
            watch.peer.leave_unread();
        }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = UploadError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        let Upload { incoming, watch } = self.get_mut();
        let Some(watch) = watch else {
            return Poll::Ready(None);
        };
        let Watch { patience, progress, ended, .. } = &mut **watch;
        let failure = loop {
            match Pin::new(&mut *incoming).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    patience.moved(frame.data_ref().map_or(0, Bytes::len));
                    progress.moved.store(true, Relaxed);
                    // Frames other than data are trailers, which are dropped.
                    if frame.is_data() {
                        return Poll::Ready(Some(Ok(frame)));
                    }
                }
                Poll::Ready(None) => {
                    *ended = true;
                    return Poll::Ready(None);
                }
                Poll::Ready(Some(Err(error))) => break UploadError::of(error),
                Poll::Pending => {
                    ready!(patience.poll_exhausted(cx));
                    break UploadError::TooSlow;
                }
            }
        };
        let _ = progress.fault.set(failure.fault());
        Poll::Ready(Some(Err(failure)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

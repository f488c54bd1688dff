//! Bodies in flight: what the client sends, and what it is answered.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use crate::patience::Patience;
use crate::upstream::{Broken, Lease};

/// A client's body on its way to the upstream.
#[derive(Debug)]
pub(crate) struct Upload {
    incoming: Incoming,
    /// Absent when there is no body: most requests.
    watch: Option<Watch>,
}

#[derive(Debug)]
struct Watch {
    patience: Patience,
    flow: Arc<Flow>,
}

/// How an upload fares, for the one who waits for its answer.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    moved: AtomicBool,
    broke_off: AtomicBool,
}

impl Flow {
    /// Whether bytes moved since this was last asked.
    pub(crate) fn moved(&self) -> bool {
        self.moved.swap(false, Relaxed)
    }

    /// Whether the client broke off or fell silent.
    pub(crate) fn broke_off(&self) -> bool {
        self.broke_off.load(Relaxed)
    }
}

/// The client did not send its whole body.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unfinished {
    #[error("the client broke off inside its request: {0}")]
    Off(#[source] hyper::Error),
    #[error("the client fell silent inside its request")]
    Late,
}

impl Upload {
    /// Fails when the client pauses for longer than `idle`.
    pub(crate) fn new(incoming: Incoming, idle: Duration) -> Upload {
        let watch = (!incoming.is_end_stream())
            .then(|| Watch { patience: Patience::new(idle), flow: Arc::default() });
        Upload { incoming, watch }
    }

    pub(crate) fn flow(&self) -> Option<Arc<Flow>> {
        self.watch.as_ref().map(|watch| Arc::clone(&watch.flow))
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Unfinished;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Unfinished>>> {
        let Upload { incoming, watch } = self.get_mut();
        let Some(Watch { patience, flow }) = watch else {
            return Poll::Ready(None);
        };
        let failure = loop {
            match Pin::new(&mut *incoming).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    patience.progressed();
                    flow.moved.store(true, Relaxed);
                    // What is not data is trailers: dropped.
                    if frame.is_data() {
                        return Poll::Ready(Some(Ok(frame)));
                    }
                }
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Ready(Some(Err(error))) => break Unfinished::Off(error),
                Poll::Pending => {
                    ready!(patience.poll_exhausted(cx));
                    break Unfinished::Late;
                }
            }
        };
        flow.broke_off.store(true, Relaxed);
        Poll::Ready(Some(Err(failure)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// The body of an answer to the client.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The edge's own words.
    Own(Bytes),
    /// The upstream's.
    Relayed {
        incoming: Incoming,
        /// Until the last byte has been read.
        lease: Option<Lease>,
    },
}

impl Answer {
    pub(crate) fn relayed(incoming: Incoming, lease: Lease) -> Answer {
        let lease = unless_ended(&incoming, lease);
        Answer::Relayed { incoming, lease }
    }

    pub(crate) fn empty() -> Answer {
        Answer::Own(Bytes::new())
    }
}

/// Returns the connection as soon as nothing more can come: the reader of a body of known length does not ask again.
fn unless_ended(incoming: &Incoming, lease: Lease) -> Option<Lease> {
    if incoming.is_end_stream() {
        lease.release();
        None
    } else {
        Some(lease)
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.get_mut() {
            Answer::Own(bytes) if bytes.is_empty() => Poll::Ready(None),
            Answer::Own(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Answer::Relayed { incoming, lease } => {
                let Some(mut lent) = lease.take() else {
                    return Poll::Ready(None);
                };
                match lent.poll_piece(incoming, cx) {
                    Poll::Pending => {
                        *lease = Some(lent);
                        Poll::Pending
                    }
                    Poll::Ready(Some(Ok(data))) => {
                        *lease = unless_ended(incoming, lent);
                        Poll::Ready(Some(Ok(Frame::data(data))))
                    }
                    Poll::Ready(Some(Err(broken))) => Poll::Ready(Some(Err(broken))),
                    Poll::Ready(None) => {
                        lent.release();
                        Poll::Ready(None)
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Answer::Own(bytes) => bytes.is_empty(),
            Answer::Relayed { incoming, .. } => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Answer::Own(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Answer::Relayed { incoming, .. } => incoming.size_hint(),
        }
    }
}

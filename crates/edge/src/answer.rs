//! The body of an answer to the client.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use crate::upstream::{AnswerError, Lease};

/// The body of an answer to the client.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Written by the edge.
    Own(Bytes),
    /// Passed on from the upstream.
    Relayed {
        incoming: Incoming,
        /// The connection it comes over. None once the last byte has been read.
        lease: Option<Lease>,
    },
}

impl Answer {
    pub(crate) fn relayed(incoming: Incoming, lease: Lease) -> Answer {
        let lease = release_if_ended(&incoming, lease);
        Answer::Relayed { incoming, lease }
    }

    pub(crate) fn empty() -> Answer {
        Answer::Own(Bytes::new())
    }
}

/// Gives the connection back as soon as the body has ended. After the last byte of a body of known length hyper does not
/// poll again, so waiting for that poll would keep the connection for ever.
fn release_if_ended(incoming: &Incoming, lease: Lease) -> Option<Lease> {
    if incoming.is_end_stream() {
        lease.release();
        None
    } else {
        Some(lease)
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = AnswerError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        match self.get_mut() {
            Answer::Own(bytes) if bytes.is_empty() => Poll::Ready(None),
            Answer::Own(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Answer::Relayed { incoming, lease } => {
                let Some(mut lent) = lease.take() else {
                    return Poll::Ready(None);
                };
                match lent.poll_data(incoming, cx) {
                    Poll::Pending => {
                        *lease = Some(lent);
                        Poll::Pending
                    }
                    Poll::Ready(Some(Ok(data))) => {
                        *lease = release_if_ended(incoming, lent);
                        Poll::Ready(Some(Ok(Frame::data(data))))
                    }
                    Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error))),
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

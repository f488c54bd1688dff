//! The body of an answer to the client.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use crate::access::Entry;
use crate::addresses::Seat;
use crate::upstream::{AnswerError, Lease};

/// The body of an answer to the client, and what ends with it.
#[derive(Debug)]
pub(crate) struct Answer {
    source: Source,
    /// The request's line in the access log, written when this is dropped.
    entry: Option<Box<Entry>>,
    /// The client's share of the requests under way.
    seat: Option<Seat>,
}

#[derive(Debug)]
enum Source {
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
        Answer { source: Source::Relayed { incoming, lease }, entry: None, seat: None }
    }

    pub(crate) fn own(bytes: Bytes) -> Answer {
        Answer { source: Source::Own(bytes), entry: None, seat: None }
    }

    pub(crate) fn empty() -> Answer {
        Answer::own(Bytes::new())
    }

    /// The same, noted in the access log when it ends.
    pub(crate) fn noted(mut self, entry: Box<Entry>) -> Answer {
        self.entry = Some(entry);
        self
    }

    /// The same, which frees the seat when it ends.
    pub(crate) fn seated(mut self, seat: Option<Seat>) -> Answer {
        self.seat = seat;
        self
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

impl Drop for Answer {
    fn drop(&mut self) {
        // A lease that is still here has not brought the end of the body.
        if let (Source::Relayed { lease: Some(_), .. }, Some(entry)) = (&self.source, &mut self.entry) {
            entry.cut_off();
        }
    }
}

impl Source {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, AnswerError>>> {
        match self {
            Source::Own(bytes) if bytes.is_empty() => Poll::Ready(None),
            Source::Own(bytes) => Poll::Ready(Some(Ok(std::mem::take(bytes)))),
            Source::Relayed { incoming, lease } => {
                let Some(mut lent) = lease.take() else {
                    return Poll::Ready(None);
                };
                match lent.poll_data(incoming, cx) {
                    Poll::Ready(Some(Ok(data))) => {
                        *lease = release_if_ended(incoming, lent);
                        Poll::Ready(Some(Ok(data)))
                    }
                    Poll::Ready(None) => {
                        lent.release();
                        Poll::Ready(None)
                    }
                    unfinished => {
                        *lease = Some(lent);
                        unfinished
                    }
                }
            }
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = AnswerError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        let Answer { source, entry, .. } = self.get_mut();
        let data = ready!(source.poll_data(cx));
        if let (Some(Ok(data)), Some(entry)) = (&data, entry) {
            entry.passed(data.len());
        }
        Poll::Ready(data.map(|data| data.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Own(bytes) => bytes.is_empty(),
            Source::Relayed { incoming, .. } => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Own(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Source::Relayed { incoming, .. } => incoming.size_hint(),
        }
    }
}

//! What is still sent of a request that has been answered.
//!
//! A body that is too large is refused at once, from its declared length or as soon as it exceeds the bound. The rest is received and
//! dropped meanwhile: if the connection were closed with bytes unread, the client's system would throw the answer away.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};

use crate::bounds::DISCARDED;

/// How long the rest of a body is received, like the edge does.
const TIME: Duration = Duration::from_secs(30);

/// Whether a body of this size hint is known to be larger than `limit` bytes, before any of it has arrived.
pub(crate) fn is_declared_larger(body: &Body, limit: u64) -> bool {
    body.size_hint().lower() > limit
}

/// Receives and drops the rest of a body, beside the answer.
pub(crate) fn receive(body: impl Stream<Item = Result<Bytes, axum::Error>> + Send + Unpin + 'static) {
    tokio::spawn(tokio::time::timeout(TIME, drop_all(body)));
}

async fn drop_all(mut body: impl Stream<Item = Result<Bytes, axum::Error>> + Unpin) {
    let mut seen = 0;
    while let Some(Ok(chunk)) = body.next().await {
        seen += chunk.len();
        if seen > DISCARDED {
            break;
        }
    }
}

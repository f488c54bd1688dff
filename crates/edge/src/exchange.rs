//! One request and its answer.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TRANSFER_ENCODING};
use http::{HeaderValue, Request, Response, StatusCode, Version};
use hyper::body::{Body, Incoming};

use crate::Shared;
use crate::body::{Answer, Upload};
use crate::client::Peer;
use crate::headers::{self, Refusal};
use crate::outage::{self, Outage, Reader};
use crate::page;
use crate::upstream::{Lease, Unanswered};
use crate::websocket;

/// Answers one request: from the upstream, or for it.
pub(crate) async fn answer(
    mut request: Request<Incoming>,
    peer: &Arc<Peer>,
    shared: &Arc<Shared>,
) -> Response<Answer> {
    shared.counters.request();
    if let Err(refusal) = headers::admit(&mut request) {
        return refused(refusal);
    }
    let reader = Reader::of(&request);
    let outcome = if websocket::is_asked_for(&request) {
        websocket::open(request, peer, shared).await
    } else {
        relay(request, peer, shared).await
    };
    match outcome {
        Ok(response) => response,
        Err(Unanswered::Outage(outage)) => {
            shared.counters.upstream_error();
            tracing::debug!(%outage, "answered for the server");
            outage::answer(reader, &outage).map(Answer::Own)
        }
        Err(Unanswered::Unfinished | Unanswered::Unsent(_)) => refused(Refusal {
            status: StatusCode::REQUEST_TIMEOUT,
            reason: "The request's body did not arrive in time.",
        }),
    }
}

async fn relay(
    request: Request<Incoming>,
    peer: &Peer,
    shared: &Shared,
) -> Result<Response<Answer>, Unanswered> {
    let request = for_upstream(request, peer, shared);
    let (response, lease) = send(request, shared).await?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Unanswered::Outage(Outage::Unasked));
    }
    Ok(for_client(response, lease))
}

/// Sends a request over an idle connection, or a new one when those turn out to be closed.
pub(crate) async fn send(
    mut request: Request<Upload>,
    shared: &Shared,
) -> Result<(Response<Incoming>, Lease), Unanswered> {
    loop {
        let mut lease = shared.upstream.lease().await.map_err(Unanswered::Outage)?;
        match lease.send(request).await {
            Ok(response) => return Ok((response, lease)),
            Err(Unanswered::Unsent(unsent)) => request = *unsent,
            Err(other) => return Err(other),
        }
    }
}

/// The request as the upstream gets it.
pub(crate) fn for_upstream(request: Request<Incoming>, peer: &Peer, shared: &Shared) -> Request<Upload> {
    let (mut parts, incoming) = request.into_parts();
    headers::strip_hop_by_hop(&mut parts.headers);
    // Met by the edge: the client is told to continue when the upstream starts to read.
    parts.headers.remove(EXPECT);
    if !incoming.is_end_stream() && !parts.headers.contains_key(CONTENT_LENGTH) {
        parts.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    peer.origin.describe(&mut parts.headers);
    parts.headers.entry(HOST).or_insert_with(|| host_of(shared.upstream.address()));
    parts.version = Version::HTTP_11;
    parts.extensions.clear();
    Request::from_parts(parts, Upload::new(incoming, shared.limits.body_idle_timeout))
}

/// A host for the HTTP/1.0 clients that name none.
fn host_of(address: SocketAddr) -> HeaderValue {
    HeaderValue::from_maybe_shared(Bytes::from(address.to_string()))
        .unwrap_or_else(|_| HeaderValue::from_static("localhost"))
}

/// The answer as the client gets it.
pub(crate) fn for_client(response: Response<Incoming>, lease: Lease) -> Response<Answer> {
    let (mut parts, incoming) = response.into_parts();
    headers::strip_hop_by_hop(&mut parts.headers);
    parts.version = Version::HTTP_11;
    Response::from_parts(parts, Answer::relayed(incoming, lease))
}

/// A refusal ends the connection: after a request that was not understood, the next one might not be one.
fn refused(refusal: Refusal) -> Response<Answer> {
    let mut response = page::line(refusal.status, refusal.reason).map(Answer::Own);
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

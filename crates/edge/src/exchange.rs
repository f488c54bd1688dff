//! One request to the upstream and its answer, with the headers that each side gets.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, EXPECT, HOST, TRANSFER_ENCODING};
use http::{HeaderValue, Request, Response, Version};
use hyper::body::{Body, Incoming};

use crate::answer::Answer;
use crate::headers;
use crate::outage::Outage;
use crate::peer::Peer;
use crate::shared::Shared;
use crate::upload::Upload;
use crate::upstream::{Lease, SendError};
use crate::upstream_socket::UpstreamAddress;

/// A request that does not wait in a hold.
#[derive(Debug, Clone)]
struct Passes;

/// Sends a request over an idle connection, or over a new one when the upstream has closed the idle ones.
pub(crate) async fn send(
    mut request: Box<Request<Upload>>,
    shared: &Shared,
) -> Result<(Response<Incoming>, Lease), SendError> {
    // Marked by `for_upstream`.
    let passes = request.extensions_mut().remove::<Passes>().is_some();
    loop {
        if shared.hold.is_on() && !passes {
            let over = Box::pin(shared.hold.over(shared.limits.hold));
            // An edge that ends does not wait for the next server.
            let over = shared.drain.run_until_cancelled(over).await.unwrap_or(Err(Outage::Held));
            over.map_err(SendError::Outage)?;
        }
        let mut lease = match shared.upstream.lease().await {
            Ok(lease) => lease,
            // It came just before the hold, and the server was gone already.
            Err(Outage::Unreachable(_)) if shared.hold.is_on() && !passes => continue,
            Err(outage) => return Err(SendError::Outage(outage)),
        };
        match lease.send(request).await {
            Ok(response) => return Ok((response, lease)),
            Err(SendError::NotSent(unsent)) => request = unsent,
            Err(other) => return Err(other),
        }
    }
}

/// The request as the upstream gets it.
pub(crate) fn for_upstream(
    request: Request<Incoming>,
    client: IpAddr,
    peer: &Arc<Peer>,
    shared: &Shared,
) -> Box<Request<Upload>> {
    let (mut parts, incoming) = request.into_parts();
    headers::strip_hop_by_hop(&mut parts.headers);
    // hyper meets it: it tells the client to continue when the upstream starts to read.
    parts.headers.remove(EXPECT);
    if !incoming.is_end_stream() && !parts.headers.contains_key(CONTENT_LENGTH) {
        parts.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    peer.origin.describe(client, &mut parts.headers);
    parts.headers.entry(HOST).or_insert_with(|| host_of(shared.upstream.address()));
    parts.version = Version::HTTP_11;
    parts.extensions.clear();
    if shared.hold.is_on() && shared.hold.passes(&mut parts.headers) {
        parts.extensions.insert(Passes);
    }
    Box::new(Request::from_parts(parts, Upload::new(incoming, peer, &shared.limits)))
}

/// The Host header for HTTP/1.0 clients that send none.
fn host_of(address: &UpstreamAddress) -> HeaderValue {
    let known = match address {
        UpstreamAddress::Tcp(address) => {
            HeaderValue::from_maybe_shared(Bytes::from(address.to_string())).ok()
        }
        UpstreamAddress::Unix(_) => None,
    };
    known.unwrap_or_else(|| HeaderValue::from_static("localhost"))
}

/// The answer as the client gets it.
pub(crate) fn for_client(response: Response<Incoming>, lease: Lease) -> Response<Answer> {
    let (mut parts, incoming) = response.into_parts();
    headers::strip_hop_by_hop(&mut parts.headers);
    parts.version = Version::HTTP_11;
    Response::from_parts(parts, Answer::relayed(incoming, lease))
}

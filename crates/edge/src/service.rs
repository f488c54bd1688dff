//! Answers a request: with the upstream's answer, or with one of the edge's own.

use std::sync::Arc;

use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;

use crate::answer::Answer;
use crate::exchange;
use crate::headers::{self, Refusal};
use crate::outage::{self, Outage, Reader};
use crate::page;
use crate::peer::Peer;
use crate::shared::Shared;
use crate::upstream::SendError;
use crate::websocket;

/// Answers one request.
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
        pass_on(request, peer, shared).await
    };
    match outcome {
        Ok(response) => response,
        Err(SendError::Outage(outage)) => {
            shared.counters.upstream_error();
            tracing::debug!(%outage, "the server did not answer a request");
            outage::answer(reader, &outage).map(Answer::Own)
        }
        Err(SendError::UploadFailed | SendError::NotSent(_)) => refused(Refusal {
            status: StatusCode::REQUEST_TIMEOUT,
            reason: "The request's body did not arrive in time.",
        }),
    }
}

/// An ordinary request.
async fn pass_on(
    request: Request<Incoming>,
    peer: &Peer,
    shared: &Shared,
) -> Result<Response<Answer>, SendError> {
    let request = exchange::for_upstream(request, peer, shared);
    let (response, lease) = exchange::send(request, shared).await?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(SendError::Outage(Outage::UnexpectedUpgrade));
    }
    Ok(exchange::for_client(response, lease))
}

/// A refusal closes the connection: after a request that was not understood, it is unknown where the next one begins.
fn refused(refusal: Refusal) -> Response<Answer> {
    let mut response = page::line(refusal.status, refusal.reason).map(Answer::Own);
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

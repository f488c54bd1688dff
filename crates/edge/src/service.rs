//! Answers a request: with the upstream's answer, or with one of the edge's own.

use std::net::IpAddr;
use std::sync::Arc;

use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::{Body as _, Incoming};

use crate::access::Entry;
use crate::addresses::Seat;
use crate::answer::Answer;
use crate::exchange;
use crate::headers::{self, Refusal};
use crate::outage::{self, Outage, Reader};
use crate::overload;
use crate::page;
use crate::peer::{Peer, TooMany};
use crate::shared::Shared;
use crate::upstream::SendError;
use crate::websocket;

/// Answers one request.
pub(crate) async fn answer(
    request: Request<Incoming>,
    peer: &Arc<Peer>,
    shared: &Arc<Shared>,
) -> Response<Answer> {
    shared.counters.request();
    let client = peer.origin.client(request.headers());
    let mut entry = Box::new(Entry::begin(&shared.book, client, &request));
    let response = decide(request, client, peer, shared).await;
    entry.answered(response.status());
    response.map(|answer| answer.noted(entry))
}

async fn decide(
    mut request: Request<Incoming>,
    client: IpAddr,
    peer: &Arc<Peer>,
    shared: &Arc<Shared>,
) -> Response<Answer> {
    let has_body = !request.body().is_end_stream();
    if let Err(refusal) = headers::admit(&mut request) {
        if has_body {
            peer.leave_unread();
        }
        return refused(refusal);
    }
    let reader = Reader::of(&request);
    let outcome = if shared.silence.is_silent() {
        if has_body {
            peer.leave_unread();
        }
        Err(SendError::Outage(Outage::Silent))
    } else if websocket::is_asked_for(&request) {
        match peer.seat(client, &shared.connections, shared.limits.connections_of_one(), &shared.limits) {
            Ok(seat) => websocket::open(request, client, seat, peer, shared).await,
            Err(TooMany) => return overload::answer(reader).map(Answer::own),
        }
    } else {
        match peer.seat(client, &shared.requests, shared.limits.requests_of_one(), &shared.limits) {
            Ok(seat) => pass_on(request, client, seat, peer, shared).await,
            Err(TooMany) => {
                if has_body {
                    peer.leave_unread();
                }
                return overload::answer(reader).map(Answer::own);
            }
        }
    };
    match outcome {
        Ok(response) => response,
        Err(SendError::Outage(outage)) => {
            shared.counters.upstream_error();
            tracing::debug!(%outage, "the server did not answer a request");
            outage::answer(reader, &outage).map(Answer::own)
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
    client: IpAddr,
    seat: Option<Seat>,
    peer: &Arc<Peer>,
    shared: &Shared,
) -> Result<Response<Answer>, SendError> {
    let request = exchange::for_upstream(request, client, peer, shared);
    let (response, lease) = exchange::send(request, shared).await?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(SendError::Outage(Outage::UnexpectedUpgrade));
    }
    Ok(exchange::for_client(response, lease).map(|answer| answer.seated(seat)))
}

/// A refusal closes the connection: after a request that was not understood, it is unknown where the next one begins.
fn refused(refusal: Refusal) -> Response<Answer> {
    let mut response = page::line(refusal.status, refusal.reason).map(Answer::own);
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

//! Answers a request: with the upstream's answer, or with one of the edge's own.

use std::convert::Infallible;
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
use crate::upload::{Fault, Upload};
use crate::upstream::SendError;
use crate::websocket;

/// Answers one request.
///
/// Every request needs such a future, and a future of a kilobyte or less is cheap to allocate. So what needs no waiting is done
/// before it is made, the request has a box that is handed on, and so has what is done rarely.
pub(crate) fn answer<'a>(
    request: Request<Incoming>,
    peer: &'a Arc<Peer>,
    shared: &'a Arc<Shared>,
) -> impl Future<Output = Result<Response<Answer>, Infallible>> + use<'a> {
    shared.counters.request();
    let client = peer.origin.client(request.headers());
    let mut entry = Box::new(Entry::begin(&shared.book, client, &request));
    let way = decide(request, client, peer, shared);
    async move {
        let response = match way {
            Way::Answered(response) => *response,
            Way::Upstream { request, seat, reader } => {
                answered(pass_on(request, seat, shared).await, reader, shared)
            }
            Way::Websocket { request, seat, reader } => {
                let opening = Box::pin(websocket::open(*request, client, seat, peer, shared));
                answered(opening.await, reader, shared)
            }
        };
        entry.answered(response.status());
        Ok(response.map(|answer| answer.noted(entry)))
    }
}

/// What is to be done with a request.
enum Way {
    Upstream {
        request: Box<Request<Upload>>,
        seat: Option<Seat>,
        reader: Reader,
    },
    Websocket {
        request: Box<Request<Incoming>>,
        seat: Option<Seat>,
        reader: Reader,
    },
    /// The edge has an answer of its own.
    Answered(Box<Response<Answer>>),
}

impl Way {
    fn answered(response: Response<Answer>) -> Way {
        Way::Answered(Box::new(response))
    }
}

fn decide(mut request: Request<Incoming>, client: IpAddr, peer: &Arc<Peer>, shared: &Shared) -> Way {
    let has_body = !request.body().is_end_stream();
    let unread = |response| {
        if has_body {
            peer.leave_unread();
        }
        Way::answered(response)
    };
    if let Err(refusal) = headers::admit(&mut request) {
        return unread(refused(refusal));
    }
    let reader = Reader::of(&request);
    if shared.silence.is_silent() && !shared.hold.is_on() {
        return unread(answered(Err(SendError::Outage(Outage::Silent)), reader, shared));
    }
    if websocket::is_asked_for(&request) {
        let most = shared.limits.connections_of_one();
        return match peer.seat(client, &shared.connections, most, &shared.limits) {
            Ok(seat) => Way::Websocket { request: Box::new(request), seat, reader },
            Err(TooMany) => Way::answered(overload::answer(reader).map(Answer::own)),
        };
    }
    match peer.seat(client, &shared.requests, shared.limits.requests_of_one(), &shared.limits) {
        Ok(seat) => {
            Way::Upstream { request: exchange::for_upstream(request, client, peer, shared), seat, reader }
        }
        Err(TooMany) => unread(overload::answer(reader).map(Answer::own)),
    }
}

/// The answer that came, or the edge's own if none did.
fn answered(
    outcome: Result<Response<Answer>, SendError>,
    reader: Reader,
    shared: &Shared,
) -> Response<Answer> {
    match outcome {
        Ok(response) => response,
        Err(SendError::Outage(outage)) => {
            shared.counters.upstream_error();
            tracing::debug!(%outage, "the server did not answer a request");
            outage::answer(reader, &outage).map(Answer::own)
        }
        Err(SendError::Upload(Fault::Malformed)) => refused(Refusal {
            status: StatusCode::BAD_REQUEST,
            reason: "The request's body is malformed: where its chunks begin and end cannot be read.",
        }),
        Err(SendError::Upload(Fault::Late) | SendError::NotSent(_)) => refused(Refusal {
            status: StatusCode::REQUEST_TIMEOUT,
            reason: "The request's body did not arrive in time.",
        }),
    }
}

/// An ordinary request.
async fn pass_on(
    request: Box<Request<Upload>>,
    seat: Option<Seat>,
    shared: &Shared,
) -> Result<Response<Answer>, SendError> {
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

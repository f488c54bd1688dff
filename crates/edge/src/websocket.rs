//! The websocket handshake (RFC 6455 section 4). Client and upstream negotiate with each other; the edge passes it on.

use std::net::IpAddr;
use std::sync::Arc;

use http::header::{CONNECTION, UPGRADE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::{Body, Incoming};
use hyper_util::rt::TokioIo;

use crate::addresses::Seat;
use crate::answer::Answer;
use crate::exchange::{for_client, for_upstream, send};
use crate::headers::{lists, strip_hop_by_hop};
use crate::outage::Outage;
use crate::peer::Peer;
use crate::relay;
use crate::shared::Shared;
use crate::upstream::SendError;

/// Whether a request asks for a websocket. A request for any other upgrade is answered without one.
pub(crate) fn is_asked_for(request: &Request<Incoming>) -> bool {
    *request.method() == Method::GET
        && request.version() == Version::HTTP_11
        && is_websocket(request.headers())
        && request.body().is_end_stream()
}

fn is_websocket(headers: &HeaderMap) -> bool {
    lists(headers, &UPGRADE, "websocket") && lists(headers, &CONNECTION, "upgrade")
}

fn mark_upgrade(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
}

/// Passes the handshake on. If the upstream agrees, the two streams are joined. If it does not, for example because of
/// the request's origin, the client gets its answer as it is.
pub(crate) async fn open(
    mut request: Request<Incoming>,
    client: IpAddr,
    seat: Option<Seat>,
    peer: &Arc<Peer>,
    shared: &Arc<Shared>,
) -> Result<Response<Answer>, SendError> {
    let upgrade = hyper::upgrade::on(&mut request);
    let mut request = for_upstream(request, client, peer, shared);
    mark_upgrade(request.headers_mut());

    let (response, lease) = send(request, shared).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(for_client(response, lease));
    }
    if !is_websocket(response.headers()) {
        return Err(SendError::Outage(Outage::UnexpectedUpgrade));
    }
    let mut agreed = Response::new(Answer::empty());
    *agreed.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *agreed.headers_mut() = response.into_parts().0.headers;
    strip_hop_by_hop(agreed.headers_mut());
    mark_upgrade(agreed.headers_mut());

    let Some((stream, first)) = lease.into_stream().await else {
        return Err(SendError::Outage(Outage::UnexpectedUpgrade));
    };
    // Counted before the client reads the 101, because it may use the websocket from then on.
    let counted = (shared.counters.websocket(), Arc::clone(peer), seat);
    let idle = shared.limits.websocket_idle;
    let drain = shared.drain.clone();
    // One that is opened in a hold has its pass.
    let hold = (!shared.hold.is_on()).then(|| Arc::clone(&shared.hold));
    shared.tasks.spawn(async move {
        let ends = async {
            match hold {
                Some(hold) => drain.run_until_cancelled(hold.begins()).await.unwrap_or(()),
                None => drain.cancelled().await,
            }
        };
        // Fails if the client left before it read the 101.
        if let Ok(client) = upgrade.await
            && let Err(error) = relay::run(TokioIo::new(client), stream, first, idle, ends).await
        {
            tracing::debug!(%error, "websocket ended");
        }
        drop(counted);
    });
    Ok(agreed)
}

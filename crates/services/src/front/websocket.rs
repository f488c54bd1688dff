//! Whether a websocket gets through.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::header::{CONNECTION, HeaderValue, ORIGIN, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{Request, StatusCode};

use super::Site;
use crate::check::Verdict;
use crate::exchange::Answer;

pub(super) async fn look(site: &Site) -> Verdict {
    let origin = site.url.origin().ascii_serialization();
    let answer = match handshake(site, Some(&origin)).await {
        Ok(answer) => answer,
        Err(failed) => return failed,
    };
    if answer.status == StatusCode::SWITCHING_PROTOCOLS {
        return Verdict::passed("the upgrade gets through");
    }
    // Programs send no Origin, and Mattermost lets them: if that works, only the Origin is the matter.
    let without = handshake(site, None).await;
    if without.is_ok_and(|answer| answer.status == StatusCode::SWITCHING_PROTOCOLS) {
        return Verdict::failed(
            format!("Mattermost refuses websockets from {origin} ({})", answer.status),
            "a browser's Origin is compared with the site URL, or with Host where none is set: the site URL is another one, or the load balancer changes Host",
            format!("set the site URL to {origin}; in nginx `proxy_set_header Host $http_host;`"),
        );
    }
    Verdict::failed(
        format!("a websocket does not get through ({})", answer.status),
        "the load balancer does not pass the upgrade on; people see a red bar, and new messages only after a reload",
        "in nginx, for /api/v4/websocket: `proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection \"upgrade\";`",
    )
}

async fn handshake(site: &Site, origin: Option<&str>) -> Result<Answer, Verdict> {
    let mut request = Request::new(Default::default());
    let headers = request.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    let key = BASE64.encode(rand::random::<[u8; 16]>());
    let text = |text: &str| HeaderValue::from_str(text).ok();
    headers.extend(text(&key).map(|key| (SEC_WEBSOCKET_KEY, key)));
    headers.extend(origin.and_then(text).map(|origin| (ORIGIN, origin)));
    site.send(&site.at("/api/v4/websocket"), request).await
}

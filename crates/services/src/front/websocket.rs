//! Whether the load balancer lets websockets through.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use finding::Verdict;
use http::header::{CONNECTION, HeaderValue, ORIGIN, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{Request, StatusCode};

use super::site::Site;
use crate::exchange::Answer;

pub(super) async fn look(site: &Site) -> Verdict {
    let origin = site.url.origin().ascii_serialization();
    let answer = match handshake(site, Some(&origin)).await {
        Ok(answer) => answer,
        Err(failed) => return failed,
    };
    if answer.status == StatusCode::SWITCHING_PROTOCOLS {
        return Verdict::passed("the load balancer passes the upgrade on");
    }
    // Mattermost accepts programs, which send no Origin. If that works, only the Origin is refused.
    let without = handshake(site, None).await;
    if without.is_ok_and(|answer| answer.status == StatusCode::SWITCHING_PROTOCOLS) {
        return Verdict::failed(
            format!("Mattermost refuses websockets from {origin} ({})", answer.status),
            "Mattermost compares a browser's Origin with the site URL, or with Host where no site URL is set: the site URL is another one, or the load balancer changes Host",
            format!("set the site URL to {origin}; in nginx `proxy_set_header Host $http_host;`"),
        );
    }
    Verdict::failed(
        format!("the websocket does not open ({})", answer.status),
        "the load balancer does not pass the upgrade on; people see a red bar, and see new messages only after a reload",
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

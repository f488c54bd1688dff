//! Requests to the site under test.

use bytes::Bytes;
use finding::Verdict;
use http::Request;
use http_body_util::Full;
use url::Url;

use crate::exchange::{Answer, Caller, place};

/// What the findings call it.
pub(super) const BALANCER: &str = "the load balancer";

/// A site, and how to send requests to it.
pub(super) struct Site {
    pub(super) url: Url,
    pub(super) caller: Caller,
}

impl Site {
    /// An address below the site URL.
    pub(super) fn at(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        url.set_path(&format!("{}{path}", self.url.path().trim_end_matches('/')));
        url
    }

    pub(super) async fn get(&self, url: &Url) -> Result<Answer, Verdict> {
        self.send(url, Request::new(Full::default())).await
    }

    pub(super) async fn send(&self, url: &Url, request: Request<Full<Bytes>>) -> Result<Answer, Verdict> {
        let sent = self.caller.send(url, request).await;
        sent.map_err(|unreached| Verdict::Found(place(url).finding(&unreached, BALANCER)))
    }
}

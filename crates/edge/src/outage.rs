//! What happens to a request when the upstream does not answer it.

use std::io;

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};

use crate::page;

const X_MOBILE_APP: HeaderName = HeaderName::from_static("x-mobile-app");

/// Why the upstream did not answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Outage {
    /// No connection, so the request was not seen by anyone: it may be sent again.
    #[error("no connection to the server: {0}")]
    Away(#[source] io::Error),
    /// It took the request and said nothing for [`upstream_response_timeout`](crate::Limits::upstream_response_timeout).
    #[error("the server did not answer in time")]
    Late,
    /// It took the request and then broke off, or answered in no HTTP.
    #[error("the server broke off: {0}")]
    Broken(#[source] hyper::Error),
    /// It switched to a protocol nobody asked for.
    #[error("the server switched protocols unasked")]
    Unasked,
}

/// Answers in the upstream's stead. The one place that decides: a hold, which lets requests wait here while the server is
/// swapped, comes before this answer and only for [`Outage::Away`].
pub(crate) fn answer(reader: Reader, outage: &Outage) -> Response<Bytes> {
    let (status, id, text) = match outage {
        Outage::Away(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "mainstay.edge.server_away.app_error",
            "The server is not running or is just starting. Try again in a few seconds.",
        ),
        Outage::Late => (
            StatusCode::GATEWAY_TIMEOUT,
            "mainstay.edge.server_late.app_error",
            "The server took the request but did not answer in time. It may still be at work on it.",
        ),
        Outage::Broken(_) | Outage::Unasked => (
            StatusCode::BAD_GATEWAY,
            "mainstay.edge.server_broke_off.app_error",
            "The server broke off before it answered. Look whether your change was made before you repeat it.",
        ),
    };
    let mut response = match reader {
        Reader::Program => page::app_error(status, id, text),
        Reader::Person => page::html(status, "The chat server does not answer", text),
    };
    if matches!(outage, Outage::Away(_)) {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("2"));
    }
    response
}

/// Who reads an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    /// Wants Mattermost's JSON errors.
    Program,
    /// Wants a page.
    Person,
}

impl Reader {
    /// By the rule with which Mattermost itself chooses; `/api/` also below a SiteURL with a path.
    pub(crate) fn of<B>(request: &Request<B>) -> Reader {
        let path = request.uri().path();
        if path.contains("/api/") || path.contains("/hooks/") || request.headers().contains_key(X_MOBILE_APP)
        {
            Reader::Program
        } else {
            Reader::Person
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_follows_the_reader() {
        let away = || Outage::Away(io::Error::from(io::ErrorKind::ConnectionRefused));
        for (path, outage, status, content_type) in [
            ("/api/v4/users/me", away(), 503, "application/json"),
            ("/chat/api/v4/posts", Outage::Late, 504, "application/json"),
            ("/hooks/abc", Outage::Unasked, 502, "application/json"),
            ("/team/channels/town-square", away(), 503, "text/html; charset=utf-8"),
        ] {
            let request = Request::get(path).body(()).unwrap();
            let response = answer(Reader::of(&request), &outage);
            assert_eq!(response.status().as_u16(), status, "{path}");
            assert_eq!(response.headers()["content-type"], content_type, "{path}");
            assert_eq!(response.headers().contains_key(RETRY_AFTER), status == 503);
        }
    }
}

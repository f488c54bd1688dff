//! What the client gets when the upstream does not answer.

use std::io;

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};

use crate::page;

const X_MOBILE_APP: HeaderName = HeaderName::from_static("x-mobile-app");

/// Why the upstream did not answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Outage {
    /// It accepts no connection. It has not seen the request, so sending it again is safe.
    #[error("no connection to the server: {0}")]
    Unreachable(#[source] io::Error),
    /// It is being replaced, and the next one is not there in time. It has not seen the request.
    #[error("the server is being replaced")]
    Held,
    /// Whoever watches it says that it answers nothing. It has not seen the request.
    #[error("the server answers nothing")]
    Silent,
    /// It has the request, and whoever watches it says that it answers nothing.
    #[error("the server fell silent before it answered")]
    FellSilent,
    /// It has the request, and sent nothing for
    /// [`upstream_response_timeout`](crate::Limits::upstream_response_timeout).
    #[error("the server did not answer in time")]
    TimedOut,
    /// It has the request, and closed the connection or answered with something that is not HTTP.
    #[error("the server broke the connection: {0}")]
    Broken(#[source] hyper::Error),
    /// It switched to a protocol that the client did not ask for.
    #[error("the server switched to another protocol, which was not asked for")]
    UnexpectedUpgrade,
}

/// The answer in place of the upstream's.
pub(crate) fn answer(reader: Reader, outage: &Outage) -> Response<Bytes> {
    let (status, id, text) = match outage {
        Outage::Unreachable(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "mainstay.edge.server_away.app_error",
            "The server is not running or is just starting. Try again in a few seconds.",
        ),
        Outage::Held => (
            StatusCode::SERVICE_UNAVAILABLE,
            "mainstay.edge.server_replaced.app_error",
            "The chat server is under maintenance: a new version of it is being started. Try again in a few seconds.",
        ),
        Outage::Silent => (
            StatusCode::SERVICE_UNAVAILABLE,
            "mainstay.edge.server_silent.app_error",
            "The server does not answer at the moment. It is restarted if this lasts. Try again in a few seconds.",
        ),
        Outage::FellSilent => (
            StatusCode::SERVICE_UNAVAILABLE,
            "mainstay.edge.server_silent.app_error",
            "The server received the request and does not answer at the moment. It is restarted if this lasts. Check in a few seconds \
             whether your change was made before you repeat it.",
        ),
        Outage::TimedOut => (
            StatusCode::GATEWAY_TIMEOUT,
            "mainstay.edge.server_late.app_error",
            "The server received the request but did not answer in time. It may still be working on it.",
        ),
        Outage::Broken(_) | Outage::UnexpectedUpgrade => (
            StatusCode::BAD_GATEWAY,
            "mainstay.edge.server_broke_off.app_error",
            "The server closed the connection before it answered. Check whether your change was made before you \
             repeat it.",
        ),
    };
    let mut response = match reader {
        Reader::Program => page::app_error(status, id, text),
        Reader::Person => {
            let title = if matches!(outage, Outage::Held) {
                "Maintenance"
            } else {
                "The chat server does not answer"
            };
            page::html(status, title, text)
        }
    };
    let retry_after = match outage {
        Outage::Unreachable(_) => Some("2"),
        Outage::Held | Outage::Silent | Outage::FellSilent => Some("10"),
        Outage::TimedOut | Outage::Broken(_) | Outage::UnexpectedUpgrade => None,
    };
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(seconds));
    }
    response
}

/// Who reads an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    /// Gets Mattermost's JSON errors.
    Program,
    /// Gets a page.
    Person,
}

impl Reader {
    /// Mattermost's own rule. `/api/` may be preceded by the path of the site URL.
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
    fn programs_get_json_and_people_a_page() {
        let unreachable = || Outage::Unreachable(io::Error::from(io::ErrorKind::ConnectionRefused));
        for (path, outage, status, content_type) in [
            ("/api/v4/users/me", unreachable(), 503, "application/json"),
            ("/chat/api/v4/posts", Outage::TimedOut, 504, "application/json"),
            ("/hooks/abc", Outage::UnexpectedUpgrade, 502, "application/json"),
            ("/api/v4/posts", Outage::FellSilent, 503, "application/json"),
            ("/team/channels/town-square", unreachable(), 503, "text/html; charset=utf-8"),
        ] {
            let request = Request::get(path).body(()).unwrap();
            let response = answer(Reader::of(&request), &outage);
            assert_eq!(response.status().as_u16(), status, "{path}");
            assert_eq!(response.headers()["content-type"], content_type, "{path}");
            assert_eq!(response.headers().contains_key(RETRY_AFTER), status == 503);
        }
    }
}

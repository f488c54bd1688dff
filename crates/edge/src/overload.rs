//! What a client gets where there is no room for it.

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderValue, Response, StatusCode};

use crate::outage::Reader;
use crate::page;

/// Seconds after which a client may try again.
const RETRY: &str = "2";

/// Who has too many connections or requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Crowd {
    /// All clients together.
    All,
    /// This client's address.
    OneAddress,
}

impl Crowd {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Crowd::All => StatusCode::SERVICE_UNAVAILABLE,
            Crowd::OneAddress => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Crowd::All => "There are too many open connections. Try again soon.",
            Crowd::OneAddress => {
                "There are too many open connections from your address. Close some, or try again soon."
            }
        }
    }

    /// The answer to a connection on which nothing was read.
    pub(crate) fn response(self) -> String {
        let (status, text) = (self.status(), self.text());
        format!(
            "HTTP/1.1 {} {}\r\nContent-Type: text/plain; charset=utf-8\r\nRetry-After: {RETRY}\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{text}",
            status.as_str(),
            status.canonical_reason().unwrap_or_default(),
            text.len()
        )
    }
}

/// The answer to a request of a client that has too many under way.
pub(crate) fn answer(reader: Reader) -> Response<Bytes> {
    let text = "There are too many requests from your address. Try again in a few seconds.";
    let mut response = match reader {
        Reader::Program => {
            page::app_error(StatusCode::TOO_MANY_REQUESTS, "mainstay.edge.too_many.app_error", text)
        }
        Reader::Person => page::html(StatusCode::TOO_MANY_REQUESTS, "Too many requests", text),
    };
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(RETRY));
    response
}

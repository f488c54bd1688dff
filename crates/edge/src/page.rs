//! The edge's own answers, each in the form that its reader understands.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};

/// Plain text, for clients that break the protocol.
pub(crate) fn line(status: StatusCode, text: &str) -> Response<Bytes> {
    answer(status, "text/plain; charset=utf-8", format!("{text}\n"))
}

/// A small page without scripts and external styles. It contains nothing that the client sent.
pub(crate) fn html(status: StatusCode, title: &str, text: &str) -> Response<Bytes> {
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title><style>:root{{color-scheme:light dark}}body{{font:1.1rem/1.5 system-ui,sans-serif;\
         max-width:34rem;margin:20vh auto;padding:0 1rem}}</style><h1>{title}</h1><p>{text}</p></html>\n"
    );
    answer(status, "text/html; charset=utf-8", page)
}

/// Mattermost's error body. Both official clients require exactly this content type, without a charset.
pub(crate) fn app_error(status: StatusCode, id: &str, message: &str) -> Response<Bytes> {
    let body = format!(
        "{{\"id\":\"{id}\",\"message\":\"{message}\",\"detailed_error\":\"\",\"status_code\":{}}}\n",
        status.as_u16()
    );
    answer(status, "application/json", body)
}

fn answer(status: StatusCode, content_type: &'static str, body: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

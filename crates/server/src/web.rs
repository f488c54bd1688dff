//! The web client: its page, its assets, and the Markdown it shows.
//!
//! The page is built by hand-written modules in `crates/server/web`, served as they are. Their address carries a hash
//! of them all, so that browsers may keep them for ever and never mix two versions. The policy of the page forbids
//! inline script, foreign origins and turning strings into markup. Rejected: a framework with a build step, because
//! the client must build with nothing but Rust and be readable as it is served.

mod assets;
mod markdown;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use url::Url;

use crate::app::App;
use crate::error::{AppError, Result};
use crate::json::{Body, Json};
use crate::session::Caller;

/// Texts that may be sent in one request for their trees.
const MOST_TEXTS: usize = 100;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
    connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

/// The assets and the Markdown service. [`page`] answers every other path that is not the API's.
pub(crate) fn router() -> Router<App> {
    Router::new().route("/static/{version}/{*path}", get(asset)).route("/mainstay/markdown", post(trees))
}

/// The page, which reads its place from the address.
pub(crate) async fn page(State(app): State<App>) -> Response {
    let root =
        Url::parse(&app.config.service.site_url).map(|url| url.path().trim_end_matches('/').to_owned());
    let html = assets::page(&root.unwrap_or_default(), &app.config.team.site_name);
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_FRAME_OPTIONS, "SAMEORIGIN"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, html).into_response()
}

async fn asset(Path((version, path)): Path<(String, String)>, request: HeaderMap) -> Response {
    let Some(asset) = assets::find(&version, &path) else { return StatusCode::NOT_FOUND.into_response() };
    let accepts =
        request.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let gzip = accepts.split(',').any(|coding| coding.trim().split(';').next() == Some("gzip"));
    let body = if gzip { asset.gzip.clone() } else { Bytes::from_static(asset.plain) };
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    if gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// The trees of an array of texts, in their order. For people who are logged in: parsing is work.
async fn trees(_caller: Caller, Body(texts): Body<Vec<String>>) -> Result<Json<Vec<Vec<markdown::Node>>>> {
    if texts.len() > MOST_TEXTS {
        return Err(AppError::body("texts").detail(format!("at most {MOST_TEXTS} texts")));
    }
    Ok(Json(texts.iter().map(|text| markdown::tree(text)).collect()))
}

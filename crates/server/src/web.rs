//! The web client: its page, its assets, and the parsing of Markdown for it.
//!
//! The page consists of hand-written modules in `crates/server/web`, served unchanged. Their URLs contain a hash of all
//! of them, so that browsers may cache them for ever and never mix two versions. The page's policy forbids inline
//! scripts, other origins and turning strings into markup. Rejected: a framework with a build step, because the client
//! must build with Rust alone, and be readable as it is served.

mod assets;
mod emoji;
mod markdown;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::app::App;
use crate::error::{AppError, Result};
use crate::json::{Body, Json};
use crate::session::Caller;
use crate::subpath;

/// The most texts in one request.
const MOST_TEXTS: usize = 100;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
    connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

/// The routes of the assets and of the Markdown parser. [`page`] answers every other path outside the API.
pub(crate) fn router() -> Router<App> {
    Router::new().route("/static/{version}/{*path}", get(asset)).route("/mainstay/markdown", post(trees))
}

/// The page. Its script finds out from the URL what to show.
pub(crate) async fn page(State(app): State<App>) -> Response {
    let root = subpath::of(&app.config.service.site_url);
    let html = assets::page(&root, &app.config.team.site_name);
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

/// Parses Markdown texts and returns their trees in the same order. Only for logged-in users, because parsing costs time.
async fn trees(_caller: Caller, Body(texts): Body<Vec<String>>) -> Result<Json<Vec<Vec<markdown::Node>>>> {
    if texts.len() > MOST_TEXTS {
        return Err(AppError::body("texts").detail(format!("at most {MOST_TEXTS} texts")));
    }
    Ok(Json(texts.iter().map(|text| markdown::tree(text)).collect()))
}

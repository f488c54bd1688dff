//! The common part of every answer: the request's id, headers, the error body, and a log line for each failure.

use std::time::Instant;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use tower_http::catch_panic::CatchPanicLayer;

use crate::app::App;
use crate::cors;
use crate::error::AppError;
use crate::id::Id;
use crate::json::json_response;
use crate::peer::Client;
use crate::rate_limit::Allowance;
use crate::session;

/// When to try again what the server cannot do now, in seconds: a PostgreSQL that was killed is back by then.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

/// Wraps `router` in the middleware that adds the common part.
pub(crate) fn around(app: App, router: Router<App>) -> Router<App> {
    let panicked =
        |_: Box<dyn std::any::Any + Send>| AppError::internal("a request handler panicked").into_response();
    router.layer(CatchPanicLayer::custom(panicked)).layer(middleware::from_fn_with_state(app, finish))
}

async fn finish(State(app): State<App>, request: Request, next: Next) -> Response {
    let summary = RequestSummary {
        id: Id::random(),
        method: request.method().clone(),
        uri: request.uri().clone(),
        client: Client::of(request.extensions(), request.headers()),
        had_cookie: session::has_cookie(request.headers()),
    };
    let origin = cors::allowed_origin(&app.config, request.headers());
    let length = summary.uri.path_and_query().map_or(0, |text| text.as_str().len());
    let allowance = match Client::is_counted(request.extensions(), request.headers()) {
        true => allowance(&app, &summary.client, request.headers()).await,
        false => None,
    };
    let mut response = if length > app.config.service.maximum_url_length as usize {
        let message = "The request's URL is longer than the server accepts.";
        AppError::new(StatusCode::URI_TOO_LONG, "api.context.request_url_too_long.app_error", message)
            .into_response()
    } else if origin.is_some() && cors::is_preflight(request.method(), request.headers()) {
        StatusCode::NO_CONTENT.into_response()
    } else {
        match allowance.and_then(|allowance| allowance.refusal()) {
            Some(refusal) => refusal,
            None => next.run(request).await,
        }
    };
    if let Some(error) = response.extensions_mut().remove::<AppError>() {
        response = error_response(&app, &error, &summary, response);
    }
    add_headers(&app, &mut response, &summary);
    if let Some(allowance) = allowance {
        allowance.add_headers(response.headers_mut());
    }
    if let Some(origin) = origin {
        cors::add_headers(&app.config, origin, response.headers_mut());
    }
    response
}

/// What a client may still do, if requests are counted.
async fn allowance(app: &App, client: &Client, headers: &HeaderMap) -> Option<Allowance> {
    let limiter = app.rate_limiter.as_ref()?;
    let account = match limiter.needs_account() {
        true => session::account_of(app, headers).await,
        false => None,
    };
    let key = limiter.key(account.as_ref().map(Id::as_str), &client.origin(), headers);
    Some(limiter.count(key, Instant::now()))
}

/// What the middleware needs of a request after its handler has run.
struct RequestSummary {
    id: Id,
    method: Method,
    uri: Uri,
    client: Client,
    had_cookie: bool,
}

/// `bare` with `error` as its body.
fn error_response(app: &App, error: &AppError, request: &RequestSummary, mut bare: Response) -> Response {
    log(error, request);
    // As in Mattermost, whose router answers unknown paths before requests get their ids.
    let id = if error.id() == "api.context.404.app_error" { "" } else { request.id.as_str() };
    let body = error.body_bytes(id, app.config.service.enable_developer);
    let mut head = std::mem::take(bare.headers_mut());
    // This is the length of the empty body.
    head.remove(header::CONTENT_LENGTH);
    let mut response = json_response(body.into());
    *response.status_mut() = error.status();
    response.headers_mut().extend(head);
    if error.status() == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().entry(header::RETRY_AFTER).or_insert(RETRY_AFTER);
    }
    if error.status() == StatusCode::UNAUTHORIZED && request.had_cookie {
        response.headers_mut().append(header::SET_COOKIE, session::removed_cookie(&app.config));
    }
    response
}

fn add_headers(app: &App, response: &mut Response, request: &RequestSummary) {
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.entry(name).or_insert(value);
        }
    };
    set(HeaderName::from_static("x-request-id"), request.id.as_str());
    set(HeaderName::from_static("x-version-id"), &app.version);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::REFERRER_POLICY, "no-referrer");
    set(HeaderName::from_static("permissions-policy"), "");
    let is_read = request.method == Method::GET || request.method == Method::HEAD;
    if is_read && request.uri.path().starts_with("/api/") {
        set(header::EXPIRES, "0");
    }
}

/// Logs a fault of the server as an error, and a client's mistake as info.
fn log(error: &AppError, request: &RequestSummary) {
    let RequestSummary { id: request_id, method, uri, client, .. } = request;
    // What a stranger sent is not written at any length.
    let method: String = method.as_str().chars().take(32).collect();
    let path: String = uri.path().chars().take(512).collect();
    let (status, id, detail) = (error.status().as_u16(), error.id(), error.detail_text());
    if error.status().is_server_error() && error.status() != StatusCode::NOT_IMPLEMENTED {
        tracing::error!(%client, %method, path, status, id, detail, %request_id, "a request failed");
    } else {
        tracing::info!(%client, %method, path, status, id, detail, %request_id, "a request was refused");
    }
}

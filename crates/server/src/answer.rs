//! What every answer has in common: the request's id, the headers, the error body, one log line for a failure.

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use tower_http::catch_panic::CatchPanicLayer;

use crate::app::App;
use crate::cors;
use crate::error::AppError;
use crate::id::Id;
use crate::json::json_response;
use crate::session;

/// Puts the common parts around `router`.
pub(crate) fn around(app: App, router: Router<App>) -> Router<App> {
    let panicked =
        |_: Box<dyn std::any::Any + Send>| AppError::internal("a request handler panicked").into_response();
    router.layer(CatchPanicLayer::custom(panicked)).layer(middleware::from_fn_with_state(app, finish))
}

async fn finish(State(app): State<App>, request: Request, next: Next) -> Response {
    let asked = Asked {
        id: Id::random(),
        method: request.method().clone(),
        uri: request.uri().clone(),
        had_cookie: session::has_cookie(request.headers()),
    };
    let origin = cors::allowed_origin(&app.config, request.headers());
    let length = asked.uri.path_and_query().map_or(0, |text| text.as_str().len());
    let mut response = if length > app.config.service.maximum_url_length as usize {
        let message = "The request's URL is longer than the server accepts.";
        AppError::new(StatusCode::URI_TOO_LONG, "api.context.request_url_too_long.app_error", message)
            .into_response()
    } else if origin.is_some() && cors::is_preflight(request.method(), request.headers()) {
        StatusCode::NO_CONTENT.into_response()
    } else {
        next.run(request).await
    };
    if let Some(error) = response.extensions_mut().remove::<AppError>() {
        response = error_response(&app, &error, &asked, response);
    }
    add_headers(&app, &mut response, &asked);
    if let Some(origin) = origin {
        cors::add_headers(&app.config, origin, response.headers_mut());
    }
    response
}

/// What is remembered of a request while it is answered.
struct Asked {
    id: Id,
    method: Method,
    uri: Uri,
    had_cookie: bool,
}

/// `bare` with the body of `error`.
fn error_response(app: &App, error: &AppError, asked: &Asked, mut bare: Response) -> Response {
    log(error, asked);
    // Mattermost's router answers unknown paths before requests get their ids.
    let id = if error.id() == "api.context.404.app_error" { "" } else { asked.id.as_str() };
    let body = error.body_bytes(id, app.config.service.enable_developer);
    let mut head = std::mem::take(bare.headers_mut());
    // The length was that of the empty body.
    head.remove(header::CONTENT_LENGTH);
    let mut response = json_response(body.into());
    *response.status_mut() = error.status();
    response.headers_mut().extend(head);
    if error.status() == StatusCode::UNAUTHORIZED && asked.had_cookie {
        response.headers_mut().append(header::SET_COOKIE, session::removed_cookie(&app.config));
    }
    response
}

fn add_headers(app: &App, response: &mut Response, asked: &Asked) {
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.entry(name).or_insert(value);
        }
    };
    set(HeaderName::from_static("x-request-id"), asked.id.as_str());
    set(HeaderName::from_static("x-version-id"), &app.version);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::REFERRER_POLICY, "no-referrer");
    set(HeaderName::from_static("permissions-policy"), "");
    let is_read = asked.method == Method::GET || asked.method == Method::HEAD;
    if is_read && asked.uri.path().starts_with("/api/") {
        set(header::EXPIRES, "0");
    }
}

/// Faults of ours are errors; what clients do wrong is worth one line at info.
fn log(error: &AppError, asked: &Asked) {
    let Asked { id: request_id, method, uri, .. } = asked;
    let path = uri.path();
    let (status, id, detail) = (error.status().as_u16(), error.id(), error.detail_text());
    if error.status().is_server_error() && error.status() != StatusCode::NOT_IMPLEMENTED {
        tracing::error!(%method, path, status, id, detail, %request_id, "a request failed");
    } else {
        tracing::info!(%method, path, status, id, detail, %request_id, "a request was refused");
    }
}

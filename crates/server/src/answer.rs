//! What every answer has in common: the request's id, the headers, the error body, one log line for a failure.

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use tower_http::catch_panic::CatchPanicLayer;

use crate::App;
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
    let request_id = Id::random();
    let method = request.method().clone();
    let uri = request.uri().clone();
    let is_api = uri.path().starts_with("/api/");
    let is_mobile = request.headers().contains_key("x-mobile-app");
    let had_cookie = session::has_cookie(request.headers());
    let length = uri.path_and_query().map_or(0, |text| text.as_str().len());
    let mut response = if length > app.config.service.maximum_url_length as usize {
        AppError::new(
            StatusCode::URI_TOO_LONG,
            "api.context.request_url_too_long.app_error",
            "The request's URL is longer than the server accepts.",
        )
        .into_response()
    } else {
        next.run(request).await
    };

    if let Some(error) = response.extensions_mut().remove::<AppError>() {
        log(&error, &method, uri.path(), request_id);
        let expired = error.status() == StatusCode::UNAUTHORIZED && had_cookie;
        let developer = app.config.service.enable_developer;
        let id = if error.id() == "api.context.404.app_error" { "" } else { request_id.as_str() };
        if is_api || is_mobile || error.status().is_server_error() || error.status() != StatusCode::NOT_FOUND
        {
            let head = std::mem::take(response.headers_mut());
            response = json_response(error.body_bytes(id, developer).into());
            response.headers_mut().extend(head.into_iter().filter_map(|(name, value)| {
                // The length was that of the empty body.
                name.filter(|name| name != header::CONTENT_LENGTH).map(|name| (name, value))
            }));
            *response.status_mut() = error.status();
        }
        if expired {
            response.headers_mut().append(header::SET_COOKIE, session::removed_cookie(&app.config));
        }
    }
    add_headers(&app, &mut response, request_id, is_api && (method == Method::GET || method == Method::HEAD));
    response
}

fn add_headers(app: &App, response: &mut Response, request_id: Id, is_api_get: bool) {
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.entry(name).or_insert(value);
        }
    };
    set(HeaderName::from_static("x-request-id"), request_id.as_str());
    set(HeaderName::from_static("x-version-id"), &app.version);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::REFERRER_POLICY, "no-referrer");
    set(HeaderName::from_static("permissions-policy"), "");
    if is_api_get {
        set(header::EXPIRES, "0");
    }
}

/// Faults of ours are errors; what clients do wrong is worth one line at info.
fn log(error: &AppError, method: &Method, path: &str, request_id: Id) {
    let (status, id, detail) = (error.status().as_u16(), error.id(), error.detail_text());
    if error.status().is_server_error() && error.status() != StatusCode::NOT_IMPLEMENTED {
        tracing::error!(%method, path, status, id, detail, %request_id, "a request failed");
    } else {
        tracing::info!(%method, path, status, id, detail, %request_id, "a request was refused");
    }
}

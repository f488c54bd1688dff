//! Answers to requests that match no route.

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::Method;

use crate::app::App;
use crate::error::AppError;
use crate::web;

/// The first part of every path in Mattermost's API v4.
const RESOURCES: &[&str] = &[
    "access_control_policies",
    "actions",
    "agents",
    "ai",
    "analytics",
    "audit_logs",
    "audits",
    "bots",
    "brand",
    "caches",
    "channels",
    "client_perf",
    "cloud",
    "cluster",
    "commands",
    "compliance",
    "config",
    "content_flagging",
    "custom_profile_attributes",
    "data_retention",
    "database",
    "drafts",
    "elasticsearch",
    "email",
    "emoji",
    "exports",
    "file",
    "files",
    "groups",
    "hooks",
    "hosted_customer",
    "image",
    "imports",
    "integrity",
    "ip_filtering",
    "jobs",
    "ldap",
    "license",
    "limits",
    "logs",
    "notifications",
    "oauth",
    "opengraph",
    "outgoing_oauth_connections",
    "permissions",
    "plugins",
    "posts",
    "reactions",
    "recaps",
    "redirect_location",
    "remotecluster",
    "reports",
    "restart",
    "roles",
    "saml",
    "scheduled",
    "schemes",
    "server_busy",
    "sharedchannels",
    "site_url",
    "sso_settings",
    "system",
    "teams",
    "terms_of_service",
    "trial-license",
    "upgrade_to_enterprise",
    "uploads",
    "usage",
    "users",
    "warn_metrics",
    "websocket",
];

/// 501 if Mattermost may have such a route, otherwise 404.
pub(super) async fn in_api(request: Request) -> AppError {
    let path = request.uri().path();
    let resource =
        path.trim_start_matches("/api/v4").trim_start_matches('/').split('/').next().unwrap_or_default();
    if RESOURCES.contains(&resource) {
        AppError::not_implemented(&format!("{} {path}", request.method()))
    } else {
        AppError::no_such_path(path)
    }
}

/// 501: this server has the path, but not with this method.
pub(super) async fn not_implemented(request: Request) -> AppError {
    AppError::not_implemented(&format!("{} {}", request.method(), request.uri().path()))
}

/// 404: a path that the local channel does not have.
pub(super) async fn nowhere(request: Request) -> AppError {
    AppError::no_such_path(request.uri().path())
}

/// The web client's page for every path that a browser's address bar may show; 404 for all others.
pub(super) async fn outside_api(State(app): State<App>, request: Request) -> Response {
    let path = request.uri().path();
    let is_page =
        !["/api/", "/hooks/", "/static/", "/plugins/"].iter().any(|prefix| path.starts_with(prefix));
    if is_page && (request.method() == Method::GET || request.method() == Method::HEAD) {
        return web::page(State(app)).await;
    }
    AppError::no_such_path(path).into_response()
}

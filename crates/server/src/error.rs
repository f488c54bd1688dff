//! [`AppError`]: an error that is sent to a client.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;

/// The error id for routes that Mattermost has and this server does not.
pub const NOT_IMPLEMENTED: &str = "api.not_implemented.app_error";

/// Mattermost's error body, before the request's id is known (`answer` adds it).
#[derive(Debug, Clone)]
pub(crate) struct AppError {
    status: StatusCode,
    id: Cow<'static, str>,
    message: Cow<'static, str>,
    detail: String,
}

pub(crate) type Result<T, E = AppError> = std::result::Result<T, E>;

/// The error as JSON, with the fields in Mattermost's order.
#[derive(Serialize)]
struct Wire<'a> {
    id: &'a str,
    message: &'a str,
    detailed_error: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    request_id: &'a str,
    status_code: u16,
}

impl AppError {
    pub(crate) fn new(
        status: StatusCode,
        id: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> AppError {
        AppError { status, id: id.into(), message: message.into(), detail: String::new() }
    }

    pub(crate) fn bad_request(id: &'static str, message: impl Into<Cow<'static, str>>) -> AppError {
        AppError::new(StatusCode::BAD_REQUEST, id, message)
    }

    pub(crate) fn forbidden(id: &'static str, message: impl Into<Cow<'static, str>>) -> AppError {
        AppError::new(StatusCode::FORBIDDEN, id, message)
    }

    pub(crate) fn not_found(id: &'static str, message: impl Into<Cow<'static, str>>) -> AppError {
        AppError::new(StatusCode::NOT_FOUND, id, message)
    }

    /// A body whose field `name` is missing or malformed.
    pub(crate) fn body(name: &str) -> AppError {
        AppError::bad_request(
            "api.context.invalid_body_param.app_error",
            format!("Invalid or missing {name} in request body."),
        )
    }

    /// A path or query parameter that is malformed.
    pub(crate) fn parameter(name: &str) -> AppError {
        AppError::bad_request(
            "api.context.invalid_url_param.app_error",
            format!("Invalid or missing {name} parameter in request URL."),
        )
    }

    /// A path that no route matches.
    pub(crate) fn no_such_path(path: &str) -> AppError {
        AppError::not_found("api.context.404.app_error", "Sorry, we could not find the page.")
            .detail(format!("There doesn't appear to be an api call for the url='{path}'."))
    }

    pub(crate) fn permission(name: &str) -> AppError {
        AppError::forbidden(
            "api.context.permissions.app_error",
            "You do not have the appropriate permissions.",
        )
        .detail(format!("permission={name}"))
    }

    pub(crate) fn session_expired() -> AppError {
        AppError::new(
            StatusCode::UNAUTHORIZED,
            "api.context.session_expired.app_error",
            "Invalid or expired session, please login again.",
        )
    }

    /// A fault of the server. The log has `cause`, and the body too if developer mode is on.
    pub(crate) fn internal(cause: impl std::fmt::Display) -> AppError {
        AppError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "app.internal.app_error",
            "The server could not do this because of a fault of its own. Its log has the cause.",
        )
        .detail(cause.to_string())
    }

    /// The database cannot be reached, or takes no logins yet: nothing was done, and the same request may succeed in a moment.
    pub(crate) fn database_away(cause: impl std::fmt::Display) -> AppError {
        AppError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "app.database.away.app_error",
            "The database is away at the moment. Try again in a few seconds.",
        )
        .detail(cause.to_string())
    }

    pub(crate) fn not_implemented(what: &str) -> AppError {
        AppError::new(
            StatusCode::NOT_IMPLEMENTED,
            NOT_IMPLEMENTED,
            "The built-in server does not implement this part of the API.",
        )
        .detail(what.to_owned())
    }

    pub(crate) fn detail(mut self, detail: String) -> AppError {
        self.detail = detail;
        self
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// What a person is told.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn detail_text(&self) -> &str {
        &self.detail
    }

    /// The error as JSON. The detail is for developers only (`ServiceSettings.EnableDeveloper`).
    fn wire<'a>(&'a self, request_id: &'a str, developer: bool) -> Wire<'a> {
        Wire {
            id: &self.id,
            message: &self.message,
            detailed_error: if developer { &self.detail } else { "" },
            request_id,
            status_code: self.status.as_u16(),
        }
    }

    /// The error in a websocket's reply.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::to_value(self.wire("", false)).unwrap_or_default()
    }

    /// The error as a response's body, in Mattermost's field order.
    pub(crate) fn body_bytes(&self, request_id: &str, developer: bool) -> Vec<u8> {
        serde_json::to_vec(&self.wire(request_id, developer)).unwrap_or_default()
    }
}

impl From<sqlx::Error> for AppError {
    /// A text that a column cannot store is the client's mistake: it contains a NUL character, or, on PostgreSQL (codes
    /// `22001`, `22021` and `22P05` in appendix A of its manual), is too long.
    fn from(error: sqlx::Error) -> AppError {
        let code = error.as_database_error().and_then(|cause| cause.code());
        let unstorable = matches!(error, sqlx::Error::Encode(_))
            || matches!(code.as_deref(), Some("22001" | "22021" | "22P05"));
        if unstorable {
            AppError::bad_request(
                "api.context.invalid_body_param.app_error",
                "A text in the request is too long, or holds a NUL character.",
            )
            .detail(error.to_string())
        } else if is_away(&error) {
            AppError::database_away(cause(&error))
        } else {
            AppError::internal(cause(&error))
        }
    }
}

/// Whether the database cannot be reached or takes no statements now. PostgreSQL says so in its codes (appendix A of its manual): connections
/// (`08`), too many of them (`53300`), shutting down, crashed and starting (`57P01` to `57P03`).
fn is_away(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => true,
        sqlx::Error::Database(cause) => cause.code().is_some_and(|code| {
            code.starts_with("08") || matches!(&*code, "53300" | "57P01" | "57P02" | "57P03")
        }),
        _ => false,
    }
}

/// What the log says of a database's error: the cause, where the error tells only its effect.
fn cause(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::PoolTimedOut => {
            "no connection to the database was free in time: all are busy, or the database server allows no more. \
             `SqlSettings.MaxOpenConns` is the most that this server opens; max_connections, and the role's and the \
             database's connection limit, are the most that a PostgreSQL server allows"
                .to_owned()
        }
        other => other.to_string(),
    }
}

impl IntoResponse for AppError {
    /// Puts the error into the response's extensions; `answer` writes the body, because it knows the request's id.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Whether `error` is a violated unique constraint.
pub(crate) fn is_duplicate(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|cause| cause.is_unique_violation())
}

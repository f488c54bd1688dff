//! Logging in and out.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::app::App;
use crate::clock;
use crate::error::{AppError, Result};
use crate::id::{self, Id};
use crate::json::{Json, StringMapBody, ok};
use crate::model::{Session, User};
use crate::password::Verdict;
use crate::session::{self, Caller, Visitor};
use crate::sql::Column;

pub(super) fn router() -> Router<App> {
    Router::new().route("/users/login", post(login)).route("/users/logout", post(logout))
}

async fn login(State(app): State<App>, headers: HeaderMap, body: StringMapBody) -> Result<Response> {
    let password = body.get("password");
    if password.is_empty() {
        return Err(AppError::bad_request(
            "api.user.login.blank_pwd.app_error",
            "Password field must not be blank.",
        ));
    }
    let user = authenticate(&app, body.get("id"), body.get("login_id"), password).await?;
    let session = open_session(&app, &user, &headers, body.get("device_id")).await?;

    let mut response = Json(&user).into_response();
    if let Ok(token) = HeaderValue::from_str(&session.token) {
        response.headers_mut().insert("token", token);
    }
    if headers.get("x-requested-with").is_some_and(|value| value == "XMLHttpRequest") {
        for cookie in session::cookies(&app.config, &session, &headers) {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
    Ok(response)
}

/// The account that the credentials belong to. The error is the same for a missing account, a deactivated account and
/// a wrong password.
async fn authenticate(app: &App, id: &str, login_id: &str, password: &str) -> Result<User> {
    let refused = || wrong_credentials(app);
    let id = find(app, id, login_id).await?.ok_or_else(refused)?;
    // One attempt per account at a time: parallel attempts could exceed the allowed number of guesses.
    let turn = app.login_turns.get_or_put(id, Arc::default);
    let _turn = turn.lock().await;
    let user = app.store.user(id).await?.ok_or_else(refused)?;
    if user.delete_at != 0 || user.password.is_empty() {
        return Err(refused());
    }
    if user.failed_attempts >= app.config.service.maximum_login_attempts {
        return Err(too_many_attempts());
    }
    let hash = match app.verify_password(password.to_owned(), user.password.clone()).await? {
        Verdict::Right => None,
        Verdict::RightButOutdated => Some(app.hash_password(password.to_owned()).await?),
        Verdict::Wrong => {
            app.store.count_failed_login(id).await?;
            return Err(refused());
        }
    };
    app.store.note_login(id, hash, user.password.clone()).await?;
    if app.config.email.require_email_verification && !user.email_verified {
        return Err(AppError::new(
            StatusCode::UNAUTHORIZED,
            "api.user.login.not_verified.app_error",
            "Login failed because email address has not been verified.",
        ));
    }
    app.store.user(id).await?.map(|user| User::clone(&user)).ok_or_else(refused)
}

async fn find(app: &App, id: &str, login_id: &str) -> Result<Option<Id>> {
    if let Some(id) = Id::parse(id) {
        return Ok(Some(id));
    }
    let allowed = &app.config.email;
    if allowed.enable_sign_in_with_username
        && let Some(user) = app.store.user_by_name(login_id).await?
    {
        return Ok(Some(user.id));
    }
    if allowed.enable_sign_in_with_email {
        return Ok(app.store.user_by_email(login_id).await?.map(|user| user.id));
    }
    Ok(None)
}

/// The account is locked until its password is reset.
pub(super) fn too_many_attempts() -> AppError {
    AppError::new(
        StatusCode::UNAUTHORIZED,
        "api.user.check_user_login_attempts.too_many.app_error",
        "Your account is locked because of too many failed password attempts. Please reset your password.",
    )
}

fn wrong_credentials(app: &App) -> AppError {
    let allowed = &app.config.email;
    let (id, message) = match (allowed.enable_sign_in_with_email, allowed.enable_sign_in_with_username) {
        (true, false) => ("api.user.login.invalid_credentials_email", "Enter a valid email and/or password."),
        (false, true) => {
            ("api.user.login.invalid_credentials_username", "Enter a valid username and/or password.")
        }
        _ => (
            "api.user.login.invalid_credentials_email_username",
            "Enter a valid email or username and/or password.",
        ),
    };
    AppError::new(StatusCode::UNAUTHORIZED, id, message)
}

async fn open_session(app: &App, user: &User, headers: &HeaderMap, device_id: &str) -> Result<Session> {
    let now = clock::now();
    let session = Session {
        id: Id::random(),
        token: id::random_text(id::LENGTH),
        create_at: now,
        expires_at: now + session::lifetime(&app.config, !device_id.is_empty()),
        last_activity_at: now,
        user_id: user.id,
        device_id: device_id.chars().take(512).collect(),
        roles: user.roles.clone(),
        props: Column(session::props(headers, Id::random())),
        ..Session::default()
    };
    let stored = session.clone();
    app.store.write(move |tx| Box::pin(async move { tx.insert_session(&stored).await })).await?;
    Ok(session)
}

/// Ends the session, if there is one, and removes the cookie in any case.
async fn logout(Visitor(caller): Visitor, State(app): State<App>) -> Result<Response> {
    if let Some(Caller { session, user, .. }) = caller {
        app.store.revoke_session(user.id, session.id).await?;
        app.hub.end_where(user.id, |connection| connection.session == session.id);
    }
    let mut response = ok().into_response();
    response.headers_mut().append(header::SET_COOKIE, session::removed_cookie(&app.config));
    Ok(response)
}

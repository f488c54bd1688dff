//! Logging in and out.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::{HeaderMap, HeaderValue, header};

use crate::app::App;
use crate::clock;
use crate::error::{AppError, Result};
use crate::id::{self, Id};
use crate::json::{Json, StringMapBody, ok};
use crate::model::{Session, User};
use crate::peer::Client;
use crate::session::{self, Caller, Kind, Visitor};
use crate::sign_in::{Credentials, sign_in};
use crate::sql::Column;

pub(super) fn router() -> Router<App> {
    Router::new().route("/users/login", post(login)).route("/users/logout", post(logout))
}

async fn login(
    State(app): State<App>,
    client: Client,
    headers: HeaderMap,
    body: StringMapBody,
) -> Result<Response> {
    let password = body.get("password");
    if password.is_empty() {
        return Err(AppError::bad_request(
            "api.user.login.blank_pwd.app_error",
            "Password field must not be blank.",
        ));
    }
    let credentials = Credentials { id: body.get("id"), login_id: body.get("login_id"), password };
    let user = sign_in(&app, client, &credentials).await?;
    let device = body.get("device_id");
    let kind = if device.is_empty() { Kind::Web } else { Kind::Mobile };
    let session = open_session(&app, &user, &headers, device, kind).await?;

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

/// Signs somebody in who has proved who they are.
pub(super) async fn open_session(
    app: &App,
    user: &User,
    headers: &HeaderMap,
    device_id: &str,
    kind: Kind,
) -> Result<Session> {
    let now = clock::now();
    let session = Session {
        id: Id::random(),
        token: id::random_text(id::LENGTH),
        create_at: now,
        expires_at: now + session::lifetime(&app.config, kind),
        last_activity_at: now,
        user_id: user.id,
        device_id: device_id.chars().take(512).collect(),
        roles: user.roles.clone(),
        props: Column(session::props(headers, Id::random(), kind)),
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

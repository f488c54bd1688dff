//! Sessions.

use axum::Router;
use axum::routing::{get, post};
use serde_json::Value;

use super::parameters::Params;
use crate::app::App;
use crate::error::{AppError, Result};
use crate::id::Id;
use crate::json::{Json, StringMapBody, ok};
use crate::model::Session;
use crate::session::Caller;

pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/users/{user_id}/sessions", get(list))
        .route("/users/{user_id}/sessions/revoke", post(revoke))
        .route("/users/{user_id}/sessions/revoke/all", post(revoke_all))
}

async fn list(caller: Caller, params: Params) -> Result<Json<Vec<Session>>> {
    let user = params.user(&caller)?;
    caller.must_act_for(user).await?;
    let sessions = caller.app.store.sessions_of(user).await?;
    Ok(Json(sessions.into_iter().map(Session::without_secrets).collect()))
}

async fn revoke(caller: Caller, params: Params, body: StringMapBody) -> Result<Json<Value>> {
    let user = params.user(&caller)?;
    caller.must_act_for(user).await?;
    let session = Id::parse(body.get("session_id")).ok_or_else(|| AppError::body("session_id"))?;
    if !caller.app.store.revoke_session(user, session).await? {
        return Err(AppError::bad_request(
            "app.session.get.app_error",
            "We encountered an error finding the session.",
        ));
    }
    caller.app.hub.end_where(user, |connection| connection.session == session);
    Ok(ok())
}

async fn revoke_all(caller: Caller, params: Params) -> Result<Json<Value>> {
    let user = params.user(&caller)?;
    caller.must_act_for(user).await?;
    caller.app.store.revoke_sessions(user).await?;
    caller.app.hub.end_where(user, |_| true);
    Ok(ok())
}

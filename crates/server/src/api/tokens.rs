//! Personal access tokens: made, listed and revoked on the local channel alone.
//!
//! They sign in while `ServiceSettings.EnableUserAccessTokens` is on, also where nobody signs in with a password.

use std::sync::atomic::Ordering;

use axum::Router;
use axum::routing::{get, post, put};
use serde_json::Value;

use super::parameters::Params;
use crate::app::App;
use crate::error::{AppError, Result};
use crate::id::{self, Id};
use crate::json::{Body, Json, StringMapBody, ok};
use crate::model::AccessToken;
use crate::permission::MANAGE_SYSTEM;
use crate::rules;
use crate::session::Caller;
use crate::store::no_such_user;

const SECTION: &str = "ServiceSettings";
const KEY: &str = "EnableUserAccessTokens";

/// The routes on the local channel.
pub(super) fn local_router() -> Router<App> {
    Router::new()
        .route("/users/{user_id}/tokens", get(list).post(create))
        .route("/users/tokens/revoke", post(revoke))
        .route("/config/patch", put(switch))
}

async fn create(caller: Caller, params: Params, body: StringMapBody) -> Result<Json<AccessToken>> {
    caller.must(MANAGE_SYSTEM).await?;
    let user_id = params.user(&caller)?;
    if !caller.app.access_tokens.load(Ordering::Relaxed) {
        return Err(AppError::new(
            http::StatusCode::NOT_IMPLEMENTED,
            "app.user_access_token.disabled",
            "Personal access tokens are disabled on this server.",
        ));
    }
    let description = body.get("description").to_owned();
    if description.is_empty() {
        return Err(AppError::body("description"));
    }
    rules::at_most(255, &description, "description")?;
    caller.app.store.user(user_id).await?.ok_or_else(no_such_user)?;
    let token = AccessToken {
        id: Id::random(),
        token: id::random_text(id::LENGTH),
        user_id,
        description,
        is_active: true,
    };
    caller.app.store.save_access_token(token.clone()).await?;
    Ok(Json(token))
}

async fn list(caller: Caller, params: Params) -> Result<Json<Vec<AccessToken>>> {
    caller.must(MANAGE_SYSTEM).await?;
    let tokens = caller.app.store.access_tokens_of(params.user(&caller)?).await?;
    Ok(Json(tokens.into_iter().map(|token| AccessToken { token: String::new(), ..token }).collect()))
}

async fn revoke(caller: Caller, body: StringMapBody) -> Result<Json<Value>> {
    caller.must(MANAGE_SYSTEM).await?;
    let id = Id::parse(body.get("token_id")).ok_or_else(|| AppError::body("token_id"))?;
    let user = caller.app.store.revoke_access_token(id).await?.ok_or_else(|| {
        AppError::not_found("app.user_access_token.get_by_user.app_error", "Unable to find the access token.")
    })?;
    caller.app.hub.end_where(user, |connection| connection.session == id);
    Ok(ok())
}

/// Switches tokens on or off until the server ends. Every other setting is read when the server starts: 501.
async fn switch(caller: Caller, Body(patch): Body<serde_json::Map<String, Value>>) -> Result<Json<Value>> {
    caller.must(MANAGE_SYSTEM).await?;
    // Names of sections come in lower case out of `Body`.
    let section = patch.get(&SECTION.to_ascii_lowercase()).and_then(Value::as_object);
    let wanted = section.filter(|keys| patch.len() == 1 && keys.len() == 1).and_then(|keys| keys.get(KEY));
    let Some(wanted) = wanted.and_then(Value::as_bool) else {
        return Err(AppError::not_implemented("a change of settings while the server runs"));
    };
    caller.app.access_tokens.store(wanted, Ordering::Relaxed);
    let mut settings = caller.app.config.masked();
    settings[SECTION][KEY] = wanted.into();
    Ok(Json(settings))
}

//! Personal access tokens: made, listed, switched and revoked by those who may, for themselves, and by administrators for anybody.
//!
//! They sign in while `ServiceSettings.EnableUserAccessTokens` is on, also where nobody signs in with a password.

use std::sync::atomic::Ordering;

use axum::Router;
use axum::routing::{get, post, put};
use serde_json::Value;

use super::parameters::{Params, Search};
use crate::app::App;
use crate::bounds::SEARCH_TERM;
use crate::error::{AppError, Result};
use crate::id::{self, Id};
use crate::json::{Body, Json, StringMapBody, ok};
use crate::model::AccessToken;
use crate::permission::{
    CREATE_USER_ACCESS_TOKEN, MANAGE_SYSTEM, READ_USER_ACCESS_TOKEN, REVOKE_USER_ACCESS_TOKEN,
};
use crate::rules;
use crate::session::Caller;
use crate::store::no_such_user;

const SECTION: &str = "ServiceSettings";
const KEY: &str = "EnableUserAccessTokens";

pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/users/{user_id}/tokens", get(list).post(create))
        .route("/users/tokens", get(list_all))
        .route("/users/tokens/search", post(search))
        .route("/users/tokens/revoke", post(revoke))
        .route("/users/tokens/disable", post(disable))
        .route("/users/tokens/enable", post(enable))
        .route("/users/tokens/{token_id}", get(one))
}

/// The routes on the local channel.
pub(super) fn local_router() -> Router<App> {
    Router::new()
        .route("/users/{user_id}/tokens", get(list).post(create))
        .route("/users/tokens/revoke", post(revoke))
        .route("/config/patch", put(switch))
}

/// Refuses what a caller may not do with the tokens of `user`.
async fn must(caller: &Caller, user: Id, permission: &str) -> Result<()> {
    caller.must(permission).await?;
    if caller.is_local() { Ok(()) } else { caller.must_act_for(user).await }
}

async fn create(caller: Caller, params: Params, body: StringMapBody) -> Result<Json<AccessToken>> {
    let user_id = params.user(&caller)?;
    must(&caller, user_id, CREATE_USER_ACCESS_TOKEN).await?;
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
    let user = caller.app.store.user(user_id).await?.ok_or_else(no_such_user)?;
    // Who may edit accounts may not become an administrator by a token of one.
    if user_id != caller.user.id && user.roles.split_whitespace().any(|role| role == "system_admin") {
        caller.must(MANAGE_SYSTEM).await?;
    }
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

/// Tokens as lists show them: whoever made one has seen it once.
fn without_secrets(tokens: Vec<AccessToken>) -> Json<Vec<AccessToken>> {
    Json(tokens.into_iter().map(AccessToken::without_secret).collect())
}

async fn list(caller: Caller, params: Params) -> Result<Json<Vec<AccessToken>>> {
    let user = params.user(&caller)?;
    must(&caller, user, READ_USER_ACCESS_TOKEN).await?;
    Ok(without_secrets(caller.app.store.access_tokens_of(user).await?))
}

async fn list_all(caller: Caller, query: Search) -> Result<Json<Vec<AccessToken>>> {
    caller.must(MANAGE_SYSTEM).await?;
    let paging = query.paging();
    Ok(without_secrets(caller.app.store.access_tokens("", paging.offset(), paging.per_page).await?))
}

async fn search(caller: Caller, body: StringMapBody) -> Result<Json<Vec<AccessToken>>> {
    caller.must(MANAGE_SYSTEM).await?;
    let term = body.get("term");
    if term.is_empty() {
        return Err(AppError::body("term"));
    }
    rules::at_most(SEARCH_TERM, term, "term")?;
    Ok(without_secrets(caller.app.store.access_tokens(term, 0, 100).await?))
}

/// The token `id`, if the caller may do this with it. Others do not learn whether it exists.
async fn managed(caller: &Caller, id: Option<Id>, permission: &str) -> Result<AccessToken> {
    caller.must(permission).await?;
    let id = id.ok_or_else(|| AppError::body("token_id"))?;
    let token = caller.app.store.access_token_by_id(id).await?.ok_or_else(no_such_token)?;
    must(caller, token.user_id, permission).await.map_err(|_| no_such_token())?;
    Ok(token)
}

async fn one(caller: Caller, params: Params) -> Result<Json<AccessToken>> {
    let token = managed(&caller, Some(params.id("token_id")?), READ_USER_ACCESS_TOKEN).await?;
    Ok(Json(token.without_secret()))
}

async fn revoke(caller: Caller, body: StringMapBody) -> Result<Json<Value>> {
    let token = managed(&caller, Id::parse(body.get("token_id")), REVOKE_USER_ACCESS_TOKEN).await?;
    caller.app.store.revoke_access_token(token.id).await?.ok_or_else(no_such_token)?;
    caller.app.hub.end_where(token.user_id, |connection| connection.session == token.id);
    Ok(ok())
}

async fn disable(caller: Caller, body: StringMapBody) -> Result<Json<Value>> {
    let token = managed(&caller, Id::parse(body.get("token_id")), REVOKE_USER_ACCESS_TOKEN).await?;
    caller.app.store.switch_access_token(token.id, false).await?;
    caller.app.hub.end_where(token.user_id, |connection| connection.session == token.id);
    Ok(ok())
}

async fn enable(caller: Caller, body: StringMapBody) -> Result<Json<Value>> {
    let token = managed(&caller, Id::parse(body.get("token_id")), CREATE_USER_ACCESS_TOKEN).await?;
    caller.app.store.switch_access_token(token.id, true).await?;
    Ok(ok())
}

fn no_such_token() -> AppError {
    AppError::not_found("app.user_access_token.get_by_user.app_error", "Unable to find the access token.")
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

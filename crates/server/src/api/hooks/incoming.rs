//! Incoming webhooks: making, listing, changing and deleting them.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::parameters::{Params, Search};
use super::{check_texts, must_be_on};
use crate::app::App;
use crate::clock;
use crate::error::{AppError, Result};
use crate::id::Id;
use crate::json::{Body, Json, created, ok};
use crate::model::{Channel, ChannelKind, IncomingHook};
use crate::permission::{
    BYPASS_INCOMING_WEBHOOK_CHANNEL_LOCK, MANAGE_OTHERS_INCOMING_WEBHOOKS, MANAGE_OWN_INCOMING_WEBHOOKS,
    READ_CHANNEL_CONTENT,
};
use crate::session::Caller;
use crate::store::{HookFilter, no_such_user};

pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/hooks/incoming", post(create).get(list))
        .route("/hooks/incoming/{hook_id}", get(one).put(update).delete(delete))
}

fn are_on(caller: &Caller) -> Result<()> {
    let enabled = caller.app.config.service.enable_incoming_webhooks;
    must_be_on(enabled, "api.incoming_webhook.disabled.app_error", "Incoming webhooks")
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct HookRequest {
    channel_id: String,
    user_id: String,
    display_name: String,
    description: String,
    username: String,
    icon_url: String,
    channel_locked: bool,
}

async fn create(caller: Caller, Body(new): Body<HookRequest>) -> Result<(StatusCode, Json<IncomingHook>)> {
    are_on(&caller)?;
    let channel = requested_channel(&caller, &new).await?;
    caller.must_in_team(channel.team_id, MANAGE_OWN_INCOMING_WEBHOOKS).await?;
    check_texts(&new.display_name, &new.description, &new.username, &new.icon_url)?;
    let user_id = match new.user_id.as_str() {
        "" => caller.user.id,
        text => Id::parse(text).ok_or_else(|| AppError::body("user_id"))?,
    };
    if user_id.is_none() {
        return Err(AppError::body("user_id"));
    }
    let owner = if user_id == caller.user.id {
        caller.clone()
    } else {
        caller.must_in_team(channel.team_id, MANAGE_OTHERS_INCOMING_WEBHOOKS).await?;
        Caller::acting_for(&caller.app, caller.app.store.user(user_id).await?.ok_or_else(no_such_user)?)
    };
    may_post(&owner, &channel).await?;
    let now = clock::now();
    let hook = IncomingHook {
        id: Id::random(),
        create_at: now,
        update_at: now,
        user_id,
        channel_id: channel.id,
        team_id: channel.team_id,
        display_name: new.display_name,
        description: new.description,
        username: new.username,
        icon_url: new.icon_url,
        channel_locked: new.channel_locked,
        ..IncomingHook::default()
    };
    caller.app.store.create_incoming_hook(hook.clone()).await?;
    Ok(created(hook))
}

/// The channel of a request, which must belong to a team.
async fn requested_channel(caller: &Caller, request: &HookRequest) -> Result<std::sync::Arc<Channel>> {
    let id = Id::parse(&request.channel_id).ok_or_else(|| AppError::body("channel_id"))?;
    let channel = caller.channel(id).await?;
    if channel.is_direct_or_group() || channel.delete_at != 0 {
        return Err(AppError::body("channel_id"));
    }
    Ok(channel)
}

/// Refuses a private channel that the owner of a webhook is not in.
pub(super) async fn may_post(owner: &Caller, channel: &Channel) -> Result<()> {
    match channel.kind() {
        ChannelKind::Public => Ok(()),
        _ => owner.must_in_channel(channel, READ_CHANNEL_CONTENT).await,
    }
}

async fn list(caller: Caller, query: Search) -> Result<Response> {
    are_on(&caller)?;
    let team = query.id("team_id")?.unwrap_or_default();
    caller.must_in_team(team, MANAGE_OWN_INCOMING_WEBHOOKS).await?;
    let all = caller.may_in_team(team, MANAGE_OTHERS_INCOMING_WEBHOOKS).await?;
    let owner = if all { Id::NONE } else { caller.user.id };
    let paging = query.paging();
    let filter = HookFilter { team, owner, ..HookFilter::default() };
    let (hooks, count) = caller.app.store.incoming_hooks(filter, (paging.offset(), paging.per_page)).await?;
    Ok(match query.flag("include_total_count") {
        true => Json(json!({"incoming_webhooks": hooks, "total_count": count})).into_response(),
        false => Json(hooks).into_response(),
    })
}

/// The webhook that a request names, if the caller may manage it.
async fn managed(caller: &Caller, params: &Params) -> Result<IncomingHook> {
    are_on(caller)?;
    let hook = caller.app.store.incoming_hook(params.id("hook_id")?).await?.ok_or_else(no_such_hook)?;
    caller.must_in_team(hook.team_id, MANAGE_OWN_INCOMING_WEBHOOKS).await?;
    if hook.user_id != caller.user.id {
        caller.must_in_team(hook.team_id, MANAGE_OTHERS_INCOMING_WEBHOOKS).await?;
    }
    Ok(hook)
}

async fn one(caller: Caller, params: Params) -> Result<Json<IncomingHook>> {
    managed(&caller, &params).await.map(Json)
}

async fn update(
    caller: Caller,
    params: Params,
    Body(change): Body<HookRequest>,
) -> Result<Json<IncomingHook>> {
    let hook = managed(&caller, &params).await?;
    check_texts(&change.display_name, &change.description, &change.username, &change.icon_url)?;
    let channel = requested_channel(&caller, &change).await?;
    if channel.team_id != hook.team_id {
        return Err(AppError::bad_request(
            "api.webhook.team_mismatch.app_error",
            "Unable to update webhook across teams.",
        ));
    }
    may_post(&caller, &channel).await?;
    if hook.channel_locked && !change.channel_locked {
        caller.must_in_team(hook.team_id, BYPASS_INCOMING_WEBHOOK_CHANNEL_LOCK).await?;
    }
    let hook = IncomingHook {
        update_at: clock::now(),
        channel_id: channel.id,
        display_name: change.display_name,
        description: change.description,
        username: change.username,
        icon_url: change.icon_url,
        channel_locked: change.channel_locked,
        ..hook
    };
    caller.app.store.update_incoming_hook(hook.clone()).await?;
    Ok(Json(hook))
}

async fn delete(caller: Caller, params: Params) -> Result<Json<Value>> {
    let hook = managed(&caller, &params).await?;
    caller.app.store.update_incoming_hook(hook.deleted()).await?;
    Ok(ok())
}

fn no_such_hook() -> AppError {
    AppError::not_found("app.webhooks.get_incoming.app_error", "Unable to get the webhook.")
}

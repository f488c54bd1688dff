//! Outgoing webhooks: making, listing, changing and deleting them.

use axum::Router;
use axum::routing::{get, post};
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::super::parameters::{Params, Search};
use super::trigger;
use super::{check_texts, is_address, must_be_on};
use crate::app::App;
use crate::bounds::HOOK_LIST;
use crate::clock;
use crate::error::{AppError, Result};
use crate::id::{self, Id};
use crate::json::{Body, Json, created, ok};
use crate::model::{ChannelKind, OutgoingHook};
use crate::permission::{MANAGE_OTHERS_OUTGOING_WEBHOOKS, MANAGE_OWN_OUTGOING_WEBHOOKS};
use crate::rules;
use crate::session::Caller;
use crate::sql::Column;
use crate::store::HookFilter;

pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/hooks/outgoing", post(create).get(list))
        .route("/hooks/outgoing/{hook_id}", get(one).put(update).delete(delete))
        .route("/hooks/outgoing/{hook_id}/regen_token", post(renew_token))
}

fn are_on(caller: &Caller) -> Result<()> {
    let enabled = caller.app.config.service.enable_outgoing_webhooks;
    must_be_on(enabled, "api.outgoing_webhook.disabled.app_error", "Outgoing webhooks")
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct HookRequest {
    team_id: String,
    channel_id: String,
    trigger_words: Vec<String>,
    trigger_when: i64,
    callback_urls: Vec<String>,
    display_name: String,
    description: String,
    content_type: String,
    username: String,
    icon_url: String,
}

impl HookRequest {
    /// `hook` with what the request says, if that is a webhook that can be told something.
    async fn apply(self, caller: &Caller, hook: OutgoingHook) -> Result<OutgoingHook> {
        check_texts(&self.display_name, &self.description, &self.username, &self.icon_url)?;
        let channel_id = match self.channel_id.as_str() {
            "" => Id::NONE,
            text => Id::parse(text).ok_or_else(|| AppError::body("channel_id"))?,
        };
        if !channel_id.is_none() {
            let channel = caller.channel(channel_id).await?;
            if channel.kind() != ChannelKind::Public {
                return Err(AppError::forbidden(
                    "api.webhook.create_outgoing.not_open.app_error",
                    "Outgoing webhooks can only be created for public channels.",
                ));
            }
            if channel.team_id != hook.team_id {
                return Err(AppError::body("channel_id"));
            }
        } else if self.trigger_words.is_empty() {
            return Err(AppError::bad_request(
                "api.webhook.create_outgoing.triggers.app_error",
                "Either trigger_words or channel_id must be set.",
            ));
        }
        if self.trigger_words.iter().any(|word| word.trim().is_empty()) {
            return Err(AppError::body("trigger_words"));
        }
        if self.callback_urls.is_empty() || !self.callback_urls.iter().all(|url| is_address(url)) {
            return Err(AppError::body("callback_urls"));
        }
        if !(trigger::EXACT..=trigger::BEGINS).contains(&self.trigger_when) {
            return Err(AppError::body("trigger_when"));
        }
        if !["", "application/x-www-form-urlencoded", "application/json"].contains(&&*self.content_type) {
            return Err(AppError::body("content_type"));
        }
        rules::at_most(HOOK_LIST, &rules::json(&self.trigger_words), "trigger_words")?;
        rules::at_most(HOOK_LIST, &rules::json(&self.callback_urls), "callback_urls")?;
        let made = OutgoingHook {
            channel_id,
            trigger_words: Column(self.trigger_words),
            trigger_when: self.trigger_when,
            callback_urls: Column(self.callback_urls),
            display_name: self.display_name,
            description: self.description,
            content_type: self.content_type,
            username: self.username,
            icon_url: self.icon_url,
            ..hook
        };
        let others = caller.app.store.outgoing_hooks_of(made.team_id).await?;
        if others.iter().any(|other| other.id != made.id && trigger::intersect(other, &made)) {
            return Err(AppError::bad_request(
                "api.webhook.create_outgoing.intersect.app_error",
                "Outgoing webhooks from the same channel cannot have the same trigger words/callback URLs.",
            ));
        }
        Ok(made)
    }
}

async fn create(caller: Caller, Body(new): Body<HookRequest>) -> Result<(StatusCode, Json<OutgoingHook>)> {
    are_on(&caller)?;
    let team_id = Id::parse(&new.team_id).ok_or_else(|| AppError::body("team_id"))?;
    caller.must_in_team(team_id, MANAGE_OWN_OUTGOING_WEBHOOKS).await?;
    caller.team(team_id).await?;
    // It answers in the name of who made it.
    let creator = caller.account().ok_or_else(|| AppError::body("creator_id"))?;
    let now = clock::now();
    let hook = OutgoingHook {
        id: Id::random(),
        token: id::random_text(id::LENGTH),
        create_at: now,
        update_at: now,
        creator_id: creator.id,
        team_id,
        ..OutgoingHook::default()
    };
    let hook = new.apply(&caller, hook).await?;
    caller.app.store.create_outgoing_hook(hook.clone()).await?;
    Ok(created(hook))
}

async fn list(caller: Caller, query: Search) -> Result<Json<Vec<OutgoingHook>>> {
    are_on(&caller)?;
    let channel = query.id("channel_id")?.unwrap_or_default();
    let team = match channel.is_none() {
        true => query.id("team_id")?.unwrap_or_default(),
        false => caller.channel(channel).await?.team_id,
    };
    caller.must_in_team(team, MANAGE_OWN_OUTGOING_WEBHOOKS).await?;
    let all = caller.may_in_team(team, MANAGE_OTHERS_OUTGOING_WEBHOOKS).await?;
    let owner = if all { Id::NONE } else { caller.user.id };
    let paging = query.paging();
    let filter = HookFilter { team, channel, owner };
    Ok(Json(caller.app.store.outgoing_hooks(filter, (paging.offset(), paging.per_page)).await?))
}

/// The webhook that a request names, if the caller may manage it.
async fn managed(caller: &Caller, params: &Params) -> Result<OutgoingHook> {
    are_on(caller)?;
    let hook = caller.app.store.outgoing_hook(params.id("hook_id")?).await?;
    let hook = hook.ok_or_else(|| {
        AppError::not_found("app.webhooks.get_outgoing.app_error", "Unable to get the webhook.")
    })?;
    caller.must_in_team(hook.team_id, MANAGE_OWN_OUTGOING_WEBHOOKS).await?;
    if hook.creator_id != caller.user.id {
        caller.must_in_team(hook.team_id, MANAGE_OTHERS_OUTGOING_WEBHOOKS).await?;
    }
    Ok(hook)
}

async fn one(caller: Caller, params: Params) -> Result<Json<OutgoingHook>> {
    managed(&caller, &params).await.map(Json)
}

async fn update(
    caller: Caller,
    params: Params,
    Body(change): Body<HookRequest>,
) -> Result<Json<OutgoingHook>> {
    let hook = managed(&caller, &params).await?;
    let hook = change.apply(&caller, OutgoingHook { update_at: clock::now(), ..hook }).await?;
    caller.app.store.update_outgoing_hook(hook.clone()).await?;
    Ok(Json(hook))
}

async fn renew_token(caller: Caller, params: Params) -> Result<Json<OutgoingHook>> {
    let hook = managed(&caller, &params).await?;
    let hook = OutgoingHook { token: id::random_text(id::LENGTH), update_at: clock::now(), ..hook };
    caller.app.store.update_outgoing_hook(hook.clone()).await?;
    Ok(Json(hook))
}

async fn delete(caller: Caller, params: Params) -> Result<Json<Value>> {
    let hook = managed(&caller, &params).await?;
    caller.app.store.update_outgoing_hook(hook.deleted()).await?;
    Ok(ok())
}

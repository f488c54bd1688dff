//! Drafts, synchronised between a user's clients.

use axum::Router;
use axum::routing::{delete, get, post};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::channels::archiving;
use super::parameters::Params;
use crate::app::App;
use crate::bounds::{DRAFT_PRIORITY, DRAFT_PROPS, POST_FILES, POST_MESSAGE, POST_TYPE};
use crate::clock;
use crate::error::{AppError, Result};
use crate::event::{Broadcast, nested};
use crate::id::Id;
use crate::json::{Body, Json, created, ok};
use crate::model::{Draft, Props};
use crate::permission::{CREATE_POST, VIEW_TEAM};
use crate::rules;
use crate::session::Caller;
use crate::sql::Column;

pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/drafts", post(save))
        .route("/users/{user_id}/teams/{team_id}/drafts", get(list))
        .route("/users/{user_id}/channels/{channel_id}/drafts", delete(remove))
        .route("/users/{user_id}/channels/{channel_id}/drafts/{thread_id}", delete(remove_in_thread))
}

fn must_be_on(caller: &Caller) -> Result<()> {
    if caller.app.config.service.allow_synced_drafts {
        return Ok(());
    }
    let message = "Drafts are not kept on this server.";
    Err(AppError::new(StatusCode::NOT_IMPLEMENTED, "api.drafts.disabled.app_error", message))
}

async fn list(caller: Caller, params: Params) -> Result<Json<Vec<Draft>>> {
    must_be_on(&caller)?;
    let (user, team) = (params.user(&caller)?, params.id("team_id")?);
    caller.must_act_for(user).await?;
    caller.must_in_team(team, VIEW_TEAM).await?;
    Ok(Json(caller.app.store.drafts(user, team).await?))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NewDraft {
    channel_id: String,
    root_id: String,
    message: String,
    props: Props,
    file_ids: Vec<String>,
    priority: Value,
    #[serde(rename = "type")]
    kind: String,
}

async fn save(caller: Caller, Body(new): Body<NewDraft>) -> Result<(StatusCode, Json<Draft>)> {
    must_be_on(&caller)?;
    let channel =
        caller.channel(Id::parse(&new.channel_id).ok_or_else(|| AppError::body("channel_id"))?).await?;
    caller.must_in_channel(&channel, CREATE_POST).await?;
    archiving::refuse(
        &channel,
        "api.draft.create_draft.can_not_draft_to_deleted.error",
        "Can not save draft to deleted channel",
    )?;
    let root_id = match new.root_id.as_str() {
        "" => Id::NONE,
        root => Id::parse(root).ok_or_else(|| AppError::body("root_id"))?,
    };
    rules::at_most(POST_MESSAGE, &new.message, "message")?;
    rules::at_most(DRAFT_PROPS, &rules::json(&new.props), "props")?;
    rules::at_most(DRAFT_PRIORITY, &rules::json(&new.priority), "priority")?;
    rules::at_most(POST_TYPE, &new.kind, "type")?;
    if new.file_ids.len() > POST_FILES {
        return Err(AppError::body("file_ids"));
    }
    let now = clock::now();
    let draft = Draft {
        create_at: now,
        update_at: now,
        user_id: caller.user.id,
        channel_id: channel.id,
        root_id,
        message: new.message,
        props: Column(new.props),
        file_ids: Column(new.file_ids.iter().filter_map(|id| Id::parse(id)).collect()),
        priority: Column(new.priority),
        kind: new.kind,
        ..Draft::default()
    };
    caller.app.store.save_draft(draft.clone()).await?;
    let data = json!({"draft": nested(&draft)});
    caller.app.publish("draft_updated", &data, Broadcast::user(caller.user.id)).await;
    Ok(created(draft))
}

async fn remove(caller: Caller, params: Params) -> Result<Json<Value>> {
    forget(&caller, &params, Id::NONE).await
}

async fn remove_in_thread(caller: Caller, params: Params) -> Result<Json<Value>> {
    forget(&caller, &params, params.id("thread_id")?).await
}

/// Deletes a draft. Clients ask for this after every post, so a draft that does not exist is not an error.
async fn forget(caller: &Caller, params: &Params, root_id: Id) -> Result<Json<Value>> {
    must_be_on(caller)?;
    let (user, channel_id) = (params.user(caller)?, params.id("channel_id")?);
    caller.must_act_for(user).await?;
    if caller.app.store.delete_draft(user, channel_id, root_id).await? {
        let gone = Draft { user_id: user, channel_id, root_id, ..Draft::default() };
        caller.app.publish("draft_deleted", &json!({"draft": nested(&gone)}), Broadcast::user(user)).await;
    }
    Ok(ok())
}

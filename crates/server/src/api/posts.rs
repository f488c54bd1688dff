//! Posts: creating, changing and deleting them.

mod completion;
mod flagged;
mod pages;
mod posting;

use axum::Router;
use axum::routing::{get, post, put};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::channels::archiving;
use super::parameters::{Params, Search, parse_ids};
use crate::app::App;
use crate::clock;
use crate::error::{AppError, Result};
use crate::event::{Broadcast, nested};
use crate::id::Id;
use crate::json::{Body, FlagsBody, Json, ok};
use crate::mention;
use crate::model::{Channel, FileInfo, Post, PostList, Props};
use crate::permission::{
    CREATE_POST, DELETE_OTHERS_POSTS, DELETE_POST, EDIT_OTHERS_POSTS, EDIT_POST, MANAGE_SYSTEM,
    READ_CHANNEL_CONTENT,
};
use crate::rules;
use crate::session::Caller;
use crate::sql::Column;
pub(super) use posting::{Message, ephemeral, post_message, publish_posted};

pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/posts", post(posting::create))
        .route("/posts/ids", post(by_ids))
        .route("/posts/{post_id}", get(one).put(update).delete(delete))
        .route("/posts/{post_id}/patch", put(patch))
        .route("/posts/{post_id}/pin", post(pin))
        .route("/posts/{post_id}/unpin", post(unpin))
        .route("/posts/{post_id}/files/info", get(files))
        .route("/posts/{post_id}/info", get(info))
        .route("/channels/{channel_id}/pinned", get(pinned))
        .route("/users/{user_id}/posts/{post_id}/set_unread", post(set_unread))
        .merge(flagged::router())
        .merge(pages::router())
}

async fn one(caller: Caller, params: Params, query: Search) -> Result<Json<Post>> {
    query.refuse(&["include_deleted"])?;
    let (post, _) = caller.readable_post(params.id("post_id")?).await?;
    caller.complete_one(post).await.map(Json)
}

async fn by_ids(caller: Caller, Body(ids): Body<Vec<String>>) -> Result<Json<Vec<Post>>> {
    let ids = parse_ids(&ids, "post_ids")?;
    let mut readable = Vec::new();
    for post in caller.app.store.posts_by_ids(&ids).await? {
        let channel = caller.channel(post.channel_id).await?;
        if caller.must_read(&channel).await.is_ok() {
            readable.push(post);
        }
    }
    Ok(Json(caller.complete(readable).await?))
}

async fn files(caller: Caller, params: Params) -> Result<Json<Vec<FileInfo>>> {
    let (post, _) = caller.readable_post(params.id("post_id")?).await?;
    Ok(Json(caller.app.store.files_of_posts(&[post.id]).await?))
}

/// Where a post is, for a client that follows a link to it.
async fn info(caller: Caller, params: Params) -> Result<Json<Value>> {
    let (_, channel) = caller.readable_post(params.id("post_id")?).await?;
    let store = &caller.app.store;
    let team = match channel.team_id {
        Id::NONE => None,
        id => Some(caller.team(id).await?),
    };
    let in_team = match &team {
        Some(team) => {
            store.team_member(team.id, caller.user.id).await?.is_some_and(|member| member.delete_at == 0)
        }
        None => false,
    };
    let of_team = |field: fn(&crate::model::Team) -> &str| team.as_ref().map_or("", |team| field(team));
    Ok(Json(json!({
        "channel_id": channel.id,
        "channel_type": channel.kind,
        "channel_display_name": channel.display_name,
        "has_joined_channel": store.channel_member(channel.id, caller.user.id).await?.is_some(),
        "team_id": channel.team_id,
        "team_type": of_team(|team| &team.kind),
        "team_display_name": of_team(|team| &team.display_name),
        "has_joined_team": in_team,
    })))
}

async fn pinned(caller: Caller, params: Params) -> Result<Json<PostList>> {
    let channel = caller.channel(params.id("channel_id")?).await?;
    caller.must_read(&channel).await?;
    let posts = caller.app.store.pinned_posts(channel.id).await?;
    Ok(Json(PostList::of(caller.complete(posts).await?)))
}

/// The fields of a post that may change; absent fields stay as they are.
#[derive(Default, Deserialize)]
#[serde(default)]
struct PostPatch {
    id: Option<String>,
    message: Option<String>,
    props: Option<Props>,
    is_pinned: Option<bool>,
    file_ids: Option<Vec<String>>,
}

/// Takes the whole post. An absent message is an empty one, and the id must equal the path's.
async fn update(caller: Caller, params: Params, Body(whole): Body<PostPatch>) -> Result<Json<Post>> {
    let id = params.id("post_id")?;
    if whole.id.as_deref() != Some(id.as_str()) {
        return Err(AppError::body("id"));
    }
    let message = Some(whole.message.unwrap_or_default());
    let (current, channel) = caller.readable_post(id).await?;
    must_edit(&caller, &current, &channel).await?;
    archiving::refuse(
        &channel,
        "api.post.update_post.can_not_update_post_in_deleted.error",
        "Can not update a post in a deleted channel.",
    )?;
    change(&caller, &current, PostPatch { message, ..whole }).await
}

async fn patch(caller: Caller, params: Params, Body(patch): Body<PostPatch>) -> Result<Json<Post>> {
    let (current, channel) = caller.readable_post(params.id("post_id")?).await?;
    must_edit(&caller, &current, &channel).await?;
    must_be_active(&channel)?;
    change(&caller, &current, patch).await
}

/// Refuses to patch a post in an archived channel.
fn must_be_active(channel: &Channel) -> Result<()> {
    archiving::refuse(
        channel,
        "api.post.patch_post.can_not_update_post_in_deleted.error",
        "Can not update a post in a deleted channel.",
    )
}

async fn change(caller: &Caller, current: &Post, patch: PostPatch) -> Result<Json<Post>> {
    rules::check_message(patch.message.as_deref().unwrap_or_default())?;
    if let Some(props) = &patch.props {
        rules::check_props(props)?;
    }
    let files = patch.file_ids.map(|ids| ids.iter().filter_map(|id| Id::parse(id)).collect::<Vec<_>>());
    rules::check_files(files.as_ref().map_or(0, Vec::len))?;
    let edited = patch.message.as_ref().is_some_and(|message| *message != current.message)
        || files.as_ref().is_some_and(|files| *files != current.file_ids.0);
    let changed = caller.app.store.update_post(current.id, edited, move |post| {
        if let Some(message) = patch.message {
            post.hashtags = mention::hashtags(&message);
            post.message = message;
        }
        if let Some(props) = patch.props {
            post.props = Column(props);
        }
        if let Some(files) = files {
            post.file_ids = Column(files);
        }
        post.is_pinned = patch.is_pinned.unwrap_or(post.is_pinned);
        Ok(())
    });
    let post = caller.complete_one(changed.await?).await?;
    publish(caller, "post_edited", &post).await;
    Ok(Json(post))
}

async fn must_edit(caller: &Caller, post: &Post, channel: &Channel) -> Result<()> {
    caller.must_in_channel(channel, EDIT_POST).await?;
    if post.user_id != caller.user.id {
        caller.must_in_channel(channel, EDIT_OTHERS_POSTS).await?;
    }
    if post.kind.starts_with("system_") {
        return Err(AppError::bad_request(
            "api.post.update_post.system_message.app_error",
            "Unable to update system message.",
        ));
    }
    let limit = caller.app.config.service.post_edit_time_limit;
    if limit >= 0 && clock::now() > post.create_at + limit.saturating_mul(1000) {
        return Err(AppError::bad_request(
            "api.post.update_post.permissions_time_limit.app_error",
            format!("Post edit is only allowed for {limit} seconds."),
        ));
    }
    Ok(())
}

async fn publish(caller: &Caller, event: &str, post: &Post) {
    let data = json!({"post": nested(post)});
    caller.app.publish(event, &data, Broadcast::channel(post.channel_id)).await;
}

/// Marks a post and its replies as deleted, or deletes them for good.
async fn delete(caller: Caller, params: Params, query: Search) -> Result<Json<Value>> {
    let id = params.id("post_id")?;
    if query.flag("permanent") {
        return erase(&caller, id).await;
    }
    let (post, channel) = caller.readable_post(id).await?;
    let own = post.user_id == caller.user.id;
    caller.must_in_channel(&channel, if own { DELETE_POST } else { DELETE_OTHERS_POSTS }).await?;
    archiving::refuse(
        &channel,
        "api.post.delete_post.can_not_delete_post_in_deleted.error",
        "Can not delete a post in a deleted channel.",
    )?;
    caller.app.store.delete_post(post.clone(), caller.user.id).await?;
    publish_deleted(&caller, post).await;
    Ok(ok())
}

/// Deletes a post for good, also one that was deleted before.
async fn erase(caller: &Caller, id: Id) -> Result<Json<Value>> {
    if !caller.app.config.service.enable_api_post_deletion {
        return Err(AppError::new(
            StatusCode::NOT_IMPLEMENTED,
            "api.post.delete_post.not_enabled.app_error",
            "Permanent post deletion feature is not enabled: ServiceSettings.EnableAPIPostDeletion.",
        ));
    }
    caller.must(MANAGE_SYSTEM).await?;
    let post = caller.app.store.any_post(id).await?.ok_or_else(crate::store::no_such_post)?;
    caller.app.erase_post(id).await?;
    publish_deleted(caller, post).await;
    Ok(ok())
}

/// Publishes that a post is gone, without what it said.
async fn publish_deleted(caller: &Caller, post: Post) {
    let deleted = Post { delete_at: clock::now(), ..post }.emptied();
    publish(caller, "post_deleted", &deleted).await;
}

async fn pin(caller: Caller, params: Params) -> Result<Json<Value>> {
    set_pinned(&caller, params.id("post_id")?, true).await
}

async fn unpin(caller: Caller, params: Params) -> Result<Json<Value>> {
    set_pinned(&caller, params.id("post_id")?, false).await
}

async fn set_pinned(caller: &Caller, id: Id, pinned: bool) -> Result<Json<Value>> {
    let (_, channel) = caller.readable_post(id).await?;
    caller.must_in_channel(&channel, CREATE_POST).await?;
    must_be_active(&channel)?;
    let changed = caller.app.store.update_post(id, false, move |post| {
        post.is_pinned = pinned;
        Ok(())
    });
    let post = caller.complete_one(changed.await?).await?;
    publish(caller, "post_edited", &post).await;
    Ok(ok())
}

async fn set_unread(caller: Caller, params: Params, flags: FlagsBody) -> Result<Json<Value>> {
    let user = params.user(&caller)?;
    caller.must_act_for(user).await?;
    let (post, channel) = caller.readable_post(params.id("post_id")?).await?;
    caller.must_in_channel(&channel, READ_CHANNEL_CONTENT).await?;
    let store = &caller.app.store;
    // Where threads are apart, an unread reply leaves the roots of the channel read.
    let in_thread = !post.root_id.is_none()
        && flags.has("collapsed_threads_supported")
        && super::threads::are_apart(&caller.app, user).await?;
    let roots_from = if in_thread { i64::MAX } else { post.create_at };
    store.set_unread_from(user, channel.id, post.create_at, roots_from).await?;
    let member = store.channel_member_with_counters(channel.id, user).await?;
    let member = member.ok_or_else(crate::store::no_such_channel_member)?;
    let state = json!({
        "team_id": channel.team_id,
        "channel_id": channel.id,
        "user_id": user,
        "msg_count": member.msg_count,
        "msg_count_root": member.msg_count_root,
        "mention_count": member.mention_count,
        "mention_count_root": member.mention_count_root,
        "urgent_mention_count": member.urgent_mention_count,
        "last_viewed_at": member.last_viewed_at,
    });
    let mut data = state.clone();
    data["post_id"] = json!(post.id);
    caller.app.publish("post_unread", &data, Broadcast::user(user)).await;
    Ok(Json(state))
}

//! Followed threads.

use axum::Router;
use axum::routing::{get, put};
use serde_json::{Value, json};

use super::parameters::{Params, Search};
use crate::app::App;
use crate::clock;
use crate::error::{AppError, Result};
use crate::event::{Broadcast, nested};
use crate::id::Id;
use crate::json::{Json, ok};
use crate::permission::VIEW_TEAM;
use crate::session::Caller;
use crate::store::{Followed, ThreadPage};

/// Whether `user` sees threads apart from their channels (`ServiceSettings.CollapsedThreads`).
pub(super) async fn are_apart(app: &App, user: Id) -> Result<bool> {
    let default = match app.config.service.collapsed_threads.as_str() {
        "always_on" => return Ok(true),
        "disabled" => return Ok(false),
        default => default == "default_on",
    };
    let chosen = app.store.preferences(user, "display_settings", "collapsed_reply_threads").await?;
    Ok(chosen.first().map_or(default, |preference| preference.value == "on"))
}

pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/users/{user_id}/teams/{team_id}/threads", get(list))
        .route("/users/{user_id}/teams/{team_id}/threads/read", put(read_all))
        .route("/users/{user_id}/teams/{team_id}/threads/{thread_id}", get(one))
        .route("/users/{user_id}/teams/{team_id}/threads/{thread_id}/read/{timestamp}", put(read))
        .route("/users/{user_id}/teams/{team_id}/threads/{thread_id}/following", put(follow).delete(unfollow))
}

/// The user and team in the path, if the caller may act for the user and see the team.
async fn place(caller: &Caller, params: &Params) -> Result<(Id, Id)> {
    let (user, team) = (params.user(caller)?, params.id("team_id")?);
    caller.must_act_for(user).await?;
    caller.must_in_team(team, VIEW_TEAM).await?;
    Ok((user, team))
}

async fn list(caller: Caller, params: Params, query: Search) -> Result<Json<Value>> {
    let (user, team) = place(&caller, &params).await?;
    let store = &caller.app.store;
    let total = store.count_threads(user, team).await?;
    let (unread, mentions) = store.unread_threads(user, team).await?;
    let mut threads = Vec::new();
    if !query.flag("totalsOnly") {
        let page = ThreadPage {
            since: query.number("since").unwrap_or(0),
            before: query.id("before")?,
            after: query.id("after")?,
            unread: query.flag("unread"),
            without_direct: query.flag("excludeDirect"),
            limit: query.number("per_page").unwrap_or(30).clamp(1, 200),
        };
        for thread in store.followed_threads(user, team, &page).await? {
            threads.push(response(&caller, thread).await?);
        }
    }
    Ok(Json(json!({
        "total": total,
        "total_unread_threads": unread,
        "total_unread_mentions": mentions,
        "total_unread_urgent_mentions": 0,
        "threads": threads,
    })))
}

async fn response(caller: &Caller, thread: Followed) -> Result<Value> {
    let root = caller.app.store.post(thread.post_id).await?.ok_or_else(crate::store::no_such_post)?;
    let root = caller.complete(vec![root]).await?.into_iter().next();
    let participants = root.as_ref().and_then(|root| root.participants.clone());
    let mut answer = counters(&thread);
    answer["participants"] = json!(participants.unwrap_or_default());
    answer["post"] = json!(root);
    Ok(answer)
}

fn counters(thread: &Followed) -> Value {
    json!({
        "id": thread.post_id,
        "reply_count": thread.reply_count,
        "last_reply_at": thread.last_reply_at,
        "last_viewed_at": thread.last_viewed,
        "participants": thread.participants.iter().map(|id| json!({ "id": id })).collect::<Vec<_>>(),
        "unread_replies": thread.unread_replies,
        "unread_mentions": thread.unread_mentions,
        "is_urgent": false,
        "delete_at": 0,
    })
}

/// Publishes a new reply to those of `followers` who are connected.
pub(super) async fn publish_reply(app: &App, root: Id, team: Id, followers: &[Id]) {
    let Ok(Some(mut post)) = app.store.post(root).await else { return };
    post.is_following = Some(true);
    for user in followers.iter().copied().filter(|user| app.hub.has_connections(*user)) {
        let Ok(Some(thread)) = app.store.followed_thread(user, root).await else { continue };
        post.reply_count = thread.reply_count;
        post.last_reply_at = thread.last_reply_at;
        let mut told = counters(&thread);
        // Clients look for the thread's channel in its first post.
        told["post"] = json!(post);
        let data = json!({
            "thread": nested(&told),
            "previous_unread_replies": (thread.unread_replies - 1).max(0),
            "previous_unread_mentions": thread.unread_mentions,
        });
        let broadcast = Broadcast { team_id: team, ..Broadcast::user(user) };
        app.publish("thread_updated", &data, broadcast).await;
    }
}

async fn followed(caller: &Caller, user: Id, params: &Params) -> Result<Followed> {
    let found = caller.app.store.followed_thread(user, params.id("thread_id")?).await?;
    found.ok_or_else(|| {
        AppError::not_found(
            "app.user.get_thread_membership_for_user.not_found",
            "The thread is not followed.",
        )
    })
}

async fn one(caller: Caller, params: Params) -> Result<Json<Value>> {
    let (user, _) = place(&caller, &params).await?;
    let thread = followed(&caller, user, &params).await?;
    response(&caller, thread).await.map(Json)
}

async fn read(caller: Caller, params: Params) -> Result<Json<Value>> {
    let (user, team) = place(&caller, &params).await?;
    let at: i64 = params.text("timestamp").parse().map_err(|_| AppError::parameter("timestamp"))?;
    let before = followed(&caller, user, &params).await?;
    caller.app.store.read_thread(user, before.post_id, at).await?;
    let thread = followed(&caller, user, &params).await?;
    let data = json!({
        "thread_id": thread.post_id,
        "timestamp": at,
        "unread_mentions": thread.unread_mentions,
        "unread_replies": thread.unread_replies,
        "previous_unread_mentions": before.unread_mentions,
        "previous_unread_replies": before.unread_replies,
    });
    let broadcast = Broadcast { team_id: team, ..Broadcast::user(user) };
    caller.app.publish("thread_read_changed", &data, broadcast).await;
    response(&caller, thread).await.map(Json)
}

async fn read_all(caller: Caller, params: Params) -> Result<Json<Value>> {
    let (user, team) = place(&caller, &params).await?;
    let at = clock::now();
    caller.app.store.read_threads(user, team, at).await?;
    let broadcast = Broadcast { team_id: team, ..Broadcast::user(user) };
    caller.app.publish("thread_read_changed", &json!({ "timestamp": at }), broadcast).await;
    Ok(ok())
}

async fn follow(caller: Caller, params: Params) -> Result<Json<Value>> {
    set_following(&caller, &params, true).await
}

async fn unfollow(caller: Caller, params: Params) -> Result<Json<Value>> {
    set_following(&caller, &params, false).await
}

async fn set_following(caller: &Caller, params: &Params, following: bool) -> Result<Json<Value>> {
    let (user, team) = place(caller, params).await?;
    let (post, _) = caller.readable_post(params.id("thread_id")?).await?;
    caller.app.store.follow_thread(user, post.id, following).await?;
    let replies = caller.app.store.threads(&[post.id]).await?.first().map_or(0, |thread| thread.reply_count);
    let data = json!({"thread_id": post.id, "state": following, "reply_count": replies});
    let broadcast = Broadcast { team_id: team, ..Broadcast::user(user) };
    caller.app.publish("thread_follow_changed", &data, broadcast).await;
    Ok(ok())
}

//! Reactions.

use std::collections::BTreeMap;

use axum::Router;
use axum::routing::{delete, get, post};
use serde::Deserialize;
use serde_json::{Value, json};

use super::parameters::{Params, parse_ids};
use crate::app::App;
use crate::bounds::EMOJI_NAME;
use crate::clock;
use crate::error::{AppError, Result};
use crate::event::{Broadcast, nested};
use crate::id::Id;
use crate::json::{Body, Json, ok};
use crate::model::{Channel, Reaction};
use crate::permission::{ADD_REACTION, REMOVE_OTHERS_REACTIONS, REMOVE_REACTION};
use crate::session::Caller;

pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/reactions", post(add))
        .route("/posts/{post_id}/reactions", get(of_post))
        .route("/posts/ids/reactions", post(of_posts))
        .route("/users/{user_id}/posts/{post_id}/reactions/{emoji_name}", delete(remove))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NewReaction {
    user_id: String,
    post_id: String,
    emoji_name: String,
}

async fn add(caller: Caller, Body(new): Body<NewReaction>) -> Result<Json<Reaction>> {
    let post = Id::parse(&new.post_id).ok_or_else(|| AppError::body("post_id"))?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_+".contains(c);
    if new.emoji_name.is_empty() || new.emoji_name.len() > EMOJI_NAME || !new.emoji_name.chars().all(is_name)
    {
        return Err(AppError::body("emoji_name"));
    }
    if Id::parse(&new.user_id) != Some(caller.user.id) {
        return Err(AppError::forbidden(
            "api.reaction.save_reaction.user_id.app_error",
            "You cannot save reaction for the other user.",
        ));
    }
    let (post, channel) = caller.readable_post(post).await?;
    caller.must_in_channel(&channel, ADD_REACTION).await?;
    must_be_active(&channel, "api.reaction.save.archived_channel.app_error")?;
    let now = clock::now();
    let reaction = Reaction {
        user_id: caller.user.id,
        post_id: post.id,
        emoji_name: new.emoji_name,
        create_at: now,
        update_at: now,
        channel_id: channel.id,
        ..Reaction::default()
    };
    let most = caller.app.config.service.unique_emoji_reaction_limit;
    caller.app.store.add_reaction(reaction.clone(), most).await?;
    publish(&caller, "reaction_added", &reaction).await;
    Ok(Json(reaction))
}

async fn remove(caller: Caller, params: Params) -> Result<Json<Value>> {
    let (user, post) = (params.user(&caller)?, params.id("post_id")?);
    let (post, channel) = caller.readable_post(post).await?;
    caller.must_in_channel(&channel, REMOVE_REACTION).await?;
    if user != caller.user.id {
        caller.must_in_channel(&channel, REMOVE_OTHERS_REACTIONS).await?;
    }
    must_be_active(&channel, "api.reaction.delete.archived_channel.app_error")?;
    let emoji_name = params.text("emoji_name").to_owned();
    caller.app.store.remove_reaction(user, post.id, emoji_name.clone()).await?;
    let reaction = Reaction {
        user_id: user,
        post_id: post.id,
        emoji_name,
        channel_id: channel.id,
        ..Reaction::default()
    };
    publish(&caller, "reaction_removed", &reaction).await;
    Ok(ok())
}

/// Refuses to change the reactions in an archived channel.
fn must_be_active(channel: &Channel, id: &'static str) -> Result<()> {
    if channel.delete_at == 0 {
        return Ok(());
    }
    Err(AppError::forbidden(id, "You cannot change reactions in an archived channel."))
}

async fn publish(caller: &Caller, event: &str, reaction: &Reaction) {
    let data = json!({"reaction": nested(reaction)});
    caller.app.publish(event, &data, Broadcast::channel(reaction.channel_id)).await;
}

async fn of_post(caller: Caller, params: Params) -> Result<Json<Vec<Reaction>>> {
    let (post, _) = caller.readable_post(params.id("post_id")?).await?;
    Ok(Json(caller.app.store.reactions(&[post.id]).await?))
}

async fn of_posts(caller: Caller, Body(ids): Body<Vec<String>>) -> Result<Json<BTreeMap<Id, Vec<Reaction>>>> {
    let mut found = BTreeMap::new();
    for id in parse_ids(&ids, "post_ids")? {
        let (post, _) = caller.readable_post(id).await?;
        found.insert(post.id, Vec::new());
    }
    let posts: Vec<Id> = found.keys().copied().collect();
    for reaction in caller.app.store.reactions(&posts).await? {
        found.entry(reaction.post_id).or_default().push(reaction);
    }
    Ok(Json(found))
}

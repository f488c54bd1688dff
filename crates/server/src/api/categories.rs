//! The sidebar's categories. They cannot be changed.

use std::collections::HashSet;

use axum::Router;
use axum::routing::get;
use serde_json::{Value, json};

use super::parameters::Params;
use crate::app::App;
use crate::error::Result;
use crate::id::Id;
use crate::json::Json;
use crate::model::CategoryWithChannels;
use crate::permission::VIEW_TEAM;
use crate::session::Caller;

pub(super) fn router() -> Router<App> {
    Router::new().route("/users/{user_id}/teams/{team_id}/channels/categories", get(list))
}

/// Each channel is in the category that its user chose, or else in the default category for its kind.
async fn list(caller: Caller, params: Params) -> Result<Json<Value>> {
    let (user, team) = (params.user(&caller)?, params.id("team_id")?);
    caller.must_act_for(user).await?;
    caller.must_in_team(team, VIEW_TEAM).await?;
    let store = &caller.app.store;
    let categories = store.categories(user, team).await?;
    let channels = store.channels_of(user, Some(team), None).await?;
    let by_hand = store.sidebar_channels(user).await?;
    let favourites = store.preferences(user, "favorite_channel", "").await?;
    let favourites: HashSet<Id> = favourites
        .iter()
        .filter(|preference| preference.value == "true")
        .filter_map(|preference| Id::parse(&preference.name))
        .collect();

    let own: HashSet<&str> = categories.iter().map(|category| category.id.as_str()).collect();
    let placed: HashSet<Id> = by_hand
        .iter()
        .filter(|(category, _)| own.contains(category.as_str()))
        .map(|(_, channel)| *channel)
        .collect();
    let kind_of = |id: Id, direct: bool| match (favourites.contains(&id), direct) {
        (true, _) => "favorites",
        (false, true) => "direct_messages",
        (false, false) => "channels",
    };
    let filled: Vec<CategoryWithChannels> = categories
        .iter()
        .map(|category| {
            let chosen = by_hand.iter().filter(|(id, _)| *id == category.id).map(|(_, channel)| *channel);
            let chosen = chosen.filter(|id| channels.iter().any(|channel| channel.id == *id));
            let rest = channels.iter().filter(|channel| {
                !placed.contains(&channel.id)
                    && kind_of(channel.id, channel.is_direct_or_group()) == category.kind
            });
            let channel_ids = chosen.chain(rest.map(|channel| channel.id)).collect();
            CategoryWithChannels { category: category.clone(), channel_ids }
        })
        .collect();
    let order: Vec<&str> = categories.iter().map(|category| category.id.as_str()).collect();
    Ok(Json(json!({"categories": filled, "order": order})))
}

//! The sidebar's categories.

use std::collections::HashSet;

use axum::Router;
use axum::routing::get;
use serde::Deserialize;
use serde_json::{Value, json};

use super::parameters::Params;
use crate::app::App;
use crate::bounds::{CATEGORIES, IDS_AT_ONCE};
use crate::error::{AppError, Result};
use crate::event::{Broadcast, nested};
use crate::id::Id;
use crate::json::{Body, Json, ok};
use crate::model::{Category, CategoryWithChannels};
use crate::permission::VIEW_TEAM;
use crate::rules;
use crate::session::Caller;

pub(super) fn router() -> Router<App> {
    const ALL: &str = "/users/{user_id}/teams/{team_id}/channels/categories";
    Router::new()
        .route(ALL, get(list).post(create).put(update_several))
        .route(&format!("{ALL}/order"), get(order).put(reorder))
        .route(&format!("{ALL}/{{category_id}}"), get(one).put(update).delete(delete))
}

/// The user and the team in the path, if the caller may act for the user there.
async fn place(caller: &Caller, params: &Params) -> Result<(Id, Id)> {
    let (user, team) = (params.user(caller)?, params.id("team_id")?);
    caller.must_act_for(user).await?;
    caller.must_in_team(team, VIEW_TEAM).await?;
    Ok((user, team))
}

async fn list(caller: Caller, params: Params) -> Result<Json<Value>> {
    let (user, team) = place(&caller, &params).await?;
    let categories = filled(&caller.app, user, team).await?;
    let order: Vec<&str> = categories.iter().map(|one| one.category.id.as_str()).collect();
    Ok(Json(json!({"categories": categories, "order": order})))
}

async fn order(caller: Caller, params: Params) -> Result<Json<Vec<String>>> {
    let (user, team) = place(&caller, &params).await?;
    let categories = caller.app.store.categories(user, team).await?;
    Ok(Json(categories.into_iter().map(|category| category.id).collect()))
}

async fn one(caller: Caller, params: Params) -> Result<Json<CategoryWithChannels>> {
    let (user, team) = place(&caller, &params).await?;
    found(&caller.app, user, team, params.text("category_id")).await.map(Json)
}

async fn found(app: &App, user: Id, team: Id, id: &str) -> Result<CategoryWithChannels> {
    filled(app, user, team).await?.into_iter().find(|one| one.category.id == id).ok_or_else(no_such_category)
}

fn no_such_category() -> AppError {
    AppError::not_found("app.channel.sidebar_categories.app_error", "The category does not exist.")
}

/// A category as a client sends it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Sent {
    id: String,
    display_name: String,
    sorting: String,
    muted: bool,
    collapsed: bool,
    channel_ids: Vec<String>,
}

impl Sent {
    fn check(&self) -> Result<()> {
        rules::at_most(64, &self.display_name, "display_name")?;
        if self.channel_ids.len() > IDS_AT_ONCE {
            return Err(AppError::body("channel_ids"));
        }
        if !["", "alpha", "manual", "recent"].contains(&self.sorting.as_str()) {
            return Err(AppError::body("sorting"));
        }
        Ok(())
    }

    /// Those of its channels that are the user's.
    async fn channels(&self, app: &App, user: Id, team: Id) -> Result<Vec<Id>> {
        let own = app.store.channels_of(user, Some(team), None).await?;
        let own: HashSet<Id> = own.into_iter().map(|channel| channel.id).collect();
        let mut sent: Vec<Id> = Vec::new();
        for id in self.channel_ids.iter().filter_map(|id| Id::parse(id)) {
            if own.contains(&id) && !sent.contains(&id) {
                sent.push(id);
            }
        }
        Ok(sent)
    }
}

async fn publish(app: &App, user: Id, team: Id, event: &str, data: &Value) {
    app.publish(event, data, Broadcast { team_id: team, ..Broadcast::user(user) }).await;
}

async fn create(
    caller: Caller,
    params: Params,
    Body(sent): Body<Sent>,
) -> Result<Json<CategoryWithChannels>> {
    let (user, team) = place(&caller, &params).await?;
    let app = &caller.app;
    sent.check()?;
    if sent.display_name.trim().is_empty() {
        return Err(AppError::body("category"));
    }
    if app.store.categories(user, team).await?.len() >= CATEGORIES {
        return Err(AppError::body("category"));
    }
    let category = Category {
        id: Id::random().to_string(),
        user_id: user,
        team_id: team,
        sorting: sent.sorting.clone(),
        kind: "custom".to_owned(),
        display_name: sent.display_name.clone(),
        muted: sent.muted,
        collapsed: sent.collapsed,
        ..Category::default()
    };
    let id = category.id.clone();
    app.store.create_category(category, sent.channels(app, user, team).await?).await?;
    publish(app, user, team, "sidebar_category_created", &json!({"category_id": id})).await;
    found(app, user, team, &id).await.map(Json)
}

async fn update(
    caller: Caller,
    params: Params,
    Body(sent): Body<Sent>,
) -> Result<Json<CategoryWithChannels>> {
    let (user, team) = place(&caller, &params).await?;
    let sent = Sent { id: params.text("category_id").to_owned(), ..sent };
    let mut updated = change(&caller.app, user, team, vec![sent]).await?;
    updated.pop().map(Json).ok_or_else(no_such_category)
}

async fn update_several(
    caller: Caller,
    params: Params,
    Body(sent): Body<Vec<Sent>>,
) -> Result<Json<Vec<CategoryWithChannels>>> {
    let (user, team) = place(&caller, &params).await?;
    if sent.len() > CATEGORIES {
        return Err(AppError::body("category"));
    }
    change(&caller.app, user, team, sent).await.map(Json)
}

/// Changes categories together, so that a channel that moves from one to another is never in both or in none.
async fn change(app: &App, user: Id, team: Id, sent: Vec<Sent>) -> Result<Vec<CategoryWithChannels>> {
    let stored = app.store.categories(user, team).await?;
    let mut changes = Vec::new();
    let mut ids = Vec::new();
    for sent in sent {
        sent.check()?;
        let former = stored.iter().find(|one| one.id == sent.id).ok_or_else(no_such_category)?.clone();
        let channels = sent.channels(app, user, team).await?;
        let named = former.kind == "custom" && !sent.display_name.trim().is_empty();
        ids.push(sent.id);
        changes.push((
            Category {
                display_name: if named { sent.display_name } else { former.display_name.clone() },
                sorting: sent.sorting,
                muted: sent.muted,
                collapsed: sent.collapsed,
                ..former
            },
            channels,
        ));
    }
    app.store.update_categories(changes).await?;
    let updated: Vec<CategoryWithChannels> =
        filled(app, user, team).await?.into_iter().filter(|one| ids.contains(&one.category.id)).collect();
    let data = json!({"updatedCategories": nested(&updated)});
    publish(app, user, team, "sidebar_category_updated", &data).await;
    Ok(updated)
}

async fn reorder(
    caller: Caller,
    params: Params,
    Body(order): Body<Vec<String>>,
) -> Result<Json<Vec<String>>> {
    let (user, team) = place(&caller, &params).await?;
    let app = &caller.app;
    let stored = app.store.categories(user, team).await?;
    let named: HashSet<&String> = order.iter().collect();
    if named.len() != order.len()
        || named.len() != stored.len()
        || !stored.iter().all(|one| named.contains(&one.id))
    {
        return Err(AppError::body("order"));
    }
    app.store.order_categories(user, order.clone()).await?;
    publish(app, user, team, "sidebar_category_order_updated", &json!({"order": order})).await;
    Ok(Json(order))
}

/// Deletes a category of the user's own. Its channels go back to where they are by default.
async fn delete(caller: Caller, params: Params) -> Result<Json<Value>> {
    let (user, team) = place(&caller, &params).await?;
    let one = found(&caller.app, user, team, params.text("category_id")).await?;
    if one.category.kind != "custom" {
        return Err(AppError::bad_request(
            "store.sql_channel.sidebar_categories.delete_invalid.app_error",
            "Only categories of one's own can be deleted.",
        ));
    }
    caller.app.store.delete_category(user, one.category.id.clone()).await?;
    let data = json!({"category_id": one.category.id});
    publish(&caller.app, user, team, "sidebar_category_deleted", &data).await;
    Ok(ok())
}

/// The categories with their channels: each channel is in the category that its user chose, or else in the default one for
/// its kind.
async fn filled(app: &App, user: Id, team: Id) -> Result<Vec<CategoryWithChannels>> {
    let store = &app.store;
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
    Ok(categories
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
        .collect())
}

//! Channels.

pub(super) mod archiving;

use std::collections::BTreeSet;

use axum::Router;
use axum::routing::{get, post, put};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::parameters::{Params, Search, parse_ids};
use super::patch;
use crate::app::App;
use crate::bounds::{CHANNEL_DISPLAY_NAME, CHANNEL_HEADER, CHANNEL_PURPOSE, SEARCH_TERM};
use crate::clock;
use crate::error::{AppError, Result};
use crate::event::{Broadcast, nested};
use crate::id::Id;
use crate::json::{Absent, Body, Json, StringMapBody, created};
use crate::model::{Channel, ChannelKind};
use crate::permission::{
    CONVERT_PRIVATE_CHANNEL_TO_PUBLIC, CONVERT_PUBLIC_CHANNEL_TO_PRIVATE, CREATE_DIRECT_CHANNEL,
    CREATE_GROUP_CHANNEL, CREATE_PRIVATE_CHANNEL, CREATE_PUBLIC_CHANNEL, EDIT_OTHER_USERS,
    LIST_TEAM_CHANNELS, MANAGE_PRIVATE_CHANNEL_PROPERTIES, MANAGE_PUBLIC_CHANNEL_PROPERTIES, MANAGE_SYSTEM,
    READ_CHANNEL, READ_PUBLIC_CHANNEL, VIEW_TEAM,
};
use crate::rules;
use crate::session::Caller;
use crate::store::{no_such_channel, no_such_team, no_such_user};

/// The channel that every team has. Nobody can leave, rename or archive it.
pub(super) const TOWN_SQUARE: &str = "town-square";

pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/channels", post(create))
        .route("/channels/direct", post(create_direct))
        .route("/channels/group", post(create_group))
        .route("/channels/{channel_id}", get(one).put(update).delete(archiving::archive))
        .route("/channels/{channel_id}/patch", put(patch))
        .route("/channels/{channel_id}/privacy", put(set_privacy))
        .route("/channels/{channel_id}/restore", post(archiving::restore))
        .route("/channels/{channel_id}/stats", get(stats))
        .route("/teams/{team_id}/channels", get(list))
        .route("/teams/{team_id}/channels/ids", post(by_ids))
        .route("/teams/{team_id}/channels/search", post(search))
        .route("/teams/{team_id}/channels/autocomplete", get(autocomplete))
        .route("/teams/{team_id}/channels/name/{channel_name}", get(by_name))
        .route("/teams/name/{team_name}/channels/name/{channel_name}", get(by_names))
        .route("/users/{user_id}/channels", get(of_user))
        .route("/users/{user_id}/teams/{team_id}/channels", get(of_user_in_team))
}

/// The routes on the local channel.
pub(super) fn local_router() -> Router<App> {
    Router::new()
        .route("/channels", post(create))
        .route("/channels/{channel_id}", get(one).delete(archiving::archive))
        .route("/channels/{channel_id}/patch", put(patch))
        .route("/channels/{channel_id}/privacy", put(set_privacy))
        .route("/channels/{channel_id}/restore", post(archiving::restore))
        .route("/teams/{team_id}/channels", get(list))
        .route("/teams/{team_id}/channels/deleted", get(list_archived))
        .route("/teams/{team_id}/channels/private", get(list_private))
        .route("/teams/{team_id}/channels/name/{channel_name}", get(by_name))
        .route("/teams/name/{team_name}/channels/name/{channel_name}", get(by_names))
}

impl Caller {
    /// Allows members to see that a channel exists, and everyone in the team if the channel is public.
    async fn must_see(&self, channel: &Channel) -> Result<()> {
        if channel.kind() == ChannelKind::Public
            && self.may_in_team(channel.team_id, READ_PUBLIC_CHANNEL).await?
        {
            return Ok(());
        }
        self.must_in_channel(channel, READ_CHANNEL).await
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NewChannel {
    team_id: String,
    name: String,
    display_name: String,
    purpose: String,
    header: String,
    #[serde(rename = "type")]
    kind: String,
}

async fn create(caller: Caller, Body(new): Body<NewChannel>) -> Result<(StatusCode, Json<Channel>)> {
    let team = Id::parse(&new.team_id).ok_or_else(|| AppError::body("team_id"))?;
    let permission = match new.kind.as_str() {
        "O" => CREATE_PUBLIC_CHANNEL,
        "P" => CREATE_PRIVATE_CHANNEL,
        _ => return Err(AppError::body("type")),
    };
    caller.must_in_team(team, permission).await?;
    caller.app.store.team(team).await?.filter(|team| team.delete_at == 0).ok_or_else(no_such_team)?;
    let now = clock::now();
    let channel = Channel {
        id: Id::random(),
        create_at: now,
        update_at: now,
        team_id: team,
        kind: new.kind,
        display_name: new.display_name.trim().to_owned(),
        name: new.name,
        header: new.header,
        purpose: new.purpose,
        creator_id: caller.user.id,
        ..Channel::default()
    };
    check(&channel)?;
    let most = caller.app.config.team.max_channels_per_team;
    let creator = caller.account().map(|user| user.id);
    let channel = caller.app.store.create_channel(channel, creator, most).await?;
    let data = json!({"channel_id": channel.id, "team_id": team});
    caller.app.publish("channel_created", &data, Broadcast::user(caller.user.id)).await;
    Ok(created(channel))
}

fn check(channel: &Channel) -> Result<()> {
    if !rules::is_channel_name(&channel.name) {
        return Err(AppError::bad_request(
            "model.channel.is_valid.1_or_more.app_error",
            "Name must be 1 to 64 lowercase alphanumeric characters, dashes and underscores.",
        ));
    }
    if channel.display_name.is_empty() {
        return Err(AppError::body("display_name"));
    }
    rules::at_most(CHANNEL_DISPLAY_NAME, &channel.display_name, "display_name")?;
    rules::at_most(CHANNEL_HEADER, &channel.header, "header")?;
    rules::at_most(CHANNEL_PURPOSE, &channel.purpose, "purpose")
}

async fn create_direct(caller: Caller, Body(ids): Body<Vec<String>>) -> Result<(StatusCode, Json<Channel>)> {
    let ids: BTreeSet<Id> = parse_ids(&ids, "user_ids")?.into_iter().collect();
    if ids.len() > 2 {
        return Err(AppError::body("user_ids"));
    }
    caller.must(CREATE_DIRECT_CHANNEL).await?;
    between(&caller, &ids).await.map(created)
}

/// The direct channel of the caller and `other`, created if there is none.
pub(super) async fn direct_with(caller: &Caller, other: Id) -> Result<Channel> {
    caller.must(CREATE_DIRECT_CHANNEL).await?;
    between(caller, &BTreeSet::from([caller.user.id, other])).await
}

async fn between(caller: &Caller, ids: &BTreeSet<Id>) -> Result<Channel> {
    // A single id means a channel with oneself.
    let (Some(first), Some(last)) = (ids.first(), ids.last()) else { return Err(AppError::body("user_ids")) };
    let name = format!("{first}__{last}");
    let (channel, is_new) = direct(caller, "D", name, String::new(), ids).await?;
    if is_new {
        let teammate = ids.iter().find(|id| **id != caller.user.id).unwrap_or(first);
        let data = json!({"creator_id": caller.user.id, "teammate_id": teammate});
        caller.app.publish("direct_added", &data, Broadcast::channel(channel.id)).await;
    }
    Ok(channel)
}

async fn create_group(caller: Caller, Body(ids): Body<Vec<String>>) -> Result<(StatusCode, Json<Channel>)> {
    let mut ids: BTreeSet<Id> = parse_ids(&ids, "user_ids")?.into_iter().collect();
    caller.must(CREATE_GROUP_CHANNEL).await?;
    ids.insert(caller.user.id);
    if !(3..=8).contains(&ids.len()) {
        return Err(AppError::bad_request(
            "api.channel.create_group.bad_size.app_error",
            "Group message channels must contain at least 3 and no more than 8 users.",
        ));
    }
    let joined: String = ids.iter().map(Id::as_str).collect();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, joined.as_bytes());
    let name = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let all: Vec<Id> = ids.iter().copied().collect();
    let people = caller.app.store.users_by_ids(&all).await?;
    let names: BTreeSet<&str> = people.iter().map(|user| user.username.as_str()).collect();
    let display_name = names.into_iter().collect::<Vec<_>>().join(", ").chars().take(64).collect();
    let (channel, is_new) = direct(&caller, "G", name, display_name, &ids).await?;
    if is_new {
        let data = json!({"teammate_ids": nested(&all)});
        caller.app.publish("group_added", &data, Broadcast::channel(channel.id)).await;
    }
    Ok(created(channel))
}

/// The channel between exactly `people`, created if there is none; `true` if it was created.
async fn direct(
    caller: &Caller,
    kind: &str,
    name: String,
    display_name: String,
    people: &BTreeSet<Id>,
) -> Result<(Channel, bool)> {
    if !people.contains(&caller.user.id) {
        caller.must(EDIT_OTHER_USERS).await?;
    }
    for user in people {
        caller.app.store.user(*user).await?.ok_or_else(no_such_user)?;
        if caller.app.config.team.restrict_direct_message == "team" && !shares_team(caller, *user).await? {
            return Err(AppError::forbidden(
                "api.channel.create_channel.direct_channel.team_restricted_error",
                "A direct channel cannot be created between these users because they do not share a team in common.",
            ));
        }
    }
    let now = clock::now();
    let channel = Channel {
        id: Id::random(),
        create_at: now,
        update_at: now,
        kind: kind.to_owned(),
        display_name,
        name,
        creator_id: caller.user.id,
        ..Channel::default()
    };
    caller.app.store.direct_channel(channel, people.iter().copied().collect()).await
}

async fn shares_team(caller: &Caller, user: Id) -> Result<bool> {
    let own = caller.app.store.memberships_in_teams(caller.user.id).await?;
    let others = caller.app.store.memberships_in_teams(user).await?;
    let shared = own.iter().any(|member| others.iter().any(|other| other.team_id == member.team_id));
    Ok(shared || user == caller.user.id)
}

async fn one(caller: Caller, params: Params) -> Result<Json<Channel>> {
    let id = params.id("channel_id")?;
    let channel = caller.app.store.channel_with_counters(id).await?.ok_or_else(no_such_channel)?;
    caller.must_see(&channel).await?;
    Ok(Json(channel))
}

async fn by_name(caller: Caller, params: Params, query: Search) -> Result<Json<Channel>> {
    find(&caller, params.id("team_id")?, params.text("channel_name"), &query).await
}

async fn by_names(caller: Caller, params: Params, query: Search) -> Result<Json<Channel>> {
    let team = caller.app.store.team_by_name(params.text("team_name")).await?.ok_or_else(no_such_team)?;
    find(&caller, team.id, params.text("channel_name"), &query).await
}

async fn find(caller: &Caller, team: Id, name: &str, query: &Search) -> Result<Json<Channel>> {
    let channel = caller.app.store.channel_by_name(team, name, query.flag("include_deleted")).await?;
    let channel = channel.ok_or_else(|| {
        AppError::not_found("app.channel.get_by_name.missing.app_error", "Channel does not exist.")
    })?;
    // Callers who may not see a private channel are data that it does not exist.
    match caller.must_see(&channel).await {
        Err(_) if channel.kind() == ChannelKind::Private => Err(no_such_channel()),
        other => other.map(|()| Json(channel)),
    }
}

async fn list(caller: Caller, params: Params, query: Search) -> Result<Json<Vec<Channel>>> {
    let team = params.id("team_id")?;
    caller.must_in_team(team, LIST_TEAM_CHANNELS).await?;
    let paging = query.paging();
    Ok(Json(caller.app.store.public_channels(team, "", paging.offset(), paging.per_page).await?))
}

async fn by_ids(caller: Caller, params: Params, Body(ids): Body<Vec<String>>) -> Result<Json<Vec<Channel>>> {
    let team = params.id("team_id")?;
    caller.must_in_team(team, VIEW_TEAM).await?;
    let mut channels = caller.app.store.channels_by_ids(&parse_ids(&ids, "channel_ids")?).await?;
    channels.retain(|channel| channel.team_id == team && channel.kind() == ChannelKind::Public);
    Ok(Json(channels))
}

async fn list_archived(caller: Caller, params: Params, query: Search) -> Result<Json<Vec<Channel>>> {
    list_hidden(&caller, &params, &query, true).await
}

async fn list_private(caller: Caller, params: Params, query: Search) -> Result<Json<Vec<Channel>>> {
    list_hidden(&caller, &params, &query, false).await
}

async fn list_hidden(
    caller: &Caller,
    params: &Params,
    query: &Search,
    archived: bool,
) -> Result<Json<Vec<Channel>>> {
    caller.must(MANAGE_SYSTEM).await?;
    let paging = query.paging();
    let (team, store) = (params.id("team_id")?, &caller.app.store);
    Ok(Json(store.hidden_channels(team, archived, paging.offset(), paging.per_page).await?))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ChannelSearch {
    term: String,
}

async fn search(
    caller: Caller,
    params: Params,
    Body(request): Body<ChannelSearch>,
) -> Result<Json<Vec<Channel>>> {
    let team = params.id("team_id")?;
    caller.must_in_team(team, LIST_TEAM_CHANNELS).await?;
    rules::at_most(SEARCH_TERM, &request.term, "term")?;
    Ok(Json(caller.app.store.public_channels(team, &request.term, 0, 100).await?))
}

async fn autocomplete(caller: Caller, params: Params, query: Search) -> Result<Json<Vec<Channel>>> {
    let team = params.id("team_id")?;
    caller.must_in_team(team, LIST_TEAM_CHANNELS).await?;
    rules::at_most(SEARCH_TERM, query.text("name"), "name")?;
    Ok(Json(caller.app.store.public_channels(team, query.text("name"), 0, 50).await?))
}

/// Since when archived channels are listed too: always, since a time, or never.
fn deleted_since(query: &Search) -> Option<i64> {
    query.flag("include_deleted").then(|| query.number("last_delete_at").unwrap_or(0))
}

async fn of_user(caller: Caller, params: Params, query: Search) -> Result<Json<Vec<Channel>>> {
    let user = params.user(&caller)?;
    caller.must_act_for(user).await?;
    Ok(Json(caller.app.store.channels_of(user, None, deleted_since(&query)).await?))
}

async fn of_user_in_team(caller: Caller, params: Params, query: Search) -> Result<Json<Vec<Channel>>> {
    let (user, team) = (params.user(&caller)?, params.id("team_id")?);
    caller.must_act_for(user).await?;
    caller.must_in_team(team, VIEW_TEAM).await?;
    Ok(Json(caller.app.store.channels_of(user, Some(team), deleted_since(&query)).await?))
}

async fn stats(caller: Caller, params: Params) -> Result<Json<Value>> {
    let channel = caller.channel(params.id("channel_id")?).await?;
    caller.must_see(&channel).await?;
    let (members, pinned, files) = caller.app.store.channel_stats(channel.id).await?;
    Ok(Json(json!({
        "channel_id": channel.id,
        "member_count": members,
        "guest_count": 0,
        "pinnedpost_count": pinned,
        "files_count": files,
    })))
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ChannelPatch {
    pub(super) name: Option<String>,
    pub(super) display_name: Option<String>,
    pub(super) header: Option<String>,
    pub(super) purpose: Option<String>,
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) group_constrained: Absent,
    pub(super) banner_info: Absent,
    pub(super) default_category_name: Absent,
    pub(super) autotranslation: Absent,
}

async fn update(caller: Caller, params: Params, Body(patch): Body<ChannelPatch>) -> Result<Json<Channel>> {
    let channel = caller.channel(params.id("channel_id")?).await?;
    if channel.delete_at != 0 {
        return Err(AppError::bad_request(
            "api.channel.update_channel.deleted.app_error",
            "The channel has been archived or deleted.",
        ));
    }
    if patch.kind.as_ref().is_some_and(|kind| !kind.is_empty() && *kind != channel.kind) {
        return Err(AppError::bad_request(
            "api.channel.update_channel.typechange.app_error",
            "Channel type cannot be updated.",
        ));
    }
    change(&caller, channel.id, patch).await
}

async fn patch(caller: Caller, params: Params, Body(patch): Body<ChannelPatch>) -> Result<Json<Channel>> {
    change(&caller, params.id("channel_id")?, patch).await
}

pub(super) async fn change(caller: &Caller, id: Id, patch: ChannelPatch) -> Result<Json<Channel>> {
    Absent::all(&[
        ("group_constrained", &patch.group_constrained),
        ("banner_info", &patch.banner_info),
        ("default_category_name", &patch.default_category_name),
        ("autotranslation", &patch.autotranslation),
    ])?;
    let channel = caller.channel(id).await?;
    match channel.kind() {
        ChannelKind::Public => caller.must_in_channel(&channel, MANAGE_PUBLIC_CHANNEL_PROPERTIES).await?,
        ChannelKind::Private => caller.must_in_channel(&channel, MANAGE_PRIVATE_CHANNEL_PROPERTIES).await?,
        ChannelKind::Direct | ChannelKind::Group => caller.must_in_channel(&channel, READ_CHANNEL).await?,
    }
    archiving::must_be_active(&channel)?;
    let direct = channel.is_direct_or_group();
    let renamed = patch.name.as_ref().is_some_and(|name| *name != channel.name);
    if renamed && (direct || channel.name == TOWN_SQUARE) {
        return Err(AppError::bad_request(
            "api.channel.update_channel.tried.app_error",
            "This channel keeps its name.",
        ));
    }
    let changed = caller.app.store.update_channel(id, move |channel| {
        patch::apply([
            (&mut channel.name, patch.name),
            (&mut channel.display_name, patch.display_name.filter(|_| !direct)),
            (&mut channel.header, patch.header),
            (&mut channel.purpose, patch.purpose),
        ]);
        if direct { rules::at_most(CHANNEL_HEADER, &channel.header, "header") } else { check(channel) }
    });
    let channel = changed.await?;
    publish_updated(caller, &channel).await;
    Ok(Json(channel))
}

async fn publish_updated(caller: &Caller, channel: &Channel) {
    let data = json!({"channel": nested(channel)});
    caller.app.publish("channel_updated", &data, Broadcast::channel(channel.id)).await;
}

async fn set_privacy(caller: Caller, params: Params, body: StringMapBody) -> Result<Json<Channel>> {
    let channel = caller.channel(params.id("channel_id")?).await?;
    let (kind, permission) = match body.get("privacy") {
        "O" => ("O", CONVERT_PRIVATE_CHANNEL_TO_PUBLIC),
        "P" => ("P", CONVERT_PUBLIC_CHANNEL_TO_PRIVATE),
        _ => return Err(AppError::body("privacy")),
    };
    if channel.is_direct_or_group() || (channel.name == TOWN_SQUARE && kind == "P") {
        return Err(AppError::body("privacy"));
    }
    caller.must_in_channel(&channel, permission).await?;
    archiving::must_be_active(&channel)?;
    let changed = caller.app.store.update_channel(channel.id, move |channel| {
        channel.kind = kind.to_owned();
        Ok(())
    });
    let channel = changed.await?;
    publish_updated(&caller, &channel).await;
    Ok(Json(channel))
}

//! The members of channels, and what they have read.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::channels::{TOWN_SQUARE, archiving};
use super::member_roles::{MemberRoles, SchemeRoles};
use super::parameters::{Params, Search, parse_ids};
use super::threads;
use crate::app::App;
use crate::bounds::MEMBER_NOTIFY_PROPS;
use crate::error::{AppError, Result};
use crate::event::{Broadcast, nested};
use crate::id::Id;
use crate::json::{Body, Json, StringMapBody, ok};
use crate::model::{Channel, ChannelKind, ChannelMember, StringMap, User};
use crate::permission::{
    JOIN_PUBLIC_CHANNELS, MANAGE_CHANNEL_ROLES, MANAGE_PRIVATE_CHANNEL_MEMBERS,
    MANAGE_PUBLIC_CHANNEL_MEMBERS, READ_CHANNEL, VIEW_TEAM,
};
use crate::rules;
use crate::session::Caller;
use crate::store::{ChannelUnread, no_such_channel_member, no_such_user};

/// All rows.
const ALL: (i64, i64) = (0, i64::MAX);

pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/channels/{channel_id}/members", get(list).post(add))
        .route("/channels/{channel_id}/members/ids", post(by_ids))
        .route("/channels/{channel_id}/members/{user_id}", get(one).delete(remove))
        .route("/channels/{channel_id}/members/{user_id}/roles", put(set_roles))
        .route("/channels/{channel_id}/members/{user_id}/schemeRoles", put(set_scheme_roles))
        .route("/channels/{channel_id}/members/{user_id}/notify_props", put(set_notify_props))
        .route("/channels/{channel_id}/timezones", get(time_zones))
        .route("/channels/stats/member_count", post(member_counts))
        .route("/channels/members/{user_id}/view", post(view))
        .route("/channels/members/{user_id}/mark_read", post(mark_read))
        .route("/users/{user_id}/channel_members", get(of_user))
        .route("/users/{user_id}/teams/{team_id}/channels/members", get(of_user_in_team))
        .route("/users/{user_id}/channels/{channel_id}/unread", get(unread))
}

/// The routes on the local channel.
pub(super) fn local_router() -> Router<App> {
    Router::new()
        .route("/channels/{channel_id}/members", get(list).post(add))
        .route("/channels/{channel_id}/members/{user_id}", get(one).delete(remove))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NewMembers {
    user_id: String,
    user_ids: Vec<String>,
    post_root_id: String,
}

async fn add(caller: Caller, params: Params, Body(new): Body<NewMembers>) -> Result<Response> {
    let channel = caller.channel(params.id("channel_id")?).await?;
    let texts = if new.user_ids.is_empty() { vec![new.user_id] } else { new.user_ids.clone() };
    let ids = parse_ids(&texts, "user_id")?;
    let members = admit(&caller, &channel, &ids, &new.post_root_id).await?;
    // The answer to a single user_id is one membership; the answer to a list is a list.
    let body = match (new.user_ids.is_empty(), members.first()) {
        (true, Some(member)) => json!(member),
        _ => json!(members),
    };
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

/// Adds members to a channel, if the caller may. The messages about it are in the thread `root`, if that is one.
pub(super) async fn admit(
    caller: &Caller,
    channel: &Arc<Channel>,
    ids: &[Id],
    root: &str,
) -> Result<Vec<ChannelMember>> {
    if channel.delete_at != 0 {
        return Err(AppError::bad_request(
            "api.channel.add_user.to.channel.failed.deleted.app_error",
            "Failed to add user to channel because the channel is archived.",
        ));
    }
    let joins_alone = ids == [caller.user.id];
    match channel.kind() {
        ChannelKind::Public if joins_alone => {
            caller.must_in_team(channel.team_id, JOIN_PUBLIC_CHANNELS).await?;
        }
        ChannelKind::Public => caller.must_in_channel(channel, MANAGE_PUBLIC_CHANNEL_MEMBERS).await?,
        ChannelKind::Private => caller.must_in_channel(channel, MANAGE_PRIVATE_CHANNEL_MEMBERS).await?,
        ChannelKind::Direct | ChannelKind::Group => {
            return Err(AppError::bad_request(
                "api.channel.add_user_to_channel.type.app_error",
                "Can not add user to this channel type.",
            ));
        }
    }
    let root = thread(caller, channel, root).await?;
    let mut members = Vec::new();
    for id in ids {
        members.push(join(caller, channel, *id, root).await?);
    }
    Ok(members)
}

/// The thread in which the message about a new member is posted: the one that mentions them, for example.
async fn thread(caller: &Caller, channel: &Channel, root: &str) -> Result<Id> {
    if root.is_empty() {
        return Ok(Id::NONE);
    }
    let invalid = || AppError::body("post_root_id");
    let post = caller.app.store.post(Id::parse(root).ok_or_else(invalid)?).await?;
    let root = post.filter(|post| post.channel_id == channel.id && post.root_id.is_none());
    root.map(|post| post.id).ok_or_else(invalid)
}

async fn join(caller: &Caller, channel: &Arc<Channel>, id: Id, root: Id) -> Result<ChannelMember> {
    let app = &caller.app;
    let user = app.store.user(id).await?.filter(|user| user.delete_at == 0).ok_or_else(no_such_user)?;
    if app.store.team_member(channel.team_id, id).await?.is_none() {
        return Err(AppError::not_found(
            "app.team.get_member.missing.app_error",
            "The user is not a member of the channel's team.",
        ));
    }
    // An administrator on the local channel has no name to tell.
    let message = if id == caller.user.id || caller.is_local() {
        ("system_join_channel", format!("{} joined the channel.", user.username))
    } else {
        (
            "system_add_to_channel",
            format!("{} added to the channel by {}.", user.username, caller.user.username),
        )
    };
    let membership = app.store.join_channel(Arc::clone(channel), Arc::clone(&user), message, root).await?;
    if let Some(post) = &membership.post {
        app.publish_user_added(channel.id, channel.team_id, id).await;
        super::posts::publish_posted(app, channel, post, &user).await;
    }
    Ok(membership.member.seen_by(caller.user.id))
}

async fn remove(caller: Caller, params: Params) -> Result<Json<Value>> {
    let channel = caller.channel(params.id("channel_id")?).await?;
    dismiss(&caller, channel, params.user(&caller)?).await?;
    Ok(ok())
}

/// Removes a member from a channel, if the caller may.
pub(super) async fn dismiss(caller: &Caller, channel: Arc<Channel>, user: Id) -> Result<()> {
    let own = user == caller.user.id;
    match channel.kind() {
        ChannelKind::Direct | ChannelKind::Group => {
            return Err(AppError::bad_request(
                "api.channel.remove_channel_member.type.app_error",
                "Unable to remove a user from this type of channel.",
            ));
        }
        _ if own => {}
        ChannelKind::Public => caller.must_in_channel(&channel, MANAGE_PUBLIC_CHANNEL_MEMBERS).await?,
        ChannelKind::Private => caller.must_in_channel(&channel, MANAGE_PRIVATE_CHANNEL_MEMBERS).await?,
    }
    archiving::refuse(
        &channel,
        "api.channel.remove_user_from_channel.deleted.app_error",
        "The channel has been archived or deleted.",
    )?;
    if channel.name == TOWN_SQUARE {
        return Err(AppError::bad_request(
            "api.channel.remove.default.app_error",
            "Unable to remove user from the default channel town-square.",
        ));
    }
    let app = &caller.app;
    let person: Arc<User> = app.store.user(user).await?.ok_or_else(no_such_user)?;
    let message = if own {
        ("system_leave_channel", format!("{} has left the channel.", person.username))
    } else {
        ("system_remove_from_channel", format!("{} was removed from the channel.", person.username))
    };
    let post = app.store.leave_channel(Arc::clone(&channel), Arc::clone(&person), message).await?;
    let post = post.ok_or_else(no_such_channel_member)?;
    let remover = caller.user.id;
    let to_channel = json!({"user_id": user, "remover_id": remover});
    app.publish("user_removed", &to_channel, Broadcast::channel(channel.id)).await;
    let to_user = json!({"channel_id": channel.id, "remover_id": remover});
    app.publish("user_removed", &to_user, Broadcast::user(user)).await;
    super::posts::publish_posted(app, &channel, &post, &person).await;
    Ok(())
}

async fn list(caller: Caller, params: Params, query: Search) -> Result<Json<Vec<ChannelMember>>> {
    let channel = caller.channel(params.id("channel_id")?).await?;
    caller.must_in_channel(&channel, READ_CHANNEL).await?;
    let paging = query.paging();
    let members = caller.app.store.channel_members(channel.id, paging.offset(), paging.per_page).await?;
    Ok(Json(members.into_iter().map(|member| member.seen_by(caller.user.id)).collect()))
}

async fn by_ids(
    caller: Caller,
    params: Params,
    Body(ids): Body<Vec<String>>,
) -> Result<Json<Vec<ChannelMember>>> {
    let channel = caller.channel(params.id("channel_id")?).await?;
    caller.must_in_channel(&channel, READ_CHANNEL).await?;
    let ids = parse_ids(&ids, "user_ids")?;
    let mut members = caller.app.store.channel_members(channel.id, ALL.0, ALL.1).await?;
    members.retain(|member| ids.contains(&member.user_id));
    Ok(Json(members.into_iter().map(|member| member.seen_by(caller.user.id)).collect()))
}

async fn one(caller: Caller, params: Params) -> Result<Json<ChannelMember>> {
    let channel = caller.channel(params.id("channel_id")?).await?;
    let user = params.user(&caller)?;
    caller.must_in_channel(&channel, READ_CHANNEL).await?;
    let member = caller.app.store.channel_member_with_counters(channel.id, user).await?;
    Ok(Json(member.ok_or_else(no_such_channel_member)?.seen_by(caller.user.id)))
}

async fn set_roles(caller: Caller, params: Params, body: StringMapBody) -> Result<Json<Value>> {
    let allowed = |role: &str| role.starts_with("channel_");
    let MemberRoles { admin, explicit } = MemberRoles::read(&caller, &body, "channel", allowed).await?;
    change_roles(&caller, &params, admin, Some(explicit)).await
}

async fn set_scheme_roles(
    caller: Caller,
    params: Params,
    Body(roles): Body<SchemeRoles>,
) -> Result<Json<Value>> {
    change_roles(&caller, &params, roles.admin()?, None).await
}

async fn change_roles(
    caller: &Caller,
    params: &Params,
    admin: bool,
    explicit: Option<String>,
) -> Result<Json<Value>> {
    let channel = caller.channel(params.id("channel_id")?).await?;
    caller.must_in_channel(&channel, MANAGE_CHANNEL_ROLES).await?;
    let changed = caller.app.store.update_channel_member(channel.id, params.user(caller)?, move |member| {
        member.scheme_admin = admin;
        if let Some(explicit) = explicit {
            member.explicit_roles = explicit;
        }
        Ok(())
    });
    publish_updated(&caller.app, &changed.await?).await;
    Ok(ok())
}

async fn set_notify_props(
    caller: Caller,
    params: Params,
    Body(props): Body<StringMap>,
) -> Result<Json<Value>> {
    let channel = caller.channel(params.id("channel_id")?).await?;
    let user = params.user(&caller)?;
    caller.must_act_for(user).await?;
    change_notify_props(&caller, channel.id, user, props).await?;
    Ok(ok())
}

/// Changes some of a member's choices of what they are told.
pub(super) async fn change_notify_props(
    caller: &Caller,
    channel: Id,
    user: Id,
    props: StringMap,
) -> Result<()> {
    let changed = caller.app.store.update_channel_member(channel, user, move |member| {
        member.notify_props.extend(props);
        rules::at_most(MEMBER_NOTIFY_PROPS, &rules::json(&member.notify_props), "notify_props")
    });
    publish_updated(&caller.app, &changed.await?).await;
    Ok(())
}

async fn publish_updated(app: &App, member: &ChannelMember) {
    let data = json!({"channelMember": nested(member)});
    app.publish("channel_member_updated", &data, Broadcast::user(member.user_id)).await;
}

/// The time zones of a channel's members, without duplicates.
async fn time_zones(caller: Caller, params: Params) -> Result<Json<Vec<String>>> {
    let channel = caller.channel(params.id("channel_id")?).await?;
    caller.must_in_channel(&channel, READ_CHANNEL).await?;
    let members = caller.app.store.members_of_channel(channel.id).await?;
    let members: Vec<Id> = members.iter().copied().collect();
    let people = caller.app.store.users_by_ids(&members).await?;
    let zone = |user: &User| {
        let automatic = user.timezone.get("useAutomaticTimezone").is_some_and(|flag| flag == "true");
        user.timezone.get(if automatic { "automaticTimezone" } else { "manualTimezone" }).cloned()
    };
    let mut zones: Vec<String> = people.iter().filter_map(zone).filter(|zone| !zone.is_empty()).collect();
    zones.sort_unstable();
    zones.dedup();
    Ok(Json(zones))
}

async fn member_counts(caller: Caller, Body(ids): Body<Vec<String>>) -> Result<Json<BTreeMap<Id, usize>>> {
    let mut counts = BTreeMap::new();
    for id in parse_ids(&ids, "channel_ids")? {
        let channel = caller.channel(id).await?;
        caller.must_in_channel(&channel, READ_CHANNEL).await?;
        counts.insert(id, caller.app.store.members_of_channel(id).await?.len());
    }
    Ok(Json(counts))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct View {
    channel_id: String,
    prev_channel_id: String,
    /// Whether the client shows threads apart; otherwise it has shown them with the channel.
    collapsed_threads_supported: bool,
}

async fn view(caller: Caller, params: Params, Body(view): Body<View>) -> Result<Json<Value>> {
    let user = params.user(&caller)?;
    let mut channels = Vec::new();
    for (text, name) in [(&view.channel_id, "channel_id"), (&view.prev_channel_id, "prev_channel_id")] {
        if !text.is_empty() {
            channels.push(Id::parse(text).ok_or_else(|| AppError::body(name))?);
        }
    }
    read(&caller, user, channels, view.collapsed_threads_supported).await
}

async fn mark_read(caller: Caller, params: Params, Body(ids): Body<Vec<String>>) -> Result<Json<Value>> {
    let user = params.user(&caller)?;
    read(&caller, user, parse_ids(&ids, "channel_ids")?, true).await
}

async fn read(caller: &Caller, user: Id, channels: Vec<Id>, threads_apart: bool) -> Result<Json<Value>> {
    caller.must_act_for(user).await?;
    let follows = caller.app.config.service.thread_auto_follow;
    if follows && !channels.is_empty() && !(threads_apart && threads::are_apart(&caller.app, user).await?) {
        caller.app.store.read_threads_of_channels(user, channels.clone()).await?;
    }
    let times = match channels.is_empty() {
        true => BTreeMap::new(),
        false => caller.app.store.view_channels(user, channels).await?,
    };
    if !times.is_empty() {
        let data = json!({ "channel_times": times });
        caller.app.publish("multiple_channels_viewed", &data, Broadcast::user(user)).await;
    }
    Ok(Json(json!({"status": "OK", "last_viewed_at_times": times})))
}

/// For `page=-1`, which the official web client sends, the answer is all memberships, one JSON line each.
async fn of_user(caller: Caller, params: Params, query: Search) -> Result<Response> {
    let user = params.user(&caller)?;
    caller.must_act_for(user).await?;
    let store = &caller.app.store;
    if query.number("page") != Some(-1) {
        let paging = query.paging();
        let slice = (paging.offset(), paging.per_page);
        return Ok(Json(store.memberships_in_channels(user, None, slice).await?).into_response());
    }
    let mut lines = Vec::new();
    for member in store.memberships_in_channels(user, None, ALL).await? {
        serde_json::to_writer(&mut lines, &member).map_err(AppError::internal)?;
        lines.push(b'\n');
    }
    let mut response = lines.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    Ok(response)
}

async fn of_user_in_team(caller: Caller, params: Params) -> Result<Json<Vec<ChannelMember>>> {
    let (user, team) = (params.user(&caller)?, params.id("team_id")?);
    caller.must_act_for(user).await?;
    caller.must_in_team(team, VIEW_TEAM).await?;
    Ok(Json(caller.app.store.memberships_in_channels(user, Some(team), ALL).await?))
}

async fn unread(caller: Caller, params: Params) -> Result<Json<ChannelUnread>> {
    let (user, channel) = (params.user(&caller)?, params.id("channel_id")?);
    caller.must_act_for(user).await?;
    let found = caller.app.store.unread(user, Some(channel)).await?;
    found.into_iter().next().map(Json).ok_or_else(no_such_channel_member)
}

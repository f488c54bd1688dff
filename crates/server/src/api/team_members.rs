//! The members of teams.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post, put};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::member_roles::{MemberRoles, SchemeRoles};
use super::parameters::{Params, Search, parse_ids};
use crate::app::App;
use crate::error::{AppError, Result};
use crate::event::{Broadcast, nested};
use crate::id::Id;
use crate::json::{Body, Json, StringMapBody, created, ok};
use crate::model::{Team, TeamMember, User};
use crate::permission::{
    ADD_USER_TO_TEAM, JOIN_PRIVATE_TEAMS, JOIN_PUBLIC_TEAMS, MANAGE_TEAM_ROLES, REMOVE_USER_FROM_TEAM,
    VIEW_TEAM,
};
use crate::rules;
use crate::session::Caller;
use crate::store::{
    Joined, expired_invitation, invalid_invitation, no_such_invite, no_such_team_member, no_such_user,
};

pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/teams/members/invite", post(join_by_invite))
        .route("/teams/{team_id}/members", get(list).post(add))
        .route("/teams/{team_id}/members/ids", post(by_ids))
        .route("/teams/{team_id}/members/{user_id}", get(one).delete(remove))
        .route("/teams/{team_id}/members/{user_id}/roles", put(set_roles))
        .route("/teams/{team_id}/members/{user_id}/schemeRoles", put(set_scheme_roles))
        .route("/teams/{team_id}/stats", get(stats))
        .route("/users/{user_id}/teams/members", get(of_user))
        .route("/users/{user_id}/teams/unread", get(unread))
}

/// The routes on the local channel.
pub(super) fn local_router() -> Router<App> {
    Router::new()
        .route("/teams/{team_id}/members", get(list).post(add))
        .route("/teams/{team_id}/members/{user_id}", get(one).delete(remove))
}

/// Publishes that a user joined a team, to the user and to the team's default channels.
pub(super) async fn publish_joined(app: &App, user: &User, joined: &Joined) {
    if joined.channels.is_empty() {
        return;
    }
    let team = joined.member.team_id;
    app.publish("added_to_team", &json!({"team_id": team, "user_id": user.id}), Broadcast::user(user.id))
        .await;
    for (channel, post) in &joined.channels {
        app.publish_user_added(channel.id, team, user.id).await;
        super::posts::publish_posted(app, channel, post, user).await;
    }
}

pub(super) async fn join(app: &App, team: &Team, user: Arc<User>) -> Result<TeamMember> {
    if team.delete_at != 0 {
        return Err(crate::store::no_such_team());
    }
    let lists = [&team.allowed_domains, &app.config.team.restrict_creation_to_domains];
    if !lists.iter().all(|list| rules::is_domain_allowed(list, &user.email)) {
        return Err(AppError::bad_request(
            "api.team.join_user_to_team.allowed_domains.app_error",
            "The user cannot be added as the domain associated with the account is not permitted.",
        ));
    }
    let joined = app.store.join_team(team.id, Arc::clone(&user), app.config.team.max_users_per_team).await?;
    publish_joined(app, &user, &joined).await;
    Ok(joined.member)
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NewMember {
    team_id: String,
    user_id: String,
}

async fn add(
    caller: Caller,
    params: Params,
    Body(new): Body<NewMember>,
) -> Result<(StatusCode, Json<TeamMember>)> {
    let id = params.id("team_id")?;
    if Id::parse(&new.team_id) != Some(id) {
        return Err(AppError::body("team_id"));
    }
    let user = Id::parse(&new.user_id).ok_or_else(|| AppError::body("user_id"))?;
    let team = caller.team(id).await?;
    if user != caller.user.id {
        caller.must_in_team(id, ADD_USER_TO_TEAM).await?;
    } else if team.allow_open_invite {
        caller.must(JOIN_PUBLIC_TEAMS).await?;
    } else {
        caller.must(JOIN_PRIVATE_TEAMS).await?;
    }
    let user =
        caller.app.store.user(user).await?.filter(|user| user.delete_at == 0).ok_or_else(no_such_user)?;
    Ok(created(join(&caller.app, &team, user).await?))
}

async fn join_by_invite(caller: Caller, query: Search) -> Result<(StatusCode, Json<TeamMember>)> {
    let (invite, token) = (query.text("invite_id"), query.text("token"));
    if !token.is_empty() {
        let said = caller.app.store.take_invitation(token.to_owned()).await?;
        let said = said.or(invalid_invitation, expired_invitation)?;
        let team = caller.app.store.team(said.team).await?.ok_or_else(no_such_invite)?;
        return Ok(created(join(&caller.app, &team, Arc::clone(&caller.user)).await?));
    }
    if invite.is_empty() {
        return Err(AppError::parameter("invite_id"));
    }
    let team = caller.app.store.team_by_invite(invite).await?.ok_or_else(no_such_invite)?;
    Ok(created(join(&caller.app, &team, Arc::clone(&caller.user)).await?))
}

async fn list(caller: Caller, params: Params, query: Search) -> Result<Json<Vec<TeamMember>>> {
    let team = params.id("team_id")?;
    caller.must_in_team(team, VIEW_TEAM).await?;
    let paging = query.paging();
    Ok(Json(caller.app.store.team_members(team, paging.offset(), paging.per_page).await?))
}

async fn by_ids(
    caller: Caller,
    params: Params,
    Body(ids): Body<Vec<String>>,
) -> Result<Json<Vec<TeamMember>>> {
    let team = params.id("team_id")?;
    caller.must_in_team(team, VIEW_TEAM).await?;
    let mut members = Vec::new();
    for id in parse_ids(&ids, "user_ids")? {
        members
            .extend(caller.app.store.team_member(team, id).await?.map(|member| TeamMember::clone(&member)));
    }
    Ok(Json(members))
}

async fn one(caller: Caller, params: Params) -> Result<Json<TeamMember>> {
    let (team, user) = (params.id("team_id")?, params.user(&caller)?);
    caller.must_in_team(team, VIEW_TEAM).await?;
    let member = caller.app.store.team_member(team, user).await?.ok_or_else(no_such_team_member)?;
    Ok(Json(TeamMember::clone(&member)))
}

async fn remove(caller: Caller, params: Params) -> Result<Json<Value>> {
    let (team, user) = (params.id("team_id")?, params.user(&caller)?);
    if user != caller.user.id {
        caller.must_in_team(team, REMOVE_USER_FROM_TEAM).await?;
    }
    let app = &caller.app;
    app.store.team_member(team, user).await?.ok_or_else(no_such_team_member)?;
    let data = json!({"team_id": team, "user_id": user});
    // Published first, while the user is still a member and gets it too.
    app.publish("leave_team", &data, Broadcast::team(team)).await;
    let remover = json!({"user_id": user, "remover_id": caller.user.id});
    for channel in app.store.leave_team(team, user).await? {
        app.publish("user_removed", &remover, Broadcast::channel(channel)).await;
    }
    Ok(ok())
}

async fn set_roles(caller: Caller, params: Params, body: StringMapBody) -> Result<Json<Value>> {
    let allowed = |role: &str| !role.starts_with("system_");
    let MemberRoles { admin, explicit } = MemberRoles::read(&caller, &body, "team", allowed).await?;
    change_roles(&caller, &params, admin, explicit).await
}

async fn set_scheme_roles(
    caller: Caller,
    params: Params,
    Body(roles): Body<SchemeRoles>,
) -> Result<Json<Value>> {
    let admin = roles.admin()?;
    let (team, user) = (params.id("team_id")?, params.user(&caller)?);
    let member = caller.app.store.team_member(team, user).await?.ok_or_else(no_such_team_member)?;
    change_roles(&caller, &params, admin, member.explicit_roles.clone()).await
}

async fn change_roles(
    caller: &Caller,
    params: &Params,
    admin: bool,
    explicit: String,
) -> Result<Json<Value>> {
    let (team, user) = (params.id("team_id")?, params.user(caller)?);
    caller.must_in_team(team, MANAGE_TEAM_ROLES).await?;
    caller.app.store.set_team_roles(team, user, admin, explicit).await?;
    if let Some(member) = caller.app.store.team_member(team, user).await? {
        let data = json!({"member": nested(&*member)});
        caller.app.publish("memberrole_updated", &data, Broadcast::user(user)).await;
    }
    Ok(ok())
}

async fn stats(caller: Caller, params: Params) -> Result<Json<Value>> {
    let team = params.id("team_id")?;
    caller.must_in_team(team, VIEW_TEAM).await?;
    let (total, active) = caller.app.store.team_stats(team).await?;
    Ok(Json(json!({"team_id": team, "total_member_count": total, "active_member_count": active})))
}

async fn of_user(caller: Caller, params: Params) -> Result<Json<Vec<TeamMember>>> {
    let user = params.user(&caller)?;
    caller.must_act_for(user).await?;
    Ok(Json(caller.app.store.memberships_in_teams(user).await?))
}

/// The unread counters of each team except the one in `exclude_team`.
async fn unread(caller: Caller, params: Params, query: Search) -> Result<Json<Vec<Value>>> {
    let user = params.user(&caller)?;
    caller.must_act_for(user).await?;
    let excluded = query.id("exclude_team")?.unwrap_or_default();
    let mut teams: BTreeMap<Id, [i64; 4]> = BTreeMap::new();
    for member in caller.app.store.memberships_in_teams(user).await? {
        teams.insert(member.team_id, [0; 4]);
    }
    for channel in caller.app.store.unread(user, None).await? {
        if let Some(sums) = teams.get_mut(&channel.team_id) {
            let counts = [
                channel.msg_count,
                channel.mention_count,
                channel.mention_count_root,
                channel.msg_count_root,
            ];
            sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
    }
    let mut answer = Vec::new();
    for (team_id, [msg_count, mention_count, mention_count_root, msg_count_root]) in teams {
        if team_id == excluded {
            continue;
        }
        let (threads, mentions) = match query.flag("include_collapsed_threads") {
            true => caller.app.store.unread_threads(user, team_id).await?,
            false => (0, 0),
        };
        answer.push(json!({
            "team_id": team_id,
            "msg_count": msg_count,
            "mention_count": mention_count,
            "mention_count_root": mention_count_root,
            "msg_count_root": msg_count_root,
            "thread_count": threads,
            "thread_mention_count": mentions,
            "thread_urgent_mention_count": 0,
        }));
    }
    Ok(Json(answer))
}

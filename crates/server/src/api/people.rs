//! Listing and searching accounts, and which fields a caller sees of them.

use axum::Router;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};

use super::parameters::{Params, Search, parse_ids};
use crate::app::App;
use crate::bounds::{IDS_AT_ONCE, ROLES_AT_ONCE, SEARCH_TERM};
use crate::error::{AppError, Result};
use crate::id::Id;
use crate::json::{Absent, Body, Json};
use crate::model::User;
use crate::permission::{MANAGE_SYSTEM, READ_CHANNEL, VIEW_TEAM};
use crate::rules;
use crate::session::Caller;
use crate::store::{UserFilter, no_such_user};

/// The most accounts that one search returns.
const MOST: i64 = 1000;

pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/users", get(list))
        .route("/users/ids", post(by_ids))
        .route("/users/usernames", post(by_names))
        .route("/users/search", post(search))
        .route("/users/autocomplete", get(autocomplete))
        .route("/users/known", get(known))
        .route("/users/stats", get(stats))
        .route("/users/stats/filtered", get(stats))
        .route("/users/username/{username}", get(by_name))
        .route("/users/email/{email}", get(by_email))
        .route("/users/{user_id}", get(one))
}

/// The routes on the local channel.
pub(super) fn local_router() -> Router<App> {
    Router::new()
        .route("/users", get(list))
        .route("/users/ids", post(by_ids))
        .route("/users/usernames", post(by_names))
        .route("/users/search", post(search))
        .route("/users/username/{username}", get(by_name))
        .route("/users/email/{email}", get(by_email))
        .route("/users/{user_id}", get(one))
}

impl Caller {
    /// `user` as this caller may see it.
    pub(crate) async fn view(&self, user: &User) -> Result<User> {
        if user.id == self.user.id {
            return Ok(user.clone());
        }
        Ok(user.as_seen_by_others(&self.app.config, self.may(MANAGE_SYSTEM).await?))
    }

    /// `users` as this caller may see them.
    pub(crate) async fn view_all(&self, users: Vec<User>) -> Result<Vec<User>> {
        let administrator = self.may(MANAGE_SYSTEM).await?;
        let view = |user: User| match user.id == self.user.id {
            true => user,
            false => user.as_seen_by_others(&self.app.config, administrator),
        };
        Ok(users.into_iter().map(view).collect())
    }
}

async fn one(caller: Caller, params: Params) -> Result<Json<User>> {
    let user = caller.app.store.user(params.user(&caller)?).await?.ok_or_else(no_such_user)?;
    Ok(Json(caller.view(&user).await?))
}

async fn by_name(caller: Caller, params: Params) -> Result<Json<User>> {
    let user = caller.app.store.user_by_name(params.text("username")).await?.ok_or_else(no_such_user)?;
    Ok(Json(caller.view(&user).await?))
}

async fn by_email(caller: Caller, params: Params) -> Result<Json<User>> {
    if !caller.app.config.privacy.show_email_address {
        caller.must(MANAGE_SYSTEM).await?;
    }
    let user = caller.app.store.user_by_email(params.text("email")).await?.ok_or_else(no_such_user)?;
    Ok(Json(caller.view(&user).await?))
}

async fn list(caller: Caller, search: Search) -> Result<Json<Vec<User>>> {
    search.refuse(&["in_group", "not_in_group", "group_constrained", "channel_roles", "team_roles"])?;
    let paging = search.paging();
    let mut roles: Vec<String> = search.text("roles").split(',').map(|role| role.trim().to_owned()).collect();
    roles.push(search.text("role").to_owned());
    roles.retain(|role| !role.is_empty());
    let filter = UserFilter {
        in_team: search.id("in_team")?,
        not_in_team: search.id("not_in_team")?,
        in_channel: search.id("in_channel")?,
        not_in_channel: search.id("not_in_channel")?,
        without_team: search.flag("without_team"),
        active: search.flag("active"),
        inactive: search.flag("inactive"),
        roles,
        newest_first: search.text("sort") == "create_at",
        offset: paging.offset(),
        limit: paging.per_page,
        ..UserFilter::default()
    };
    find(&caller, &filter).await.map(Json)
}

/// The accounts that match `filter`. Only callers who may see a team or channel may list its members.
async fn find(caller: &Caller, filter: &UserFilter) -> Result<Vec<User>> {
    for team in [filter.in_team, filter.not_in_team].into_iter().flatten() {
        caller.must_in_team(team, VIEW_TEAM).await?;
    }
    for channel in [filter.in_channel, filter.not_in_channel].into_iter().flatten() {
        let channel = caller.channel(channel).await?;
        caller.must_in_channel(&channel, READ_CHANNEL).await?;
    }
    caller.view_all(caller.app.store.users(filter).await?).await
}

async fn by_ids(caller: Caller, Body(ids): Body<Vec<String>>) -> Result<Json<Vec<User>>> {
    let ids = parse_ids(&ids, "user_ids")?;
    let users = caller.app.store.users_by_ids(&ids).await?;
    Ok(Json(caller.view_all(users).await?))
}

async fn by_names(caller: Caller, Body(names): Body<Vec<String>>) -> Result<Json<Vec<User>>> {
    if names.is_empty() || names.len() > IDS_AT_ONCE {
        return Err(AppError::body("usernames"));
    }
    let users = caller.app.store.users_by_names(&names).await?;
    Ok(Json(caller.view_all(users).await?))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct UserSearch {
    term: String,
    team_id: String,
    not_in_team_id: String,
    in_channel_id: String,
    not_in_channel_id: String,
    allow_inactive: bool,
    without_team: bool,
    limit: i64,
    role: String,
    roles: Vec<String>,
    in_group_id: Absent,
    not_in_group_id: Absent,
    group_constrained: Absent,
    channel_roles: Absent,
    team_roles: Absent,
}

async fn search(caller: Caller, Body(request): Body<UserSearch>) -> Result<Json<Vec<User>>> {
    if request.term.is_empty() {
        return Err(AppError::body("term"));
    }
    rules::at_most(SEARCH_TERM, &request.term, "term")?;
    Absent::all(&[
        ("in_group_id", &request.in_group_id),
        ("not_in_group_id", &request.not_in_group_id),
        ("group_constrained", &request.group_constrained),
        ("channel_roles", &request.channel_roles),
        ("team_roles", &request.team_roles),
    ])?;
    let mut roles = request.roles;
    roles.push(request.role);
    roles.retain(|role| !role.is_empty());
    if roles.len() > ROLES_AT_ONCE {
        return Err(AppError::body("roles"));
    }
    let optional = |text: &str, name| match text {
        "" => Ok(None),
        text => Id::parse(text).map(Some).ok_or_else(|| AppError::body(name)),
    };
    let filter = UserFilter {
        in_team: optional(&request.team_id, "team_id")?,
        not_in_team: optional(&request.not_in_team_id, "not_in_team_id")?,
        in_channel: optional(&request.in_channel_id, "in_channel_id")?,
        not_in_channel: optional(&request.not_in_channel_id, "not_in_channel_id")?,
        without_team: request.without_team,
        active: !request.allow_inactive,
        roles,
        term: request.term.trim_start_matches('@').to_owned(),
        limit: if request.limit > 0 { request.limit.min(MOST) } else { 100 },
        ..UserFilter::default()
    };
    find(&caller, &filter).await.map(Json)
}

async fn autocomplete(caller: Caller, search: Search) -> Result<Json<Value>> {
    let (team, channel) = (search.id("in_team")?, search.id("in_channel")?);
    let limit = search.number("limit").filter(|limit| *limit > 0).unwrap_or(100).min(MOST);
    rules::at_most(SEARCH_TERM, search.text("name"), "name")?;
    let term = search.text("name").trim_start_matches('@').to_owned();
    let filter = UserFilter { in_team: team, active: true, term, limit, ..UserFilter::default() };
    let users = find(&caller, &UserFilter { in_channel: channel, ..filter.clone() }).await?;
    if channel.is_none() {
        return Ok(Json(json!({ "users": users })));
    }
    let outside = find(&caller, &UserFilter { not_in_channel: channel, ..filter }).await?;
    Ok(Json(json!({"users": users, "out_of_channel": outside})))
}

async fn known(caller: Caller) -> Result<Json<Vec<Id>>> {
    Ok(Json(caller.app.store.known_users(caller.user.id).await?))
}

async fn stats(caller: Caller) -> Result<Json<Value>> {
    Ok(Json(json!({"total_users_count": caller.app.store.active_users().await?})))
}

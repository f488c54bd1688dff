//! Teams.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::parameters::{Params, Search};
use super::patch;
use crate::app::App;
use crate::bounds::{SEARCH_TERM, TEAM_DESCRIPTION, TEAM_DISPLAY_NAME, TEAM_DOMAINS};
use crate::clock;
use crate::error::{AppError, Result};
use crate::event::{Broadcast, nested};
use crate::id::{Id, random_text};
use crate::json::{Absent, Body, Json, StringMapBody, created, ok};
use crate::model::Team;
use crate::permission::{
    CREATE_TEAM, INVITE_USER, LIST_PRIVATE_TEAMS, LIST_PUBLIC_TEAMS, MANAGE_TEAM, VIEW_TEAM,
};
use crate::rules;
use crate::session::Caller;
use crate::store::{no_such_invite, no_such_team};

pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/teams", post(create).get(list))
        .route("/teams/search", post(search))
        .route("/teams/name/{team_name}", get(by_name))
        .route("/teams/name/{team_name}/exists", get(exists))
        .route("/teams/invite/{invite_id}", get(by_invite))
        .route("/teams/{team_id}", get(one).put(update).delete(archive))
        .route("/teams/{team_id}/patch", put(patch))
        .route("/teams/{team_id}/privacy", put(set_privacy))
        .route("/teams/{team_id}/restore", post(restore))
        .route("/teams/{team_id}/regenerate_invite_id", post(regenerate_invite))
        .route("/users/{user_id}/teams", get(of_user))
}

/// The routes on the local channel.
pub(super) fn local_router() -> Router<App> {
    Router::new()
        .route("/teams", post(create).get(list))
        .route("/teams/search", post(search))
        .route("/teams/name/{team_name}", get(by_name))
        .route("/teams/{team_id}", get(one).put(update).delete(archive))
        .route("/teams/{team_id}/patch", put(patch))
        .route("/teams/{team_id}/privacy", put(set_privacy))
        .route("/teams/{team_id}/restore", post(restore))
        .route("/users/{user_id}/teams", get(of_user))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NewTeam {
    name: String,
    display_name: String,
    description: String,
    /// Of use on the local channel alone, whose caller has no address.
    email: String,
    #[serde(rename = "type")]
    kind: String,
    company_name: String,
    allowed_domains: String,
    allow_open_invite: bool,
}

async fn create(caller: Caller, Body(new): Body<NewTeam>) -> Result<(StatusCode, Json<Team>)> {
    if !caller.may(CREATE_TEAM).await? {
        return Err(AppError::forbidden(
            "api.team.is_team_creation_allowed.disabled.app_error",
            "Team creation has been disabled. Please ask your System Administrator for details.",
        ));
    }
    let now = clock::now();
    let team = Team {
        id: Id::random(),
        create_at: now,
        update_at: now,
        display_name: new.display_name.trim().to_owned(),
        name: new.name.to_lowercase(),
        description: new.description,
        email: if caller.is_local() { new.email.to_lowercase() } else { caller.user.email.clone() },
        kind: if new.kind.is_empty() { "O".to_owned() } else { new.kind },
        company_name: new.company_name,
        allowed_domains: new.allowed_domains,
        invite_id: new_invite(),
        allow_open_invite: new.allow_open_invite,
        ..Team::default()
    };
    check_name(&team.name)?;
    check(&team)?;
    let (team, joined) = caller.app.store.create_team(team, caller.account()).await?;
    if let Some(joined) = joined {
        super::team_members::publish_joined(&caller.app, &caller.user, &joined).await;
    }
    Ok(created(team))
}

fn new_invite() -> String {
    random_text(crate::id::LENGTH)
}

fn check_name(name: &str) -> Result<()> {
    if rules::is_reserved_team_name(name) {
        return Err(AppError::bad_request(
            "model.team.is_valid.reserved.app_error",
            "This URL is unavailable. Please try another.",
        ));
    }
    if !rules::is_team_name(name) {
        return Err(AppError::bad_request(
            "model.team.is_valid.characters.app_error",
            "Name must be 2 to 64 lowercase alphanumeric characters and inner dashes.",
        ));
    }
    Ok(())
}

fn check(team: &Team) -> Result<()> {
    if team.display_name.is_empty() {
        return Err(AppError::bad_request("model.team.is_valid.name.app_error", "Invalid name."));
    }
    if !["O", "I"].contains(&team.kind.as_str()) {
        return Err(AppError::bad_request("model.team.is_valid.type.app_error", "Invalid type."));
    }
    rules::at_most(TEAM_DISPLAY_NAME, &team.display_name, "display_name")?;
    rules::at_most(TEAM_DESCRIPTION, &team.description, "description")?;
    rules::at_most(TEAM_DISPLAY_NAME, &team.company_name, "company_name")?;
    rules::at_most(TEAM_DOMAINS, &team.allowed_domains, "allowed_domains")
}

impl Caller {
    /// `team` as this caller may see it.
    pub(super) async fn view_team(&self, team: Team) -> Result<Team> {
        let trusted =
            self.may_in_team(team.id, MANAGE_TEAM).await? || self.may_in_team(team.id, INVITE_USER).await?;
        Ok(if trusted { team } else { team.without_secrets() })
    }

    async fn view_teams(&self, teams: Vec<Team>) -> Result<Vec<Team>> {
        let mut seen = Vec::with_capacity(teams.len());
        for team in teams {
            seen.push(self.view_team(team).await?);
        }
        Ok(seen)
    }

    /// Allows members to see a team, and callers who may list open teams if it is open.
    async fn must_view_team(&self, team: &Team) -> Result<()> {
        if team.allow_open_invite && self.may(LIST_PUBLIC_TEAMS).await? {
            return Ok(());
        }
        self.must_in_team(team.id, VIEW_TEAM).await
    }
}

async fn one(caller: Caller, params: Params) -> Result<Json<Team>> {
    let team = caller.team(params.id("team_id")?).await?;
    caller.must_view_team(&team).await?;
    Ok(Json(caller.view_team(Team::clone(&team)).await?))
}

async fn by_name(caller: Caller, params: Params) -> Result<Json<Team>> {
    let team = caller.app.store.team_by_name(params.text("team_name")).await?.ok_or_else(no_such_team)?;
    caller.must_view_team(&team).await?;
    Ok(Json(caller.view_team(team).await?))
}

async fn exists(caller: Caller, params: Params) -> Result<Json<Value>> {
    let visible = match caller.app.store.team_by_name(params.text("team_name")).await? {
        None => false,
        Some(team) => {
            let listed = if team.allow_open_invite { LIST_PUBLIC_TEAMS } else { LIST_PRIVATE_TEAMS };
            caller.app.store.team_member(team.id, caller.user.id).await?.is_some()
                || caller.may(listed).await?
        }
    };
    Ok(Json(json!({ "exists": visible })))
}

/// What the page of an invite link shows to a visitor without an account.
async fn by_invite(State(app): State<App>, params: Params) -> Result<Json<Value>> {
    let team = app.store.team_by_invite(params.text("invite_id")).await?.ok_or_else(no_such_invite)?;
    if team.kind != "O" {
        return Err(AppError::forbidden(
            "api.team.get_invite_info.not_open_team",
            "Invite is invalid because this is not an open team.",
        ));
    }
    Ok(Json(json!({
        "display_name": team.display_name,
        "description": team.description,
        "name": team.name,
        "id": team.id,
    })))
}

async fn list(caller: Caller, query: Search) -> Result<Response> {
    query.refuse(&["exclude_policy_constrained"])?;
    let shown = directory(&caller).await?;
    let paging = query.paging();
    let (teams, total) = caller.app.store.teams(shown, "", paging.offset(), paging.per_page).await?;
    let teams = caller.view_teams(teams).await?;
    if query.flag("include_total_count") {
        return Ok(Json(json!({"teams": teams, "total_count": total})).into_response());
    }
    Ok(Json(teams).into_response())
}

/// Whether the caller may list open teams, and whether other teams.
async fn directory(caller: &Caller) -> Result<(bool, bool)> {
    match (caller.may(LIST_PUBLIC_TEAMS).await?, caller.may(LIST_PRIVATE_TEAMS).await?) {
        (false, false) => Err(AppError::permission(LIST_PUBLIC_TEAMS)),
        shown => Ok(shown),
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TeamSearch {
    term: String,
    page: Option<i64>,
    per_page: Option<i64>,
    allow_open_invite: Absent,
    group_constrained: Absent,
    include_group_constrained: Absent,
    exclude_policy_constrained: Absent,
}

async fn search(caller: Caller, Body(request): Body<TeamSearch>) -> Result<Response> {
    rules::at_most(SEARCH_TERM, &request.term, "term")?;
    Absent::all(&[
        ("allow_open_invite", &request.allow_open_invite),
        ("group_constrained", &request.group_constrained),
        ("include_group_constrained", &request.include_group_constrained),
        ("exclude_policy_constrained", &request.exclude_policy_constrained),
    ])?;
    let shown = directory(&caller).await?;
    let per_page = request.per_page.unwrap_or(100).clamp(0, 200);
    let offset = request.page.unwrap_or(0).max(0).saturating_mul(per_page);
    let (teams, total) = caller.app.store.teams(shown, &request.term, offset, per_page).await?;
    let teams = caller.view_teams(teams).await?;
    // As in Mattermost: an object if the request asks for a page, otherwise a list.
    if request.page.is_some() {
        return Ok(Json(json!({"teams": teams, "total_count": total})).into_response());
    }
    Ok(Json(teams).into_response())
}

async fn of_user(caller: Caller, params: Params) -> Result<Json<Vec<Team>>> {
    let user = params.user(&caller)?;
    caller.must_act_for(user).await?;
    let teams = caller.app.store.teams_of(user).await?;
    Ok(Json(caller.view_teams(teams).await?))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TeamPatch {
    display_name: Option<String>,
    description: Option<String>,
    company_name: Option<String>,
    allowed_domains: Option<String>,
    allow_open_invite: Option<bool>,
    group_constrained: Absent,
}

async fn update(caller: Caller, params: Params, Body(patch): Body<TeamPatch>) -> Result<Json<Team>> {
    change(&caller, params.id("team_id")?, patch).await
}

async fn patch(caller: Caller, params: Params, Body(patch): Body<TeamPatch>) -> Result<Json<Team>> {
    change(&caller, params.id("team_id")?, patch).await
}

async fn change(caller: &Caller, id: Id, patch: TeamPatch) -> Result<Json<Team>> {
    Absent::all(&[("group_constrained", &patch.group_constrained)])?;
    caller.team(id).await?;
    caller.must_in_team(id, MANAGE_TEAM).await?;
    let changed = caller.app.store.update_team(id, move |team| {
        patch::apply([
            (&mut team.display_name, patch.display_name),
            (&mut team.description, patch.description),
            (&mut team.company_name, patch.company_name),
            (&mut team.allowed_domains, patch.allowed_domains),
        ]);
        open_for_all(team, patch.allow_open_invite.unwrap_or(team.allow_open_invite));
        check(team)
    });
    let team = changed.await?;
    publish(caller, "update_team", &team).await;
    Ok(Json(caller.view_team(team).await?))
}

/// Opens or closes a team. Closing it changes its invite id, so that invite links from before no longer work.
fn open_for_all(team: &mut Team, open: bool) {
    if team.allow_open_invite && !open {
        team.invite_id = new_invite();
    }
    team.allow_open_invite = open;
}

/// Publishes a change to the team, without the fields that only some members may see.
async fn publish(caller: &Caller, event: &str, team: &Team) {
    let data = json!({"team": nested(&team.clone().without_secrets())});
    caller.app.publish(event, &data, Broadcast::team(team.id)).await;
}

async fn set_privacy(caller: Caller, params: Params, body: StringMapBody) -> Result<Json<Team>> {
    let id = params.id("team_id")?;
    caller.team(id).await?;
    caller.must_in_team(id, MANAGE_TEAM).await?;
    let kind = body.get("privacy").to_owned();
    if !["O", "I"].contains(&kind.as_str()) {
        return Err(AppError::body("privacy"));
    }
    let changed = caller.app.store.update_team(id, move |team| {
        open_for_all(team, kind == "O");
        team.kind = kind;
        Ok(())
    });
    let team = changed.await?;
    publish(&caller, "update_team", &team).await;
    Ok(Json(caller.view_team(team).await?))
}

/// Archives a team, or deletes it for good.
async fn archive(caller: Caller, params: Params, query: Search) -> Result<Json<Value>> {
    let id = params.id("team_id")?;
    caller.must_in_team(id, MANAGE_TEAM).await?;
    let enabled = caller.app.config.service.enable_api_team_deletion;
    let for_good = caller.wants_erasure(query.flag("permanent"), "team", enabled).await?;
    let team = set_deleted(&caller, &params, clock::now()).await?;
    publish(&caller, "delete_team", &team).await;
    if for_good {
        caller.app.erase_team(id).await?;
    }
    Ok(ok())
}

async fn restore(caller: Caller, params: Params) -> Result<Json<Team>> {
    let team = set_deleted(&caller, &params, 0).await?;
    publish(&caller, "restore_team", &team).await;
    Ok(Json(caller.view_team(team).await?))
}

async fn set_deleted(caller: &Caller, params: &Params, delete_at: i64) -> Result<Team> {
    let id = params.id("team_id")?;
    caller.team(id).await?;
    caller.must_in_team(id, MANAGE_TEAM).await?;
    let changed = caller.app.store.update_team(id, move |team| {
        team.delete_at = delete_at;
        Ok(())
    });
    changed.await
}

async fn regenerate_invite(caller: Caller, params: Params) -> Result<Json<Team>> {
    let id = params.id("team_id")?;
    caller.team(id).await?;
    caller.must_in_team(id, MANAGE_TEAM).await?;
    let changed = caller.app.store.update_team(id, |team| {
        team.invite_id = new_invite();
        Ok(())
    });
    let team = changed.await?;
    publish(&caller, "update_team", &team).await;
    Ok(Json(caller.view_team(team).await?))
}

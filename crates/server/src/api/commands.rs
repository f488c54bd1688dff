//! Slash commands: making, listing, changing and deleting those that other programs run.

mod builtin;
mod custom;
mod execute;
mod place;
mod suggestion;

use axum::Router;
use axum::routing::{get, post, put};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::hooks::{check_look, is_address, must_be_on};
use super::parameters::{Params, Search};
use crate::app::App;
use crate::bounds::{COMMAND_TEXT, COMMAND_TRIGGER, HOOK_DISPLAY_NAME};
use crate::clock;
use crate::error::{AppError, Result};
use crate::id::{self, Id};
use crate::json::{Body, Json, StringMapBody, created, ok};
use crate::model::Command;
use crate::permission::{MANAGE_OTHERS_SLASH_COMMANDS, MANAGE_OWN_SLASH_COMMANDS, VIEW_TEAM};
use crate::rules;
use crate::session::Caller;
use crate::store::duplicate_trigger;

pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/commands", post(create).get(list))
        .route("/commands/execute", post(execute::execute))
        .route("/commands/{command_id}", get(one).put(update).delete(delete))
        .route("/commands/{command_id}/move", put(move_to_team))
        .route("/commands/{command_id}/regen_token", put(renew_token))
        .merge(suggestion::router())
}

/// The routes outside the API, which other programs call.
pub(super) fn receiving_router() -> Router<App> {
    custom::router()
}

fn are_on(caller: &Caller) -> Result<()> {
    let enabled = caller.app.config.service.enable_commands;
    must_be_on(enabled, "api.command.disabled.app_error", "Commands")
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CommandRequest {
    team_id: String,
    trigger: String,
    method: String,
    username: String,
    icon_url: String,
    auto_complete: bool,
    auto_complete_desc: String,
    auto_complete_hint: String,
    display_name: String,
    description: String,
    url: String,
}

impl CommandRequest {
    /// `command` with what the request says.
    fn apply(self, command: Command) -> Result<Command> {
        let trigger = self.trigger.trim().to_lowercase();
        let is_word =
            !trigger.is_empty() && !trigger.starts_with('/') && !trigger.contains(char::is_whitespace);
        if !is_word {
            return Err(AppError::body("trigger"));
        }
        if builtin::find(&trigger).is_some() {
            return Err(duplicate_trigger());
        }
        if !["P", "G"].contains(&self.method.as_str()) {
            return Err(AppError::body("method"));
        }
        if !is_address(&self.url) {
            return Err(AppError::body("url"));
        }
        for (most, text, name) in [
            (COMMAND_TRIGGER, &trigger, "trigger"),
            (COMMAND_TRIGGER, &self.description, "description"),
            (HOOK_DISPLAY_NAME, &self.display_name, "display_name"),
            (COMMAND_TEXT, &self.url, "url"),
            (COMMAND_TEXT, &self.auto_complete_desc, "auto_complete_desc"),
            (COMMAND_TEXT, &self.auto_complete_hint, "auto_complete_hint"),
        ] {
            rules::at_most(most, text, name)?;
        }
        check_look(&self.username, &self.icon_url)?;
        Ok(Command {
            trigger,
            method: self.method,
            username: self.username,
            icon_url: self.icon_url,
            auto_complete: self.auto_complete,
            auto_complete_desc: self.auto_complete_desc,
            auto_complete_hint: self.auto_complete_hint,
            display_name: self.display_name,
            description: self.description,
            url: self.url,
            ..command
        })
    }
}

async fn create(caller: Caller, Body(new): Body<CommandRequest>) -> Result<(StatusCode, Json<Command>)> {
    are_on(&caller)?;
    let team_id = Id::parse(&new.team_id).ok_or_else(|| AppError::body("team_id"))?;
    caller.must_in_team(team_id, MANAGE_OWN_SLASH_COMMANDS).await?;
    caller.team(team_id).await?;
    let creator = caller.account().ok_or_else(|| AppError::body("creator_id"))?;
    let now = clock::now();
    let command = new.apply(Command {
        id: Id::random(),
        token: id::random_text(id::LENGTH),
        create_at: now,
        update_at: now,
        creator_id: creator.id,
        team_id,
        ..Command::default()
    })?;
    caller.app.store.save_command(command.clone(), true).await?;
    Ok(created(command))
}

async fn list(caller: Caller, query: Search) -> Result<Json<Vec<Command>>> {
    let team = query.id("team_id")?.unwrap_or_default();
    let manages = caller.may_in_team(team, MANAGE_OWN_SLASH_COMMANDS).await?;
    let others = caller.may_in_team(team, MANAGE_OTHERS_SLASH_COMMANDS).await?;
    if query.flag("custom_only") {
        are_on(&caller)?;
        caller.must_in_team(team, MANAGE_OWN_SLASH_COMMANDS).await?;
    } else {
        caller.must_in_team(team, VIEW_TEAM).await?;
    }
    let mut commands = match caller.app.config.service.enable_commands {
        true => caller.app.store.commands(team).await?,
        false => Vec::new(),
    };
    if !manages {
        commands.retain(|command| command.auto_complete);
        commands.iter_mut().for_each(without_secrets);
    } else if !others {
        commands.retain(|command| command.creator_id == caller.user.id);
    }
    if !query.flag("custom_only") {
        let mut all = builtin::listed();
        all.append(&mut commands);
        commands = all;
    }
    Ok(Json(commands))
}

/// Takes out what only those see who manage commands.
fn without_secrets(command: &mut Command) {
    command.token.clear();
    command.url.clear();
    command.method.clear();
    command.creator_id = Id::NONE;
}

/// The command that a request names, if the caller may manage it.
async fn managed(caller: &Caller, params: &Params) -> Result<Command> {
    are_on(caller)?;
    // Who may not see it does not learn that it exists.
    let missing =
        || AppError::not_found("store.sql_command.get.missing.app_error", "Command does not exist.");
    let command = caller.app.store.command(params.id("command_id")?).await?.ok_or_else(missing)?;
    if !caller.may_in_team(command.team_id, VIEW_TEAM).await? {
        return Err(missing());
    }
    caller.must_in_team(command.team_id, MANAGE_OWN_SLASH_COMMANDS).await?;
    if command.creator_id != caller.user.id {
        caller.must_in_team(command.team_id, MANAGE_OTHERS_SLASH_COMMANDS).await?;
    }
    Ok(command)
}

async fn one(caller: Caller, params: Params) -> Result<Json<Command>> {
    managed(&caller, &params).await.map(Json)
}

async fn update(caller: Caller, params: Params, Body(change): Body<CommandRequest>) -> Result<Json<Command>> {
    let command = managed(&caller, &params).await?;
    if !change.team_id.is_empty() && change.team_id != command.team_id.as_str() {
        return Err(AppError::bad_request(
            "api.command.team_mismatch.app_error",
            "Unable to update commands across teams.",
        ));
    }
    save(&caller, change.apply(command)?).await.map(Json)
}

async fn save(caller: &Caller, command: Command) -> Result<Command> {
    let command = Command { update_at: clock::now(), ..command };
    caller.app.store.save_command(command.clone(), false).await?;
    Ok(command)
}

async fn move_to_team(caller: Caller, params: Params, body: StringMapBody) -> Result<Json<Value>> {
    let team_id = Id::parse(body.get("team_id")).ok_or_else(|| AppError::body("team_id"))?;
    let command = managed(&caller, &params).await?;
    caller.team(team_id).await?;
    caller.must_in_team(team_id, MANAGE_OWN_SLASH_COMMANDS).await?;
    save(&caller, Command { team_id, ..command }).await?;
    Ok(ok())
}

async fn renew_token(caller: Caller, params: Params) -> Result<Json<Value>> {
    let command = managed(&caller, &params).await?;
    let command = save(&caller, Command { token: id::random_text(id::LENGTH), ..command }).await?;
    Ok(Json(json!({"token": command.token})))
}

async fn delete(caller: Caller, params: Params) -> Result<Json<Value>> {
    let command = managed(&caller, &params).await?;
    save(&caller, Command { delete_at: clock::now(), ..command }).await?;
    Ok(ok())
}

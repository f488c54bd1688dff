//! What is suggested while a slash command is typed.

use axum::Router;
use axum::routing::get;
use serde::Serialize;

use super::super::parameters::{Params, Search};
use super::{builtin, without_secrets};
use crate::app::App;
use crate::bounds::SEARCH_TERM;
use crate::error::Result;
use crate::id::Id;
use crate::json::Json;
use crate::model::Command;
use crate::permission::VIEW_TEAM;
use crate::rules;
use crate::session::Caller;

pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/teams/{team_id}/commands/autocomplete", get(autocomplete))
        .route("/teams/{team_id}/commands/autocomplete_suggestions", get(suggestions))
}

/// A suggestion, with Mattermost's names.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Suggestion {
    complete: String,
    suggestion: String,
    hint: String,
    description: String,
    icon_data: String,
}

/// The commands that are suggested in a team, without secrets.
async fn suggested(caller: &Caller, team: Id) -> Result<Vec<Command>> {
    caller.must_in_team(team, VIEW_TEAM).await?;
    let mut commands = builtin::listed();
    if caller.app.config.service.enable_commands {
        let own = caller.app.store.commands(team).await?;
        commands.extend(own.into_iter().filter(|command| command.auto_complete));
    }
    commands.iter_mut().for_each(without_secrets);
    commands.sort_by(|a, b| a.trigger.cmp(&b.trigger));
    Ok(commands)
}

async fn autocomplete(caller: Caller, params: Params) -> Result<Json<Vec<Command>>> {
    suggested(&caller, params.id("team_id")?).await.map(Json)
}

async fn suggestions(caller: Caller, params: Params, query: Search) -> Result<Json<Vec<Suggestion>>> {
    let commands = suggested(&caller, params.id("team_id")?).await?;
    let typed = query.text("user_input");
    rules::at_most(SEARCH_TERM, typed, "user_input")?;
    let typed = typed.trim_start_matches('/').to_lowercase();
    let suits = |command: &Command| command.trigger.starts_with(&typed);
    let suggestion = |command: Command| Suggestion {
        complete: command.trigger.clone(),
        suggestion: command.trigger,
        hint: command.auto_complete_hint,
        description: command.auto_complete_desc,
        icon_data: command.icon_url,
    };
    Ok(Json(commands.into_iter().filter(suits).map(suggestion).collect()))
}

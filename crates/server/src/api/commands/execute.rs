//! Running a slash command: one of our own, or one that another program runs.

use serde::Deserialize;

use super::super::channels::archiving;
use super::super::hooks::Look;
use super::place::{Outcome, Place};
use super::{are_on, builtin, custom};
use crate::bounds::COMMAND_LINE;
use crate::error::{AppError, Result};
use crate::id::Id;
use crate::json::{Body, Json};
use crate::permission::CREATE_POST;
use crate::rules;
use crate::session::Caller;

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Request {
    channel_id: String,
    team_id: String,
    root_id: String,
    command: String,
}

pub(super) async fn execute(caller: Caller, Body(request): Body<Request>) -> Result<Json<Outcome>> {
    let line = request.command.trim_end().to_owned();
    rules::at_most(COMMAND_LINE, &line, "command")?;
    let Some(rest) = line.strip_prefix('/').filter(|rest| !rest.is_empty()) else {
        return Err(AppError::bad_request(
            "api.command.execute_command.start.app_error",
            "Command must start with /.",
        ));
    };
    let (trigger, text) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let (trigger, text) = (trigger.to_lowercase(), text.trim().to_owned());
    let channel = Id::parse(&request.channel_id).ok_or_else(|| AppError::body("channel_id"))?;
    let channel = caller.channel(channel).await?;
    caller.must_in_channel(&channel, CREATE_POST).await?;
    archiving::refuse(
        &channel,
        "api.command.command_post.archived.app_error",
        "The channel has been archived or deleted.",
    )?;
    let team = match channel.team_id.is_none() {
        false => Some(caller.team(channel.team_id).await?),
        // A direct channel belongs to no team: the one that is shown beside it counts, if it is the caller's.
        true => match Id::parse(&request.team_id) {
            Some(team) if caller.app.store.team_member(team, caller.user.id).await?.is_some() => {
                Some(caller.team(team).await?)
            }
            _ => None,
        },
    };
    let root = match request.root_id.as_str() {
        "" => Id::NONE,
        text => {
            let root = Id::parse(text).ok_or_else(|| AppError::body("root_id"))?;
            let post = caller.app.store.post(root).await?.filter(|post| post.channel_id == channel.id);
            let post = post.ok_or_else(|| AppError::body("root_id"))?;
            if post.root_id.is_none() { post.id } else { post.root_id }
        }
    };
    let place = Place { caller, channel, team, root, line };
    let outcome = match builtin::find(&trigger) {
        Some(command) => command.run(&place, &text).await?,
        None => run_custom(&place, &trigger, &text).await?,
    };
    Ok(Json(outcome))
}

async fn run_custom(place: &Place, trigger: &str, text: &str) -> Result<Outcome> {
    let unknown = || {
        AppError::not_found(
            "api.command.execute_command.not_found.app_error",
            format!(
                "Command with a trigger of '/{trigger}' not found. To send a message beginning with \"/\" try adding an empty space at the beginning of the message."
            ),
        )
    };
    let Some(team) = &place.team else { return Err(unknown()) };
    let store = &place.caller.app.store;
    let Some(command) = store.command_by_trigger(team.id, trigger).await? else { return Err(unknown()) };
    are_on(&place.caller)?;
    let answer = custom::run(place, team, &command, text).await?;
    let look = Look { username: &command.username, icon_url: &command.icon_url, display_name: None };
    place.show(answer, &look).await
}

//! Slash commands that other programs run: asking the program, and its later answers.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use http::header;

use super::super::hooks::{Answer, Look, must_be_on, plain_ok};
use super::super::parameters::Params;
use super::place::Place;
use crate::app::App;
use crate::bounds::EXTRA_ANSWERS;
use crate::clock;
use crate::error::{AppError, Result};
use crate::id::Id;
use crate::json::{self, Body};
use crate::model::{Command, DelayedAnswer, Team};
use crate::outgoing::{Answered, Reach};
use crate::session::Caller;

pub(super) fn router() -> Router<App> {
    Router::new().route("/hooks/commands/{answer_id}", post(receive))
}

/// Asks the program of a command, and returns its answer.
pub(super) async fn run(place: &Place, team: &Team, command: &Command, text: &str) -> Result<Answer> {
    let app = &place.caller.app;
    let later = DelayedAnswer {
        id: Id::random(),
        create_at: clock::now(),
        command_id: command.id,
        user_id: place.caller.user.id,
        channel_id: place.channel.id,
        root_id: place.root,
        ..DelayedAnswer::default()
    };
    let site = app.config.service.site_url.trim_end_matches('/');
    let response_url = format!("{site}/hooks/commands/{}", later.id);
    app.store.await_answer(later).await?;
    let form = filled_in(&[
        ("token", command.token.as_str()),
        ("team_id", team.id.as_str()),
        ("team_domain", &team.name),
        ("channel_id", place.channel.id.as_str()),
        ("channel_name", &place.channel.name),
        ("user_id", place.caller.user.id.as_str()),
        ("user_name", &place.caller.user.username),
        ("command", &format!("/{}", command.trigger)),
        ("text", text),
        ("root_id", place.root.as_str()),
        ("response_url", &response_url),
    ]);
    let failed = |detail: String| {
        AppError::new(
            http::StatusCode::INTERNAL_SERVER_ERROR,
            "api.command.execute_command.failed.app_error",
            format!("Command with a trigger of '{}' failed.", command.trigger),
        )
        .detail(detail)
    };
    let _place = app.outgoing.urgent.acquire().await.map_err(|error| failed(error.to_string()))?;
    let answered = app.outgoing.call(Reach::Public, &command.url, |client, mut url| {
        let request = if command.method == "G" {
            let query = match url.query() {
                Some(own) if !own.is_empty() => format!("{own}&{form}"),
                _ => form,
            };
            url.set_query(Some(&query));
            client.get(url)
        } else {
            client.post(url).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(form)
        };
        request
            .header(header::ACCEPT, "application/json")
            .header(header::AUTHORIZATION, format!("Token {}", command.token))
    });
    let answered = answered.await.map_err(|error| failed(error.to_string()))?;
    if !answered.status.is_success() {
        return Err(failed(format!("it answered with {}", answered.status)));
    }
    read(&answered).map_err(failed)
}

/// A form with these fields.
fn filled_in(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// An answer: JSON, or a text for who ran the command.
fn read(answered: &Answered) -> Result<Answer, String> {
    if answered.body.trim_ascii().is_empty() {
        return Ok(Answer::default());
    }
    if !answered.is_json() {
        let text = String::from_utf8_lossy(&answered.body).into_owned();
        return Ok(Answer { text, ..Answer::default() });
    }
    let answer: Answer =
        json::parse(&answered.body).map_err(|error| format!("its answer: {}", error.detail_text()))?;
    if answer.extra_responses.len() > EXTRA_ANSWERS {
        return Err(format!("its answer has more than {EXTRA_ANSWERS} further messages"));
    }
    Ok(answer)
}

/// What a program answers later.
async fn receive(State(app): State<App>, params: Params, Body(answer): Body<Answer>) -> Result<Response> {
    must_be_on(app.config.service.enable_commands, "web.command_webhook.command.app_error", "Commands")?;
    let invalid = || AppError::bad_request("web.command_webhook.invalid.app_error", "Invalid webhook.");
    if answer.extra_responses.len() > EXTRA_ANSWERS {
        return Err(AppError::body("extra_responses"));
    }
    let later = app.store.take_answer(params.id("answer_id")?).await?.ok_or_else(invalid)?;
    let command = app.store.command(later.command_id).await?.ok_or_else(invalid)?;
    let user = app.store.user(later.user_id).await?.filter(|user| user.delete_at == 0).ok_or_else(invalid)?;
    let caller = Caller::acting_for(&app, user);
    let channel = caller.channel(later.channel_id).await?;
    // Who ran it may have left the channel meanwhile.
    caller.must_in_channel(&channel, crate::permission::CREATE_POST).await?;
    let team = app.store.team(command.team_id).await?;
    let place =
        Place { caller, channel: Arc::clone(&channel), team, root: later.root_id, line: String::new() };
    let look = Look { username: &command.username, icon_url: &command.icon_url, display_name: None };
    place.show(answer, &look).await?;
    Ok(plain_ok())
}

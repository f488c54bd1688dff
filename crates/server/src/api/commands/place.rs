//! Where a slash command runs, and showing what it answers.

use std::sync::Arc;

use serde::Serialize;

use super::super::hooks::{Answer, Look};
use super::super::posts::{Message, ephemeral};
use crate::error::{AppError, Result};
use crate::id::Id;
use crate::model::{Channel, Props, Team};
use crate::permission::CREATE_POST;
use crate::session::Caller;

/// Who runs a command, and where.
pub(super) struct Place {
    pub(super) caller: Caller,
    pub(super) channel: Arc<Channel>,
    /// None in a direct channel of somebody who names no team.
    pub(super) team: Option<Arc<Team>>,
    pub(super) root: Id,
    /// The whole command.
    pub(super) line: String,
}

/// What a client does after a command, with Mattermost's names.
#[derive(Debug, Default, Serialize)]
pub(super) struct Outcome {
    pub(super) response_type: String,
    pub(super) text: String,
    pub(super) username: String,
    pub(super) channel_id: String,
    pub(super) icon_url: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) props: Props,
    pub(super) goto_location: String,
    pub(super) trigger_id: String,
    pub(super) skip_slack_parsing: bool,
    pub(super) attachments: Option<Vec<serde_json::Value>>,
    pub(super) extra_responses: Option<Vec<serde_json::Value>>,
}

impl Place {
    /// An answer that the caller alone sees.
    pub(super) async fn whisper(&self, text: String) -> Outcome {
        let message = Message { text: text.clone(), root: self.root, ..Message::default() };
        ephemeral(&self.caller, &self.channel, message).await;
        Outcome { response_type: "ephemeral".to_owned(), text, ..Outcome::default() }
    }

    /// Posts what a program answered, or shows it to the caller alone, with the further messages.
    pub(super) async fn show(&self, mut answer: Answer, look: &Look<'_>) -> Result<Outcome> {
        let outcome = Outcome {
            response_type: answer.response_type.clone(),
            text: answer.text.clone(),
            username: answer.username.clone(),
            channel_id: answer.channel_id.clone(),
            icon_url: answer.icon_url.clone(),
            kind: answer.kind.clone(),
            props: answer.props.clone(),
            goto_location: answer.goto_location.clone(),
            skip_slack_parsing: answer.skip_slack_parsing,
            attachments: (!answer.attachments.is_empty()).then(|| answer.attachments.clone()),
            ..Outcome::default()
        };
        let more = std::mem::take(&mut answer.extra_responses);
        for one in std::iter::once(answer).chain(more) {
            self.show_one(one, look).await?;
        }
        Ok(outcome)
    }

    async fn show_one(&self, answer: Answer, look: &Look<'_>) -> Result<()> {
        if answer.is_empty() {
            return Ok(());
        }
        if answer.response_type != "in_channel" {
            let message = answer.message(&self.caller.app.config, self.root, look)?;
            ephemeral(&self.caller, &self.channel, message).await;
            return Ok(());
        }
        let elsewhere = match answer.channel_id.as_str() {
            "" => None,
            text => Some(Id::parse(text).ok_or_else(|| AppError::body("channel_id"))?),
        };
        match elsewhere.filter(|id| *id != self.channel.id) {
            None => answer.post(&self.caller, &self.channel, self.root, look).await?,
            Some(id) => {
                // The program acts for who ran the command, and may no more.
                let channel = self.caller.channel(id).await?;
                self.caller.must_in_channel(&channel, CREATE_POST).await?;
                answer.post(&self.caller, &channel, Id::NONE, look).await?
            }
        };
        Ok(())
    }
}

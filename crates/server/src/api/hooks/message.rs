//! A message of an integration, and posting it.

use serde::Deserialize;
use serde_json::Value;

use super::super::posts::{Message, post_message};
use super::{check_look, slack};
use crate::bounds::POST_MESSAGE;
use crate::config::Config;
use crate::error::{AppError, Result};
use crate::id::Id;
use crate::json::Absent;
use crate::model::{Channel, Post, Props};
use crate::session::Caller;

/// What an integration sends: the body of an incoming webhook, or the answer of an outgoing one or of a slash command.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::api) struct Answer {
    pub(in crate::api) text: String,
    pub(in crate::api) username: String,
    pub(in crate::api) icon_url: String,
    pub(in crate::api) icon_emoji: String,
    pub(in crate::api) channel: String,
    pub(in crate::api) channel_id: String,
    pub(in crate::api) props: Props,
    pub(in crate::api) attachments: Vec<Value>,
    #[serde(rename = "type")]
    pub(in crate::api) kind: String,
    pub(in crate::api) response_type: String,
    pub(in crate::api) goto_location: String,
    pub(in crate::api) skip_slack_parsing: bool,
    pub(in crate::api) extra_responses: Vec<Answer>,
    pub(in crate::api) priority: Absent,
}

/// The name and the picture of an integration, which its answers may override.
pub(in crate::api) struct Look<'a> {
    pub(in crate::api) username: &'a str,
    pub(in crate::api) icon_url: &'a str,
    /// The display name of a webhook; none for a slash command.
    pub(in crate::api) display_name: Option<&'a str>,
}

impl Answer {
    pub(in crate::api) fn is_empty(&self) -> bool {
        self.text.trim().is_empty() && self.attachments.is_empty()
    }

    /// Posts it in the name of `owner`, in several posts if it is long; returns the first one.
    pub(in crate::api) async fn post(
        self,
        owner: &Caller,
        channel: &Channel,
        root: Id,
        look: &Look<'_>,
    ) -> Result<Post> {
        Absent::all(&[("priority", &self.priority)])?;
        let messages = self.messages(&owner.app.config, root, look)?;
        let mut first = None;
        for message in messages {
            let post = post_message(owner, channel, message).await?;
            first.get_or_insert(post);
        }
        first.ok_or_else(|| AppError::body("text"))
    }

    /// The one post that it becomes for somebody who alone sees it.
    pub(in crate::api) fn message(self, config: &Config, root: Id, look: &Look<'_>) -> Result<Message> {
        self.messages(config, root, look)?.pop().ok_or_else(|| AppError::body("text"))
    }

    /// The posts that it becomes: what does not fit into one follows in further ones, and the attachments are in the last.
    fn messages(self, config: &Config, root: Id, look: &Look<'_>) -> Result<Vec<Message>> {
        let mut props = self.props;
        // Only the server says whose a post is.
        for reserved in
            ["override_username", "override_icon_url", "override_icon_emoji", "from_bot", "from_plugin"]
        {
            props.remove(reserved);
        }
        props.insert("from_webhook".to_owned(), "true".into());
        if let Some(name) = look.display_name {
            props.insert("webhook_display_name".to_owned(), name.into());
        }
        let chosen = |own: String, other: &str| if own.is_empty() { other.to_owned() } else { own };
        let (username, icon) = (chosen(self.username, look.username), chosen(self.icon_url, look.icon_url));
        check_look(&username, &icon)?;
        if config.service.enable_post_username_override {
            let username = if look.display_name.is_some() { chosen(username, "webhook") } else { username };
            if !username.is_empty() {
                props.insert("override_username".to_owned(), username.into());
            }
        }
        if config.service.enable_post_icon_override {
            if !icon.is_empty() {
                props.insert("override_icon_url".to_owned(), icon.into());
            }
            if !self.icon_emoji.is_empty() {
                let emoji: String = self.icon_emoji.chars().take(64).collect();
                props.insert("override_icon_emoji".to_owned(), emoji.into());
            }
        }
        let text = if self.skip_slack_parsing { self.text } else { slack::to_markdown(&self.text) };
        let mut parts = split(&text, POST_MESSAGE);
        let last = parts.pop().unwrap_or_default();
        let mut messages: Vec<Message> = parts
            .into_iter()
            .map(|text| Message { text, root, kind: self.kind.clone(), props: props.clone() })
            .collect();
        let mut kind = self.kind;
        let attachments = slack::attachments(self.attachments);
        if !attachments.is_empty() {
            props.insert("attachments".to_owned(), attachments.into());
            kind = "slack_attachment".to_owned();
        }
        messages.push(Message { text: last, root, kind, props });
        Ok(messages)
    }
}

/// `text` in parts of at most `most` characters, which end at a line's or a word's end where there is one in their second half.
fn split(text: &str, most: usize) -> Vec<String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((end, _)) = rest.char_indices().nth(most) {
        let half = rest.char_indices().nth(most / 2).map_or(0, |(at, _)| at);
        let whole = &rest[..end];
        let cut = whole.rfind('\n').or_else(|| whole.rfind(' ')).filter(|at| *at > half).unwrap_or(end);
        parts.push(rest[..cut].to_owned());
        rest = rest[cut..].trim_start_matches(['\n', ' ']);
    }
    parts.push(rest.to_owned());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_split_between_lines_or_words() {
        assert_eq!(split("short", 10), ["short"]);
        assert_eq!(split("", 10), [""]);
        assert_eq!(split("one two three", 10), ["one two", "three"]);
        assert_eq!(split("one two\nthree four", 12), ["one two", "three four"]);
        assert_eq!(split("ääääääääääää", 5), ["äääää", "äääää", "ää"]);
        assert_eq!(split("a bbbbbbbbb", 5), ["a bbb", "bbbbb", "b"]);
    }
}

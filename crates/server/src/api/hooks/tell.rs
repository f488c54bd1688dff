//! Telling outgoing webhooks of posts, and posting what they answer. A post's own request waits for none of it.

use std::sync::Arc;

use reqwest::{Client, RequestBuilder};
use serde::Serialize;
use tokio::sync::mpsc;
use url::Url;

use super::{Answer, Look, trigger};
use crate::app::App;
use crate::bounds::OCCASIONS_WAITING;
use crate::error::Result;
use crate::id::Id;
use crate::json;
use crate::model::{Channel, ChannelKind, OutgoingHook, Post, User};
use crate::outgoing::{Occasion, Reach};
use crate::session::Caller;

impl App {
    /// Lets outgoing webhooks be told of a post; returns at once.
    pub(in crate::api) fn note_for_hooks(&self, channel: &Channel, post: &Post, sender: &User) {
        let enabled = self.config.service.enable_outgoing_webhooks;
        if !enabled || channel.kind() != ChannelKind::Public || post.kind.starts_with("system_") {
            return;
        }
        let occasion = Occasion { post: post.clone(), channel: channel.clone(), sender: sender.clone() };
        if self.occasions.try_send(occasion).is_err() {
            tracing::error!(post = %post.id, "no webhook is told of a post: {OCCASIONS_WAITING} others wait");
        }
    }
}

/// Tells webhooks of posts until the task is aborted.
pub(crate) async fn tell(app: App, mut occasions: mpsc::Receiver<Occasion>) {
    while let Some(occasion) = occasions.recv().await {
        let hooks = match app.store.outgoing_hooks_of(occasion.channel.team_id).await {
            Ok(hooks) => hooks,
            Err(error) => {
                tracing::warn!(detail = error.detail_text(), "no webhook was told of a post");
                continue;
            }
        };
        let occasion = Arc::new(occasion);
        for hook in hooks.iter() {
            let Some(word) = trigger::word(hook, occasion.channel.id, &occasion.post.message) else {
                continue;
            };
            for address in hook.callback_urls.iter() {
                let Ok(place) = Arc::clone(&app.outgoing.background).acquire_owned().await else { return };
                let (app, hook, word) = (app.clone(), hook.clone(), word.to_owned());
                let (occasion, address) = (Arc::clone(&occasion), address.clone());
                tokio::spawn(async move {
                    tell_one(&app, &hook, &word, &occasion, &address).await;
                    drop(place);
                });
            }
        }
    }
}

/// What a webhook is told, with Mattermost's names.
#[derive(Debug, Serialize)]
struct Told<'a> {
    token: &'a str,
    team_id: Id,
    team_domain: &'a str,
    channel_id: Id,
    channel_name: &'a str,
    timestamp: i64,
    user_id: Id,
    user_name: &'a str,
    post_id: Id,
    text: &'a str,
    trigger_word: &'a str,
    file_ids: String,
}

impl Told<'_> {
    fn request(&self, client: &Client, url: Url, is_json: bool) -> RequestBuilder {
        let request = client.post(url).header("Accept", "application/json");
        if is_json {
            return request.json(self);
        }
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("token", self.token)
            .append_pair("team_id", self.team_id.as_str())
            .append_pair("team_domain", self.team_domain)
            .append_pair("channel_id", self.channel_id.as_str())
            .append_pair("channel_name", self.channel_name)
            .append_pair("timestamp", &(self.timestamp / 1000).to_string())
            .append_pair("user_id", self.user_id.as_str())
            .append_pair("user_name", self.user_name)
            .append_pair("post_id", self.post_id.as_str())
            .append_pair("text", self.text)
            .append_pair("trigger_word", self.trigger_word)
            .append_pair("file_ids", &self.file_ids);
        request.header("Content-Type", "application/x-www-form-urlencoded").body(form.finish())
    }
}

async fn tell_one(app: &App, hook: &OutgoingHook, word: &str, occasion: &Occasion, address: &str) {
    let Occasion { post, channel, sender } = occasion;
    let team = app.store.team(hook.team_id).await.ok().flatten();
    let file_ids: Vec<&str> = post.file_ids.iter().map(Id::as_str).collect();
    let told = Told {
        token: &hook.token,
        team_id: channel.team_id,
        team_domain: team.as_ref().map_or("", |team| &team.name),
        channel_id: channel.id,
        channel_name: &channel.name,
        timestamp: post.create_at,
        user_id: post.user_id,
        user_name: &sender.username,
        post_id: post.id,
        text: &post.message,
        trigger_word: word,
        file_ids: file_ids.join(","),
    };
    let is_json = hook.content_type == "application/json";
    let answered =
        app.outgoing.call(Reach::Public, address, |client, url| told.request(client, url, is_json)).await;
    let answered = match answered {
        Ok(answered) if answered.status.is_success() => answered,
        Ok(answered) => {
            tracing::warn!(hook = %hook.id, status = %answered.status, "an outgoing webhook refused a post");
            return;
        }
        Err(error) => {
            tracing::warn!(hook = %hook.id, %error, "an outgoing webhook was not told of a post");
            return;
        }
    };
    if answered.body.trim_ascii().is_empty() {
        return;
    }
    let Ok(answer) = json::parse::<Answer>(&answered.body) else {
        tracing::warn!(hook = %hook.id, "an outgoing webhook answered with what is no message");
        return;
    };
    if answer.is_empty() {
        return;
    }
    if let Err(error) = answer_with(app, hook, occasion, answer).await {
        tracing::warn!(hook = %hook.id, id = error.id(), detail = error.detail_text(), "an answer of an outgoing webhook was not posted");
    }
}

/// Posts an answer in the name of the webhook's creator; in the post's thread, if it says so.
async fn answer_with(app: &App, hook: &OutgoingHook, occasion: &Occasion, answer: Answer) -> Result<()> {
    let creator = app.store.user(hook.creator_id).await?.filter(|user| user.delete_at == 0);
    let channel = app.store.channel(occasion.channel.id).await?;
    let (Some(creator), Some(channel)) = (creator, channel) else { return Ok(()) };
    let post = &occasion.post;
    let root = match answer.response_type.as_str() {
        "comment" if post.root_id.is_none() => post.id,
        _ => post.root_id,
    };
    let look =
        Look { username: &hook.username, icon_url: &hook.icon_url, display_name: Some(&hook.display_name) };
    answer.post(&Caller::acting_for(app, creator), &channel, root, &look).await.map(drop)
}

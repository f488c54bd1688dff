//! Creating a post, and publishing the event.

use std::collections::HashSet;
use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::OnceCell;

use super::super::parameters::Search;
use crate::app::{App, CreatedPost};
use crate::bounds::POST_TYPE;
use crate::clock;
use crate::error::{AppError, Result};
use crate::event::{Audience, Broadcast, Event, nested};
use crate::id::Id;
use crate::json::{Absent, Body, json_response};
use crate::mention;
use crate::model::{Channel, ChannelKind, Post, Props, User};
use crate::permission::{CREATE_POST, MANAGE_SYSTEM, USE_CHANNEL_MENTIONS};
use crate::presence;
use crate::rules;
use crate::session::Caller;
use crate::sql::Column;
use crate::store::{NewPost, Written};

/// How long a `pending_post_id` is remembered, in milliseconds.
const PENDING: i64 = 30_000;

/// The fields of a new post that clients may set. The server sets author, id and times.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct PostRequest {
    channel_id: String,
    message: String,
    root_id: String,
    file_ids: Vec<String>,
    props: Props,
    pending_post_id: String,
    create_at: i64,
    is_pinned: bool,
    metadata: RequestedMetadata,
    #[serde(rename = "type")]
    kind: String,
}

/// What Mattermost would store with a post, and this server cannot.
#[derive(Default, Deserialize)]
#[serde(default)]
struct RequestedMetadata {
    priority: Absent,
    acknowledgements: Absent,
}

pub(super) async fn create(
    caller: Caller,
    query: Search,
    Body(request): Body<PostRequest>,
) -> Result<Response> {
    let set_online = query.text("set_online") != "false";
    if request.pending_post_id.is_empty() {
        return Ok(answer(&write(&caller, request, set_online).await?));
    }
    // A client that lost the answer repeats its request, and gets the post that the first request created, even while
    // the first is still running.
    let pending = &caller.app.recent_posts;
    let key = (caller.user.id, request.pending_post_id.chars().take(100).collect::<String>());
    let is_old =
        |cell: &OnceCell<CreatedPost>| cell.get().is_some_and(|made| made.at + PENDING < clock::now());
    let cell = match pending.get(&key) {
        Ok(cell) if !is_old(&cell) => cell,
        _ => {
            pending.forget(&key);
            pending.get_or_put(key, Arc::default)
        }
    };
    let made = cell.get_or_try_init(|| write(&caller, request, set_online)).await?;
    Ok(answer(made))
}

fn answer(made: &CreatedPost) -> Response {
    let mut response = json_response(made.body.clone()).into_response();
    *response.status_mut() = StatusCode::CREATED;
    response
}

async fn write(caller: &Caller, request: PostRequest, set_online: bool) -> Result<CreatedPost> {
    let app = &caller.app;
    let channel = Id::parse(&request.channel_id).ok_or_else(|| AppError::body("channel_id"))?;
    let channel = app.store.channel(channel).await?.ok_or_else(|| AppError::permission(CREATE_POST))?;
    caller.must_in_channel(&channel, CREATE_POST).await?;
    check(&request, &channel)?;
    let (post, body) = put(caller, &channel, request, set_online).await?;
    if is_by_a_person(&post) {
        app.note_for_hooks(&channel, &post, &caller.user);
    }
    Ok(CreatedPost { body, at: clock::now() })
}

/// A message of an integration.
#[derive(Debug, Clone, Default)]
pub(in crate::api) struct Message {
    pub(in crate::api) text: String,
    /// The root of the thread in which it is posted, or none.
    pub(in crate::api) root: Id,
    /// The post's type: empty, or what users may post.
    pub(in crate::api) kind: String,
    pub(in crate::api) props: Props,
}

/// Posts a message of an integration of `caller`, who may post in `channel`: the integration checks that. No outgoing webhook is told
/// of it, or two could answer each other for ever.
pub(in crate::api) async fn post_message(
    caller: &Caller,
    channel: &Channel,
    message: Message,
) -> Result<Post> {
    let request = PostRequest {
        message: message.text,
        root_id: message.root.to_string(),
        props: message.props,
        kind: message.kind,
        ..PostRequest::default()
    };
    check(&request, channel)?;
    put(caller, channel, request, false).await.map(|(post, _)| post)
}

/// Shows a message to the caller alone. It is not stored.
pub(in crate::api) async fn ephemeral(caller: &Caller, channel: &Channel, message: Message) {
    let now = clock::now();
    let post = Post {
        id: Id::random(),
        create_at: now,
        update_at: now,
        user_id: caller.user.id,
        channel_id: channel.id,
        root_id: message.root,
        message: message.text,
        kind: "system_ephemeral".to_owned(),
        props: Column(message.props),
        ..Post::default()
    };
    let broadcast = Broadcast { user_id: caller.user.id, channel_id: channel.id, ..Broadcast::default() };
    caller.app.publish("ephemeral_message", &json!({"post": nested(&post)}), broadcast).await;
}

/// Whether a post came from a person, or from a bot, but not from a webhook.
fn is_by_a_person(post: &Post) -> bool {
    !post.props.contains_key("from_webhook")
}

/// Stores a post, and publishes it.
async fn put(
    caller: &Caller,
    channel: &Channel,
    request: PostRequest,
    set_online: bool,
) -> Result<(Post, Bytes)> {
    let app = &caller.app;
    let root_id = root(app, &request.root_id, channel).await?;
    let keeps_time = request.create_at != 0 && caller.may(MANAGE_SYSTEM).await?;
    let now = if keeps_time { request.create_at } else { clock::for_post(channel.id) };
    let mentions = mentioned(caller, channel, &request.message).await?;
    let post = Post {
        id: Id::random(),
        create_at: now,
        update_at: now,
        user_id: caller.user.id,
        channel_id: channel.id,
        root_id,
        hashtags: mention::hashtags(&request.message),
        message: request.message,
        kind: request.kind,
        is_pinned: request.is_pinned,
        props: Column(request.props),
        file_ids: Column(request.file_ids.iter().filter_map(|id| Id::parse(id)).collect()),
        ..Post::default()
    };
    let follow = app.config.service.thread_auto_follow;
    let new = NewPost { post, team_id: channel.team_id, mentions: mentions.clone(), follow };
    let Written { mut post, followers } = app.store.create_post(new).await?;
    if !root_id.is_none() || !post.file_ids.is_empty() {
        post = caller.complete_one(post).await?;
    }
    post.pending_post_id = request.pending_post_id;
    let body = serde_json::to_string(&post).map_err(AppError::internal)?;
    let event = PostedEvent { app, channel, post: &post, sender: &caller.user, set_online };
    event.publish(&body, &mentions, &followers).await;
    if !root_id.is_none() {
        super::super::threads::publish_reply(app, root_id, channel.team_id, &followers).await;
    }
    if set_online && let Err(error) = presence::note_activity(app, caller.user.id).await {
        tracing::warn!(user = %caller.user.id, detail = error.detail_text(), "a status was not stored");
    }
    app.note_for_mail(channel, &post, &caller.user, mentions, followers);
    Ok((post, body.into()))
}

fn check(request: &PostRequest, channel: &Channel) -> Result<()> {
    if channel.delete_at != 0 {
        return Err(AppError::bad_request(
            "api.post.create_post.can_not_post_to_deleted.error",
            "Can not post to deleted channel.",
        ));
    }
    rules::check_message(&request.message)?;
    if request.message.is_empty() && request.file_ids.is_empty() && request.props.is_empty() {
        return Err(AppError::body("message"));
    }
    rules::check_files(request.file_ids.len())?;
    rules::check_props(&request.props)?;
    Absent::all(&[
        ("metadata.priority", &request.metadata.priority),
        ("metadata.acknowledgements", &request.metadata.acknowledgements),
    ])?;
    let allowed = ["", "me", "slack_attachment"].contains(&request.kind.as_str())
        || request.kind.starts_with("custom_");
    if !allowed || request.kind.len() > POST_TYPE {
        return Err(AppError::body("type"));
    }
    Ok(())
}

/// The root that a reply names. It must be in the same channel, and not be a reply itself.
async fn root(app: &App, text: &str, channel: &Channel) -> Result<Id> {
    if text.is_empty() {
        return Ok(Id::NONE);
    }
    let invalid =
        || AppError::bad_request("api.post.create_post.root_id.app_error", "Invalid RootId parameter.");
    let id = Id::parse(text).ok_or_else(invalid)?;
    let root = app.store.post(id).await?.ok_or_else(invalid)?;
    if root.channel_id != channel.id {
        return Err(AppError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "api.post.create_post.channel_root_id.app_error",
            "Invalid ChannelId for RootId parameter.",
        ));
    }
    if root.root_id.is_none() { Ok(id) } else { Err(invalid()) }
}

/// The channel's members whom the message mentions, without its author.
async fn mentioned(caller: &Caller, channel: &Channel, message: &str) -> Result<Vec<Id>> {
    let store = &caller.app.store;
    let author = caller.user.id;
    if channel.kind() == ChannelKind::Direct {
        let members = store.members_of_channel(channel.id).await?;
        return Ok(members.iter().copied().filter(|user| *user != author).collect());
    }
    if !message.contains('@') {
        return Ok(Vec::new());
    }
    let mentions = mention::mentions(message);
    let members = store.members_of_channel(channel.id).await?;
    if mentions.everyone && caller.may_in_channel(channel, USE_CHANNEL_MENTIONS).await? {
        return Ok(members.iter().copied().filter(|user| *user != author).collect());
    }
    if mentions.names.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<String> = mentions.names.into_iter().collect();
    let people = store.users_by_names(&names).await?.into_iter().map(|user| user.id);
    Ok(people.filter(|user| *user != author && members.contains(user)).collect())
}

/// Publishes a post that the server itself created about `user`.
pub(crate) async fn publish_posted(app: &App, channel: &Channel, post: &Post, user: &User) {
    let body = serde_json::to_string(post).unwrap_or_default();
    PostedEvent { app, channel, post, sender: user, set_online: false }.publish(&body, &[], &[]).await;
}

/// A new post, with what its event needs.
struct PostedEvent<'a> {
    app: &'a App,
    channel: &'a Channel,
    post: &'a Post,
    sender: &'a User,
    set_online: bool,
}

/// The data of the `posted` event. Each mentioned user or follower gets a copy that names only them.
#[derive(Clone, Serialize)]
struct Posted<'a> {
    channel_display_name: &'a str,
    channel_name: &'a str,
    channel_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<&'a str>,
    #[serde(rename = "otherFile", skip_serializing_if = "Option::is_none")]
    other_file: Option<&'a str>,
    post: &'a str,
    sender_name: &'a str,
    set_online: bool,
    team_id: Id,
    #[serde(skip_serializing_if = "Option::is_none")]
    mentions: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    followers: Option<String>,
}

impl PostedEvent<'_> {
    async fn publish(&self, body: &str, mentions: &[Id], followers: &[Id]) {
        let Ok(members) = self.app.store.members_of_channel(self.channel.id).await else {
            tracing::error!(channel = %self.channel.id, "a post was not published: its channel's members are unknown");
            return;
        };
        let sender_name = format!("@{}", self.sender.username);
        let files = &self.post.metadata.files;
        let has_image = files.iter().any(|file| file.mime_type.starts_with("image/"));
        let plain = Posted {
            channel_display_name: match self.channel.kind() {
                ChannelKind::Direct => &sender_name,
                _ => &self.channel.display_name,
            },
            channel_name: &self.channel.name,
            channel_type: &self.channel.kind,
            image: has_image.then_some("true"),
            other_file: (!files.is_empty()).then_some("true"),
            post: body,
            sender_name: &sender_name,
            set_online: self.set_online,
            team_id: self.channel.team_id,
            mentions: None,
            followers: None,
        };
        let broadcast = Broadcast::channel(self.channel.id);
        let send = |data: &Posted<'_>, audience: &Audience| {
            self.app.hub.send(Event::new("posted", data, broadcast.clone()), audience);
        };
        let named: HashSet<Id> =
            mentions.iter().chain(followers).copied().filter(|id| members.contains(id)).collect();
        if named.is_empty() {
            send(&plain, &Audience::Members(members));
            return;
        }
        let others = members.iter().copied().filter(|id| !named.contains(id)).collect();
        send(&plain, &Audience::Members(Arc::new(others)));
        for user in named.into_iter().filter(|user| self.app.hub.has_connections(*user)) {
            let own = |list: &[Id]| list.contains(&user).then(|| json!([user]).to_string());
            let data = Posted { mentions: own(mentions), followers: own(followers), ..plain.clone() };
            send(&data, &Audience::User(user));
        }
    }
}

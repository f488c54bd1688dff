//! Who is online, and who is typing.

use serde_json::{Map, Value, json};

use crate::app::App;
use crate::clock;
use crate::error::Result;
use crate::event::Broadcast;
use crate::id::Id;
use crate::model::Status;
use crate::permission::CREATE_POST;
use crate::session::Caller;

/// How often the end of `dnd` is looked for.
const END_DND: std::time::Duration = std::time::Duration::from_secs(5);

/// The statuses of `users`. Users without a row are offline.
pub(crate) async fn of(app: &App, users: &[Id]) -> Result<Vec<Status>> {
    let mut found = app.store.statuses(users).await?;
    for user in users {
        if !found.iter().any(|status| status.user_id == *user) {
            found.push(Status { user_id: *user, status: "offline".to_owned(), ..Status::default() });
        }
    }
    Ok(found)
}

/// Stores a status and sends it to its user's clients.
pub(crate) async fn save(app: &App, status: Status) -> Result<()> {
    let told = status.clone();
    if app.store.save_status(status).await? {
        publish(app, &told).await;
    }
    Ok(())
}

async fn publish(app: &App, status: &Status) {
    app.known_online.forget(&status.user_id);
    let data = json!({"status": status.status, "user_id": status.user_id});
    app.publish("status_change", &data, Broadcast::user(status.user_id)).await;
}

/// Stores whether a user is online after a websocket was opened or closed. If another one was opened or closed meanwhile,
/// what is true when it is written counts.
pub(crate) async fn follow_websockets(app: &App, user: Id, online: bool) -> Result<()> {
    let word = if online { "online" } else { "offline" };
    let at = App::clone(app);
    set_automatically(app, user, word, move || at.hub.is_connected(user) == online).await
}

/// A user who writes is online, if there is a websocket to see it.
pub(crate) async fn note_activity(app: &App, user: Id) -> Result<()> {
    let epoch = match app.known_online.get(&user) {
        Ok(()) => return Ok(()),
        Err(epoch) => epoch,
    };
    if app.hub.is_connected(user) {
        follow_websockets(app, user, true).await?;
        app.known_online.put(epoch, user, ());
    }
    Ok(())
}

async fn set_automatically(
    app: &App,
    user: Id,
    word: &str,
    holds: impl FnOnce() -> bool + Send + 'static,
) -> Result<()> {
    let (status, last_activity_at) = (word.to_owned(), clock::now());
    let status = Status { user_id: user, status, last_activity_at, ..Status::default() };
    let told = status.clone();
    if app.store.save_automatic_status(status, holds).await? {
        publish(app, &told).await;
    }
    Ok(())
}

/// Ends each `dnd` in time, until the task is aborted.
pub(crate) async fn keep_times(app: App) {
    let mut tick = tokio::time::interval(END_DND);
    loop {
        tick.tick().await;
        if let Err(error) = end_dnd(&app).await {
            tracing::warn!(detail = error.detail_text(), "the statuses whose time is over were not changed");
        }
    }
}

/// Gives back the former status to users whose time of `dnd` is over.
async fn end_dnd(app: &App) -> Result<()> {
    for status in app.store.ended_dnd(clock::now() / 1000).await? {
        let former = match status.previous.as_str() {
            "" | "dnd" => "online".to_owned(),
            former => former.to_owned(),
        };
        save(
            app,
            Status { status: former, manual: false, dnd_end_time: 0, previous: String::new(), ..status },
        )
        .await?;
    }
    Ok(())
}

/// Sets a status, unless the user has it already, or has chosen another by hand and this change is automatic.
pub(crate) async fn change(app: &App, user: Id, word: &str, manual: bool) -> Result<()> {
    if !manual {
        return set_automatically(app, user, word, || true).await;
    }
    let current = of(app, &[user]).await?.into_iter().next().unwrap_or_default();
    if current.status == word && current.manual {
        return Ok(());
    }
    let (status, last_activity_at) = (word.to_owned(), clock::now());
    save(app, Status { user_id: user, status, manual, last_activity_at, ..Status::default() }).await
}

/// A map from user to status, as the websocket sends it.
pub(crate) async fn by_user(app: &App, users: &[Id]) -> Result<Value> {
    let found = of(app, users).await?;
    let map: Map<String, Value> =
        found.into_iter().map(|status| (status.user_id.to_string(), status.status.into())).collect();
    Ok(Value::Object(map))
}

/// Like [`by_user`], for everyone who shares a channel with the caller.
pub(crate) async fn of_connected(caller: &Caller) -> Result<Value> {
    let known = caller.app.store.known_users(caller.user.id).await?;
    by_user(&caller.app, &known).await
}

/// Publishes to a channel that `user` is typing.
pub(crate) async fn publish_typing(caller: &Caller, user: Id, channel: Id, parent: Id) -> Result<()> {
    if !caller.app.config.service.enable_user_typing_messages {
        return Ok(());
    }
    let channel = caller.channel(channel).await?;
    caller.must_in_channel(&channel, CREATE_POST).await?;
    let broadcast = Broadcast::channel(channel.id).without(user);
    caller.app.publish("typing", &json!({"user_id": user, "parent_id": parent}), broadcast).await;
    Ok(())
}

//! Who is there.

use axum::Router;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Params;
use crate::App;
use crate::clock;
use crate::error::{AppError, Result};
use crate::event::Broadcast;
use crate::id::Id;
use crate::json::{Body, Json};
use crate::model::Status;
use crate::session::Caller;

const STATUSES: [&str; 4] = ["online", "away", "dnd", "offline"];

pub(super) fn router() -> Router<App> {
    Router::new().route("/users/status/ids", post(by_ids)).route("/users/{user_id}/status", get(one).put(set))
}

/// The statuses of `users`: those without a row are offline.
async fn of(app: &App, users: &[Id]) -> Result<Vec<Status>> {
    let mut found = app.store.statuses(users).await?;
    for user in users {
        if !found.iter().any(|status| status.user_id == *user) {
            found.push(Status { user_id: *user, status: "offline".to_owned(), ..Status::default() });
        }
    }
    Ok(found)
}

async fn one(caller: Caller, params: Params) -> Result<Json<Status>> {
    let user = params.user(&caller)?;
    let status = of(&caller.app, &[user]).await?.into_iter().next();
    status.map(Json).ok_or_else(crate::store::no_such_user)
}

async fn by_ids(caller: Caller, Body(ids): Body<Vec<String>>) -> Result<Json<Vec<Status>>> {
    let ids = super::ids(&ids, "user_ids")?;
    Ok(Json(of(&caller.app, &ids).await?))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Wanted {
    user_id: String,
    status: String,
    dnd_end_time: i64,
}

async fn set(caller: Caller, params: Params, Body(wanted): Body<Wanted>) -> Result<Json<Status>> {
    let user = params.user(&caller)?;
    if Id::parse(&wanted.user_id) != Some(user) {
        return Err(AppError::body("user_id"));
    }
    caller.must_act_for(user).await?;
    if !STATUSES.contains(&wanted.status.as_str()) {
        return Err(AppError::body("status"));
    }
    let status = Status {
        user_id: user,
        // A status that was chosen stays, whatever the sockets do; "online" hands it back to them.
        manual: wanted.status != "online",
        dnd_end_time: if wanted.status == "dnd" { wanted.dnd_end_time.max(0) } else { 0 },
        status: wanted.status,
        last_activity_at: clock::now(),
        previous: String::new(),
    };
    save(&caller.app, status.clone()).await?;
    Ok(Json(status))
}

async fn save(app: &App, status: Status) -> Result<()> {
    let told = json!({"status": status.status, "user_id": status.user_id});
    let user = status.user_id;
    app.store.save_status(status).await?;
    app.publish("status_change", &told, Broadcast::user(user)).await;
    Ok(())
}

/// Sets a status, unless it is that already or one chosen by hand stands against it.
pub(crate) async fn change(app: &App, user: Id, word: &str, manual: bool) -> Result<()> {
    let current = of(app, &[user]).await?.into_iter().next().unwrap_or_default();
    if (current.manual && !manual) || (current.status == word && current.manual == manual) {
        return Ok(());
    }
    let (status, last_activity_at) = (word.to_owned(), clock::now());
    save(app, Status { user_id: user, status, manual, last_activity_at, ..Status::default() }).await
}

/// A map from user to status, for the websocket.
pub(crate) async fn by_user(app: &App, users: &[Id]) -> Result<Value> {
    let found = of(app, users).await?;
    let map: Map<String, Value> =
        found.into_iter().map(|status| (status.user_id.to_string(), status.status.into())).collect();
    Ok(Value::Object(map))
}

/// As [`by_user`], of everyone the caller shares a channel with.
pub(crate) async fn of_connected(caller: &Caller) -> Result<Value> {
    let known = caller.app.store.known_users(caller.user.id).await?;
    by_user(&caller.app, &known).await
}

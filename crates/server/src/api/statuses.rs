//! The statuses of users: online, away, offline.

use axum::Router;
use axum::routing::{get, post};
use serde::Deserialize;

use super::parameters::{Params, parse_ids};
use crate::app::App;
use crate::clock;
use crate::error::{AppError, Result};
use crate::id::Id;
use crate::json::{Body, Json};
use crate::model::Status;
use crate::presence;
use crate::session::Caller;

const STATUSES: [&str; 4] = ["online", "away", "dnd", "offline"];

pub(super) fn router() -> Router<App> {
    Router::new().route("/users/status/ids", post(by_ids)).route("/users/{user_id}/status", get(one).put(set))
}

async fn one(caller: Caller, params: Params) -> Result<Json<Status>> {
    let user = params.user(&caller)?;
    let status = presence::of(&caller.app, &[user]).await?.into_iter().next();
    status.map(Json).ok_or_else(crate::store::no_such_user)
}

async fn by_ids(caller: Caller, Body(ids): Body<Vec<String>>) -> Result<Json<Vec<Status>>> {
    let ids = parse_ids(&ids, "user_ids")?;
    Ok(Json(presence::of(&caller.app, &ids).await?))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct StatusRequest {
    user_id: String,
    status: String,
    dnd_end_time: i64,
}

async fn set(caller: Caller, params: Params, Body(request): Body<StatusRequest>) -> Result<Json<Status>> {
    let user = params.user(&caller)?;
    if Id::parse(&request.user_id) != Some(user) {
        return Err(AppError::body("user_id"));
    }
    caller.must_act_for(user).await?;
    if !STATUSES.contains(&request.status.as_str()) {
        return Err(AppError::body("status"));
    }
    choose(&caller, user, request.status, request.dnd_end_time).await.map(Json)
}

/// Sets the status that a user chose.
pub(super) async fn choose(caller: &Caller, user: Id, status: String, dnd_end_time: i64) -> Result<Status> {
    let former = presence::of(&caller.app, &[user]).await?.into_iter().next().unwrap_or_default();
    let status = Status {
        user_id: user,
        // A status set by hand is not changed when sockets open and close, until the user sets "online" again.
        manual: status != "online",
        dnd_end_time: if status == "dnd" { dnd_end_time.max(0) } else { 0 },
        status,
        last_activity_at: clock::now(),
        // What comes back when the time of "dnd" is over.
        previous: if former.status == "dnd" { former.previous } else { former.status },
    };
    presence::save(&caller.app, status.clone()).await?;
    Ok(status)
}

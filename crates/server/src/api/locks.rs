//! The accounts that wrong passwords lock right now: a route of our own, on the local channel alone. Mattermost's accounts have one number
//! of failures, which tells neither until when nor for whom.

use axum::Router;
use axum::routing::get;

use crate::app::App;
use crate::error::Result;
use crate::json::Json;
use crate::model::AccountLock;
use crate::permission::MANAGE_SYSTEM;
use crate::session::Caller;

pub(super) fn local_router() -> Router<App> {
    Router::new().route("/mainstay/locks", get(list))
}

async fn list(caller: Caller) -> Result<Json<Vec<AccountLock>>> {
    caller.must(MANAGE_SYSTEM).await?;
    let most = caller.app.config.service.maximum_login_attempts;
    Ok(Json(caller.app.store.locks(most).await?))
}

//! What this server has none of, so that the true answer is empty; and the few numbers of the System Console.

use axum::Router;
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::parameters::{Params, Search};
use crate::app::App;
use crate::error::{AppError, Result};
use crate::json::{Json, ok};
use crate::model::Audit;
use crate::permission::MANAGE_SYSTEM;
use crate::session::Caller;

pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/agents", get(no_list))
        .route("/agents/status", get(no_agents))
        .route("/emoji", get(no_list))
        .route("/plugins/webapp", get(no_list))
        .route("/system/notices/{team_id}", get(no_list))
        .route("/custom_profile_attributes/fields", get(no_list))
        .route("/users/{user_id}/custom_profile_attributes", get(no_map))
        .route("/posts/scheduled/team/{team_id}", get(no_map))
        .route("/client_perf", post(measured))
        .route("/audits", get(all_audits))
        .route("/users/{user_id}/audits", get(audits))
        .route("/analytics/old", get(analytics))
}

async fn no_list(_: Caller) -> Json<Value> {
    Json(json!([]))
}

async fn no_map(_: Caller) -> Json<Value> {
    Json(json!({}))
}

async fn no_agents(_: Caller) -> Json<Value> {
    Json(json!({"available": false}))
}

/// Clients report how long they took. This server keeps no such numbers, as the official one without a licence.
async fn measured(_: Caller) -> Json<Value> {
    ok()
}

async fn all_audits(caller: Caller, query: Search) -> Result<Json<Vec<Audit>>> {
    caller.must(MANAGE_SYSTEM).await?;
    let paging = query.paging();
    Ok(Json(caller.app.store.audits(None, paging.offset(), paging.per_page).await?))
}

async fn audits(caller: Caller, params: Params) -> Result<Json<Vec<Audit>>> {
    let user = params.user(&caller)?;
    caller.must_act_for(user).await?;
    Ok(Json(caller.app.store.audits(Some(user), 0, 100).await?))
}

async fn analytics(caller: Caller, query: Search) -> Result<Json<Value>> {
    caller.must(MANAGE_SYSTEM).await?;
    if !matches!(query.text("name"), "" | "standard") || !query.text("team_id").is_empty() {
        return Err(AppError::not_implemented("these analytics"));
    }
    let counts = caller.app.store.counts().await?;
    Ok(Json(counts.into_iter().map(|(name, value)| json!({"name": name, "value": value})).collect()))
}

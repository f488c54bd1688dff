//! Roles. Clients show or hide controls by the permissions in them.

use axum::Router;
use axum::routing::{get, post};

use super::parameters::Params;
use crate::app::App;
use crate::bounds::ROLES_AT_ONCE;
use crate::error::{AppError, Result};
use crate::json::{Body, Json};
use crate::model::Role;
use crate::permission::MANAGE_SYSTEM;
use crate::session::Caller;

pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/roles", get(all))
        .route("/roles/names", post(by_names))
        .route("/roles/name/{role_name}", get(by_name))
        .route("/roles/{role_id}", get(one))
}

async fn all(caller: Caller) -> Result<Json<Vec<Role>>> {
    caller.must(MANAGE_SYSTEM).await?;
    Ok(Json(caller.app.store.roles().await?))
}

async fn by_names(caller: Caller, Body(names): Body<Vec<String>>) -> Result<Json<Vec<Role>>> {
    if names.is_empty() || names.len() > ROLES_AT_ONCE {
        return Err(AppError::body("rolenames"));
    }
    let mut roles = Vec::new();
    for name in names.iter().filter(|name| !name.trim().is_empty()) {
        roles.extend(caller.app.store.role(name.trim()).await?.map(|role| Role::clone(&role)));
    }
    Ok(Json(roles))
}

async fn by_name(caller: Caller, params: Params) -> Result<Json<Role>> {
    let role = caller.app.store.role(params.text("role_name")).await?.ok_or_else(no_such_role)?;
    Ok(Json(Role::clone(&role)))
}

async fn one(caller: Caller, params: Params) -> Result<Json<Role>> {
    caller.app.store.role_by_id(params.id("role_id")?).await?.map(Json).ok_or_else(no_such_role)
}

fn no_such_role() -> AppError {
    AppError::not_found("app.role.get.app_error", "Unable to get the role.")
}

//! Preferences.

use axum::Router;
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::parameters::Params;
use crate::app::App;
use crate::bounds::{PREFERENCE_NAME, PREFERENCE_VALUE, PREFERENCES_AT_ONCE};
use crate::error::{AppError, Result};
use crate::event::{Broadcast, nested};
use crate::id::Id;
use crate::json::{Body, Json, ok};
use crate::model::Preference;
use crate::rules;
use crate::session::Caller;

pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/users/{user_id}/preferences", get(list).put(save))
        .route("/users/{user_id}/preferences/delete", post(delete))
        .route("/users/{user_id}/preferences/{category}", get(list))
        .route("/users/{user_id}/preferences/{category}/name/{name}", get(one))
}

async fn list(caller: Caller, params: Params) -> Result<Json<Vec<Preference>>> {
    let user = params.user(&caller)?;
    caller.must_act_for(user).await?;
    Ok(Json(caller.app.store.preferences(user, params.text("category"), "").await?))
}

async fn one(caller: Caller, params: Params) -> Result<Json<Preference>> {
    let user = params.user(&caller)?;
    caller.must_act_for(user).await?;
    let found = caller.app.store.preferences(user, params.text("category"), params.text("name")).await?;
    found.into_iter().next().map(Json).ok_or_else(|| {
        AppError::bad_request(
            "app.preference.get.app_error",
            "We encountered an error while finding preferences.",
        )
    })
}

async fn save(
    caller: Caller,
    params: Params,
    Body(preferences): Body<Vec<Preference>>,
) -> Result<Json<Value>> {
    let (user, data) = checked(&caller, &params, &preferences).await?;
    caller.app.store.save_preferences(preferences).await?;
    caller.app.publish("preferences_changed", &data, Broadcast::user(user)).await;
    Ok(ok())
}

async fn delete(
    caller: Caller,
    params: Params,
    Body(preferences): Body<Vec<Preference>>,
) -> Result<Json<Value>> {
    let (user, data) = checked(&caller, &params, &preferences).await?;
    caller.app.store.delete_preferences(preferences).await?;
    caller.app.publish("preferences_deleted", &data, Broadcast::user(user)).await;
    Ok(ok())
}

/// Checks that the caller may change these preferences. Returns the user in the path, and the data of the event for
/// that user's clients.
async fn checked(caller: &Caller, params: &Params, preferences: &[Preference]) -> Result<(Id, Value)> {
    let user = params.user(caller)?;
    caller.must_act_for(user).await?;
    if preferences.is_empty() || preferences.len() > PREFERENCES_AT_ONCE {
        return Err(AppError::body("preferences"));
    }
    for preference in preferences {
        if preference.user_id != user {
            return Err(AppError::forbidden(
                "api.preference.update_preferences.set.app_error",
                "Unable to set a preference of another user.",
            ));
        }
        if preference.category.is_empty() {
            return Err(AppError::body("category"));
        }
        rules::at_most(PREFERENCE_NAME, &preference.category, "category")?;
        rules::at_most(PREFERENCE_NAME, &preference.name, "name")?;
        rules::at_most(PREFERENCE_VALUE, &preference.value, "value")?;
    }
    Ok((user, json!({"preferences": nested(&preferences)})))
}

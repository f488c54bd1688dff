//! Accounts: changing and deactivating them.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::parameters::{Params, Search};
use super::patch;
use super::sign_up::{NewUser, check};
use crate::app::App;
use crate::clock;
use crate::error::{AppError, Result};
use crate::event::Broadcast;
use crate::id::Id;
use crate::json::{Body, Json, StringMapBody, ok};
use crate::model::{StringMap, User};
use crate::password;
use crate::peer::Client;
use crate::permission::{EDIT_OTHER_USERS, MANAGE_ROLES, MANAGE_SYSTEM};
use crate::presence;
use crate::rules;
use crate::session::Caller;
use crate::sign_in::must_know_password;
use crate::sql::Column;
use crate::store::{USER_LIMIT, UserFilter, address_taken, no_such_user};

pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/users/{user_id}", put(update).delete(deactivate))
        .route("/users/{user_id}/patch", put(patch))
        .route("/users/{user_id}/password", put(change_password))
        .route("/users/{user_id}/roles", put(set_roles))
        .route("/users/{user_id}/active", put(set_active))
        .route("/users/{user_id}/email/verify/member", post(verify_email))
        .route("/users/{user_id}/reset_failed_attempts", post(unlock))
        .route("/users/{user_id}/image", get(picture))
        .route("/users/{user_id}/image/default", get(picture))
        .route("/users/{user_id}/typing", post(typing))
}

/// The routes on the local channel.
pub(super) fn local_router() -> Router<App> {
    Router::new()
        .route("/users/{user_id}", put(update).delete(deactivate))
        .route("/users/{user_id}/patch", put(patch))
        .route("/users/{user_id}/password", put(change_password))
        .route("/users/{user_id}/roles", put(set_roles))
        .route("/users/{user_id}/active", put(set_active))
        .route("/users/{user_id}/mfa", put(set_mfa))
        .route("/users/{user_id}/email/verify/member", post(verify_email))
        .route("/users/{user_id}/reset_failed_attempts", post(unlock))
}

/// The fields of an account that its owner may change; absent fields stay as they are.
#[derive(Default, Deserialize)]
#[serde(default)]
struct UserPatch {
    username: Option<String>,
    email: Option<String>,
    password: Option<String>,
    nickname: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
    position: Option<String>,
    locale: Option<String>,
    props: Option<StringMap>,
    notify_props: Option<StringMap>,
    timezone: Option<StringMap>,
}

async fn patch(
    caller: Caller,
    client: Client,
    params: Params,
    Body(patch): Body<UserPatch>,
) -> Result<Json<User>> {
    let id = params.user(&caller)?;
    caller.must_act_for(id).await?;
    change(&caller, client, id, patch).await
}

/// Takes a whole account, and changes the fields that its owner may change.
async fn update(
    caller: Caller,
    client: Client,
    params: Params,
    Body(whole): Body<NewUser>,
) -> Result<Json<User>> {
    let id = params.user(&caller)?;
    caller.must_act_for(id).await?;
    let patch = UserPatch {
        username: Some(whole.username).filter(|name| !name.is_empty()),
        email: Some(whole.email).filter(|email| !email.is_empty()),
        password: Some(whole.password).filter(|password| !password.is_empty()),
        nickname: Some(whole.nickname),
        first_name: Some(whole.first_name),
        last_name: Some(whole.last_name),
        position: Some(whole.position),
        locale: Some(whole.locale).filter(|locale| !locale.is_empty()),
        props: Some(whole.props),
        notify_props: Some(whole.notify_props).filter(|map| !map.is_empty()),
        timezone: Some(whole.timezone).filter(|map| !map.is_empty()),
    };
    change(&caller, client, id, patch).await
}

async fn change(caller: &Caller, client: Client, id: Id, patch: UserPatch) -> Result<Json<User>> {
    let app = &caller.app;
    let current = app.store.user(id).await?.ok_or_else(no_such_user)?;
    let new_email = patch.email.map(|email| email.to_lowercase()).filter(|email| *email != current.email);
    if let Some(email) = &new_email {
        // A session alone must not be enough to take over the account.
        if id == caller.user.id {
            must_know_password(app, client, &current, patch.password.unwrap_or_default()).await?;
        }
        if !rules::is_domain_allowed(&app.config.team.restrict_creation_to_domains, email) {
            return Err(AppError::bad_request(
                "api.user.update_user.accepted_domain.app_error",
                "The email you provided does not belong to an accepted domain.",
            ));
        }
    }
    // An address that must be verified becomes the account's when its owner follows the link.
    let is_verified_first = new_email.is_some() && id == caller.user.id && app.verifies_addresses();
    if let Some(email) = new_email.as_ref().filter(|_| is_verified_first) {
        if app.store.user_by_email(email).await?.is_some() {
            return Err(address_taken());
        }
        check(&User { email: email.clone(), ..User::clone(&current) })?;
    }
    let asked = new_email.clone().filter(|_| is_verified_first);
    let new_email = new_email.filter(|_| !is_verified_first);
    let changed = app.store.update_user(id, move |user| {
        user.email_verified &= new_email.is_none();
        patch::apply([
            (&mut user.username, patch.username.map(|name| name.to_lowercase())),
            (&mut user.email, new_email),
            (&mut user.nickname, patch.nickname),
            (&mut user.first_name, patch.first_name),
            (&mut user.last_name, patch.last_name),
            (&mut user.position, patch.position),
            (&mut user.locale, patch.locale),
        ]);
        patch::apply([
            (&mut user.props, patch.props.map(Column)),
            (&mut user.notify_props, patch.notify_props.map(Column)),
            (&mut user.timezone, patch.timezone.map(Column)),
        ]);
        check(user)
    });
    let user = changed.await?;
    publish_updated(app, &user).await;
    if user.email != current.email {
        app.mail_address_changed(&current, &user.email);
    }
    match asked {
        Some(address) => app.mail_verification(&user, &address).await?,
        None if user.email != current.email && app.verifies_addresses() => {
            app.mail_verification(&user, &user.email).await?;
        }
        None => {}
    }
    Ok(Json(caller.view(&user).await?))
}

/// Publishes a changed account in three forms: to its owner, to administrators and to all others.
pub(super) async fn publish_updated(app: &App, user: &User) {
    app.publish("user_updated", &json!({ "user": user }), Broadcast::user(user.id)).await;
    let administrators = UserFilter {
        active: true,
        roles: vec!["system_admin".to_owned()],
        limit: USER_LIMIT,
        ..UserFilter::default()
    };
    let mut others = Broadcast::everyone().without(user.id);
    for administrator in app.store.users(&administrators).await.unwrap_or_default() {
        if administrator.id != user.id {
            others = others.without(administrator.id);
            let seen = json!({ "user": user.as_seen_by_others(&app.config, true) });
            app.publish("user_updated", &seen, Broadcast::user(administrator.id)).await;
        }
    }
    let seen = json!({ "user": user.as_seen_by_others(&app.config, false) });
    app.publish("user_updated", &seen, others).await;
}

async fn change_password(
    caller: Caller,
    client: Client,
    params: Params,
    body: StringMapBody,
) -> Result<Json<Value>> {
    let id = params.user(&caller)?;
    let app = &caller.app;
    let user = app.store.user(id).await?.ok_or_else(no_such_user)?;
    if id == caller.user.id {
        let current = body.get("current_password");
        if current.is_empty() {
            return Err(AppError::body("current_password"));
        }
        must_know_password(app, client, &user, current.to_owned()).await?;
    } else {
        caller.must(MANAGE_SYSTEM).await?;
    }
    password::check(&app.config.password, body.get("new_password"))?;
    let hash = app.hash_password(body.get("new_password").to_owned()).await?;
    let changed = app.store.update_user(id, move |user| {
        user.password = hash;
        user.last_password_update = clock::now();
        Ok(())
    });
    changed.await?;
    app.store.unlock(id).await?;
    app.mail_password_changed(&user);
    if id != caller.user.id {
        app.store.revoke_sessions(id).await?;
        app.hub.end_where(id, |_| true);
    } else if app.config.service.terminate_sessions_on_password_change {
        let own = caller.session.id;
        app.store.revoke_other_sessions(id, own).await?;
        app.hub.end_where(id, |connection| connection.session != own);
    }
    Ok(ok())
}

async fn set_roles(caller: Caller, params: Params, body: StringMapBody) -> Result<Json<Value>> {
    caller.must(MANAGE_ROLES).await?;
    let id = params.user(&caller)?;
    let roles = body.get("roles").split_whitespace().collect::<Vec<_>>().join(" ");
    for role in roles.split(' ') {
        if !role.starts_with("system_") || caller.app.store.role(role).await?.is_none() {
            return Err(AppError::body("roles"));
        }
    }
    let data = json!({"user_id": id, "roles": roles});
    let changed = caller.app.store.update_user(id, move |user| {
        user.roles = roles;
        Ok(())
    });
    changed.await?;
    caller.app.publish("user_role_updated", &data, Broadcast::user(id)).await;
    Ok(ok())
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Active {
    active: Option<bool>,
}

async fn set_active(caller: Caller, params: Params, Body(body): Body<Active>) -> Result<Json<Value>> {
    let id = params.user(&caller)?;
    if !body.active.ok_or_else(|| AppError::body("active"))? {
        may_end_account(&caller, id).await?;
        let ended = end_account(&caller, id).await?;
        if id == caller.user.id {
            caller.app.mail_deactivated(&caller.user);
        }
        return Ok(ended);
    }
    caller.must(EDIT_OTHER_USERS).await?;
    let user = caller.app.store.activate_user(id).await?;
    publish_updated(&caller.app, &user).await;
    Ok(ok())
}

/// Marks an email address as verified, because an administrator says so.
async fn verify_email(caller: Caller, params: Params) -> Result<Json<User>> {
    let id = params.user(&caller)?;
    caller.must(MANAGE_SYSTEM).await?;
    let changed = caller.app.store.update_user(id, |user| {
        user.email_verified = true;
        Ok(())
    });
    let user = changed.await?;
    publish_updated(&caller.app, &user).await;
    Ok(Json(caller.view(&user).await?))
}

/// Ends the locks that wrong passwords put on an account.
async fn unlock(caller: Caller, params: Params) -> Result<Json<Value>> {
    let id = params.user(&caller)?;
    caller.must(MANAGE_SYSTEM).await?;
    caller.app.store.user(id).await?.ok_or_else(no_such_user)?;
    caller.app.store.unlock(id).await?;
    Ok(ok())
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Mfa {
    activate: Option<bool>,
}

/// Switches an account's second factor off, as another server's database may have it on. This server checks none, so it
/// cannot switch one on.
async fn set_mfa(caller: Caller, params: Params, Body(mfa): Body<Mfa>) -> Result<Json<Value>> {
    let id = params.user(&caller)?;
    caller.must(EDIT_OTHER_USERS).await?;
    if mfa.activate.ok_or_else(|| AppError::body("activate"))? {
        return Err(AppError::not_implemented("a second factor"));
    }
    let changed = caller.app.store.update_user(id, |user| {
        user.mfa_active = false;
        user.mfa_secret.clear();
        Ok(())
    });
    changed.await?;
    Ok(ok())
}

/// Deactivates an account, or deletes it for good.
async fn deactivate(caller: Caller, params: Params, query: Search) -> Result<Json<Value>> {
    let id = params.user(&caller)?;
    may_end_account(&caller, id).await?;
    let enabled = caller.app.config.service.enable_api_user_deletion;
    let for_good = caller.wants_erasure(query.flag("permanent"), "user", enabled).await?;
    end_account(&caller, id).await?;
    if for_good {
        caller.app.erase_account(id).await?;
    }
    Ok(ok())
}

/// Allows people to end their own accounts, where the server does, and administrators to end others.
async fn may_end_account(caller: &Caller, id: Id) -> Result<()> {
    caller.must_act_for(id).await?;
    let own = id == caller.user.id && !caller.is_local();
    if own && !caller.app.config.team.enable_user_deactivation && !caller.may(MANAGE_SYSTEM).await? {
        return Err(AppError::new(
            StatusCode::UNAUTHORIZED,
            "api.user.update_active.not_enable.app_error",
            "You cannot deactivate yourself because this feature is not enabled. Please contact your System Administrator.",
        ));
    }
    let user = caller.app.store.user(id).await?.ok_or_else(no_such_user)?;
    if user.roles.split_whitespace().any(|role| role == "system_admin") {
        caller.must(MANAGE_SYSTEM).await?;
    }
    Ok(())
}

/// Deactivates an account: its data stays, its sessions end.
async fn end_account(caller: &Caller, id: Id) -> Result<Json<Value>> {
    let app = &caller.app;
    let changed = app.store.update_user(id, |user| {
        user.delete_at = clock::now();
        Ok(())
    });
    let user = changed.await?;
    app.store.revoke_sessions(id).await?;
    app.hub.end_where(id, |_| true);
    publish_updated(app, &user).await;
    Ok(ok())
}

async fn picture(caller: Caller, params: Params) -> Result<Response> {
    let user = caller.app.store.user(params.user(&caller)?).await?.ok_or_else(no_such_user)?;
    let mut response = crate::avatar::png(&user.username)?.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("image/png"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=86400, private"));
    Ok(response)
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Typing {
    channel_id: String,
    parent_id: String,
}

async fn typing(caller: Caller, params: Params, Body(typing): Body<Typing>) -> Result<Json<Value>> {
    let user = params.user(&caller)?;
    caller.must_act_for(user).await?;
    let channel = Id::parse(&typing.channel_id).ok_or_else(|| AppError::body("channel_id"))?;
    presence::publish_typing(&caller, user, channel, Id::parse(&typing.parent_id).unwrap_or_default())
        .await?;
    Ok(ok())
}
